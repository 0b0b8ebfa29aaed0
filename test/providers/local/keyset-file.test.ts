import { execFileSync } from "node:child_process";
import { chmod, mkdir, mkdtemp, open, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { formatKeyset, generateKeysetKey, type Keyset, parseKeyset, publicKeyset } from "../../../providers/local/index.ts";
import { readKeysetFile, updateKeysetFile, writeKeysetFile } from "../../../providers/local/keyset-file.ts";
import { refusal, refusalCode } from "../../support/refusal.ts";

let folder: string;
let path: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "envelock-keyset-"));
  path = join(folder, "keys.json");
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

async function newKeyset(type: "aes-256" | "x25519" = "aes-256"): Promise<Keyset> {
  const key = await generateKeysetKey({ type, keyId: "k1", created: "2026-11-21T09:30:00.250Z" });
  return { primary: "k1", keys: [key] };
}

async function modeOf(file: string): Promise<number> {
  return (await stat(file)).mode & 0o777;
}

describe("writeKeysetFile", () => {
  test("writes what is read back, for its owner alone, and leaves nothing else", async () => {
    const keyset = await newKeyset();
    await writeKeysetFile(path, keyset);
    expect(await readKeysetFile(path)).toEqual(keyset);
    expect(await modeOf(path)).toBe(0o600);
    expect(await readdir(folder)).toEqual(["keys.json"]);
  });

  test("refuses to replace a file, and leaves it as it was", async () => {
    await writeFile(path, "precious");
    const error = await refusal(async () => writeKeysetFile(path, await newKeyset()));
    expect(error.code).toBe("invalid-argument");
    expect(error.hint).toContain("overwrite");
    expect(await readFile(path, "utf8")).toBe("precious");
    expect(await readdir(folder)).toEqual(["keys.json"]);
  });

  test("replaces a file when told, and narrows its mode", async () => {
    await writeFile(path, "old", { mode: 0o644 });
    const keyset = await newKeyset();
    await writeKeysetFile(path, keyset, { overwrite: true });
    expect(await readKeysetFile(path)).toEqual(keyset);
    expect(await modeOf(path)).toBe(0o600);
    expect(await readdir(folder)).toEqual(["keys.json"]);
  });

  test("a reader sees the old file or the new one, whole, while it is being replaced", async () => {
    const keysets = await Promise.all([newKeyset(), newKeyset()]);
    const whole = new Set(keysets.map(formatKeyset));
    await writeKeysetFile(path, keysets[0]);
    let isWriting = true;
    const writes = (async () => {
      for (let round = 0; round < 20; round++) await writeKeysetFile(path, keysets[round % 2] ?? keysets[0], { overwrite: true });
      isWriting = false;
    })();
    const seen = new Set<string>();
    while (isWriting) seen.add(await readFile(path, "utf8"));
    await writes;
    for (const text of seen) expect(whole).toContain(text);
  });

  test("of many who write a new file at once, one does", async () => {
    const writers = await Promise.all(Array.from({ length: 8 }, () => newKeyset()));
    const outcomes = await Promise.allSettled(writers.map((keyset) => writeKeysetFile(path, keyset)));
    const winner = outcomes.findIndex(({ status }) => status === "fulfilled");
    expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    expect(await readKeysetFile(path)).toEqual(writers[winner]);
    expect(await readdir(folder)).toEqual(["keys.json"]);
  });

  test("a bad keyset touches nothing", async () => {
    const keyset = await newKeyset();
    expect(await refusalCode(() => writeKeysetFile(path, { ...keyset, primary: "other" }))).toBe("invalid-argument");
    expect(await readdir(folder)).toEqual([]);
  });

  test("a folder that is not there is key-not-found; one in the way is invalid-argument and stays as it is", async () => {
    const keyset = await newKeyset();
    expect(await refusalCode(() => writeKeysetFile(join(folder, "none", "keys.json"), keyset))).toBe("key-not-found");
    await mkdir(path);
    await writeFile(join(path, "inside"), "");
    expect(await refusalCode(() => writeKeysetFile(path, keyset, { overwrite: true }))).toBe("invalid-argument");
    expect(await readdir(folder)).toEqual(["keys.json"]);
    expect(await readdir(path)).toEqual(["inside"]);
  });
});

describe("readKeysetFile", () => {
  const openModes = [0o604, 0o620, 0o602, 0o644, 0o664, 0o666, 0o777];
  for (const mode of openModes) {
    test(`refuses mode ${mode.toString(8)} and says what to do`, async () => {
      await writeKeysetFile(path, await newKeyset());
      await chmod(path, mode);
      const error = await refusal(() => readKeysetFile(path));
      expect(error.code).toBe("access-denied");
      expect(error.hint).toContain(`chmod 600 ${path}`);
    });
  }

  test("takes 400, 440, 600 and 640, and 644 of a keyset without secrets", async () => {
    const keyset = await newKeyset();
    await writeKeysetFile(path, keyset);
    for (const mode of [0o400, 0o440, 0o600, 0o640]) {
      await chmod(path, mode);
      expect(await readKeysetFile(path)).toEqual(keyset);
    }

    const readable = join(folder, "public.json");
    const withoutSecrets = publicKeyset(await newKeyset("x25519"));
    await writeKeysetFile(readable, withoutSecrets);
    await chmod(readable, 0o644);
    expect(await readKeysetFile(readable)).toEqual(withoutSecrets);
    await chmod(readable, 0o664); // whoever changes a public key reads what is wrapped under it
    expect(await refusalCode(() => readKeysetFile(readable))).toBe("access-denied");
  });

  test("no file, a folder and a file that is no keyset", async () => {
    expect(await refusalCode(() => readKeysetFile(path))).toBe("key-not-found");
    expect(await refusalCode(() => readKeysetFile(folder))).toBe("invalid-argument");
    await writeFile(path, "not a keyset", { mode: 0o600 });
    expect(await refusalCode(() => readKeysetFile(path))).toBe("invalid-argument");
    await writeFile(path, " ".repeat(2 ** 20 + 1));
    expect((await refusal(() => readKeysetFile(path))).message).toContain("larger than 1 MiB");
    expect((await refusal(() => readKeysetFile("/dev/null"))).message).toContain("neither a file nor a pipe");
  });

  test("reads a pipe to its end, however late and in however many parts it comes", async () => {
    const keyset = await newKeyset();
    execFileSync("mkfifo", [path]);
    const reading = readKeysetFile(path);
    const json = formatKeyset(keyset);
    const writer = await open(path, "w"); // waits for the reader
    for (let at = 0; at < json.length; at += 50) {
      await writer.write(json.slice(at, at + 50));
      await setImmediate();
    }
    await writer.close();
    expect(await reading).toEqual(keyset);
  });

  test("does not wait for ever for a pipe that nothing writes to", async () => {
    execFileSync("mkfifo", [path]);
    const error = await refusal(() => readKeysetFile(path));
    expect(error.code).toBe("timeout");
    expect(error.hint).toContain("write the keyset");
  });

  test("skips a byte order mark, and names UTF-16", async () => {
    const keyset = await newKeyset();
    const text = formatKeyset(keyset).replaceAll("\n", "\r\n");
    await writeFile(path, `\ufeff${text}`, { mode: 0o600 });
    expect(await readKeysetFile(path)).toEqual(keyset);
    expect(parseKeyset(`\ufeff${text}`)).toEqual(keyset);
    await writeFile(path, Buffer.from(`\ufeff${text}`, "utf16le"));
    expect((await refusal(() => readKeysetFile(path))).message).toContain("UTF-16");
  });
});

describe("updateKeysetFile", () => {
  const added = (name: string) => async (keyset: Keyset) => {
    const key = await generateKeysetKey({ type: "aes-256", keyId: name, created: "2026-11-21T09:30:00Z" });
    return { ...keyset, keys: [...keyset.keys, key] };
  };

  test("loses none of many changes at once, and leaves nothing beside the file", async () => {
    await writeKeysetFile(path, await newKeyset());
    const names = Array.from({ length: 12 }, (_, at) => `added-${at}`);
    await Promise.all(names.map((name) => updateKeysetFile(path, added(name))));
    const { keys } = await readKeysetFile(path);
    expect(keys.map(({ keyId }) => keyId).sort()).toEqual(["k1", ...names].sort());
    expect(await readdir(folder)).toEqual(["keys.json"]);
  });

  test("leaves the file and no lock when the change throws or makes a bad keyset", async () => {
    const keyset = await newKeyset();
    await writeKeysetFile(path, keyset);
    await expect(updateKeysetFile(path, () => Promise.reject(new Error("no")))).rejects.toMatchObject({ code: "provider-failure" });
    expect(await refusalCode(() => updateKeysetFile(path, (old) => ({ ...old, primary: "other" })))).toBe("invalid-argument");
    expect(await readKeysetFile(path)).toEqual(keyset);
    expect(await readdir(folder)).toEqual(["keys.json"]);
  });

  test("of a file that is not there is key-not-found", async () => {
    expect(await refusalCode(() => updateKeysetFile(path, added("k2")))).toBe("key-not-found");
  });
});

test("a misspelt option of writeKeysetFile is refused by name", async () => {
  const misspelt: object = { overwritten: true };
  expect((await refusal(async () => writeKeysetFile(path, await newKeyset(), misspelt))).hint).toContain("`overwrite`");
});

describe("what is no keyset", () => {
  const forms: readonly (readonly [string, string | Uint8Array, RegExp])[] = [
    ["nothing", "", /it is empty/],
    ["a hexadecimal key", "00".repeat(32), /hexadecimal/],
    ["a base64 key", Buffer.alloc(32, 7).toString("base64"), /base64/],
    ["PEM", "-----BEGIN PRIVATE KEY-----\nAAAA\n", /PEM/],
    ["a key of age", "AGE-SECRET-KEY-1QQQ", /another program/],
    ["a password", "correct horse battery staple", /it is not JSON/],
    ["JSON that was cut", '{"primary": "k1", "keys": [', /cut short or damaged/],
    ["one JWK", '{"kty":"oct","k":"AAAA"}', /one JSON Web Key/],
    ["other JSON", '{"a":1}', /an array of keys/],
    ["keys without a primary", '{"keys":[]}', /names its primary/],
    ["an envelope", Uint8Array.of(0x9e, 0xff, 1), /its bytes are not text/],
  ];
  test.each(forms)("%s is named, with the next step and without its text", async (_what, json, said) => {
    const error = await refusal(async () => parseKeyset(json));
    expect(error.code).toBe("invalid-argument");
    expect(error.message).toMatch(said);
    expect(error.hint).toMatch(/keygen|keyset is|keyset: |backup|add "primary"/);
    if (typeof json === "string" && json.length > 12) expect(`${error.message} ${error.hint}`).not.toContain(json.slice(3, 15));
  });
});
