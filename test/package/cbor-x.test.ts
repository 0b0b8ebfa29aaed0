import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";

// cbor-x is a development dependency, for differential tests alone: untrusted bytes go through the strict reader and nothing else.

describe("cbor-x", () => {
  test.each(["src", "providers", "dist"])("is named by no file of %s", (folder) => {
    const files = readdirSync(`${ROOT}/${folder}`, { recursive: true, encoding: "utf8" }).filter((path) => /\.(ts|js)$/.test(path));
    expect(files.length).toBeGreaterThan(2);
    expect(files.filter((path) => /["']cbor-x/.test(readFileSync(`${ROOT}/${folder}/${path}`, "utf8")))).toEqual([]);
  });

  test("is not loaded by the built package, whatever it writes, reads and refuses", () => {
    expect(runWithout("cbor-x")).toBe("done");
  });

  test("would be noticed, as node:crypto is", () => {
    expect(() => runWithout("node:crypto")).toThrow("refused to load node:crypto");
  });
});

const ROOT: string = fileURLToPath(new URL("../..", import.meta.url));

const SCRIPT = `
  import { Keyring, inspect } from "./dist/index.js";
  import { localKey } from "./dist/providers/local.js";
  const refused = async (work) => {
    try { await work(); } catch (error) { if (error.code) return; throw error; }
    throw new Error("was not refused");
  };
  const keyring = new Keyring(localKey({ keyId: "k1", key: new Uint8Array(32) }));
  const envelope = await keyring.encrypt(new Uint8Array(20));
  await keyring.decrypt(await keyring.rewrap(envelope));
  inspect(envelope);
  const { keyRecord } = await keyring.createDataKey();
  await keyring.unwrapDataKey(keyRecord);
  for (let at = 0; at < envelope.length; at += 3) {
    const changed = envelope.slice();
    changed[at] ^= 0xff;
    await refused(() => keyring.decrypt(changed));
  }
  const hostile = new Uint8Array(8 + 65536).fill(0x81);
  hostile.set([0x9e, 1, 0, 0, 0, 1, 0, 0]);
  await refused(() => keyring.decrypt(hostile));
  await refused(() => inspect(hostile));
  process.stdout.write("done");
`;

/** Runs the script in a process that refuses to load one module. */
function runWithout(specifier: string): string {
  const hook = `export async function resolve(name, context, next) {
    if (name.split("/")[0] === ${JSON.stringify(specifier)}) throw new Error("refused to load " + name);
    return next(name, context);
  }`;
  const register = `import { register } from "node:module"; register(${JSON.stringify(dataUrl(hook))});`;
  return execFileSync(process.execPath, ["--import", dataUrl(register), "--input-type=module", "--eval", SCRIPT], {
    cwd: ROOT,
    encoding: "utf8",
    stdio: "pipe",
  });
}

function dataUrl(source: string): string {
  return `data:text/javascript,${encodeURIComponent(source)}`;
}
