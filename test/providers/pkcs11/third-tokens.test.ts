import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, expect, test } from "vitest";
import { fileOfPackages } from "../../support/debian-packages.ts";
import { built } from "./location.ts";

// Two more implementations. openCryptoki's software token has RSA alone, locks a PIN after three tries, has a daemon, and bears
// C_Finalize once. A TPM has RSA alone, makes no keys in sessions, and refuses rights that are false. The state of both is the machine's,
// so they run in namespaces of their own; where those are not allowed nothing is started.

const { CI } = process.env;
const MOST_MS = 170_000; // 25 s where nothing else runs
const folder = mkdtempSync(join(tmpdir(), "envelock-tokens-"));
afterAll(() => rmSync(folder, { recursive: true }));
const unshare = ["--mount", "--ipc", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"];
const mayIsolate = spawnSync("unshare", [...unshare, "mount", "-t", "tmpfs", "none", "/run"]).status === 0;
const isHere = mayIsolate || CI === "true";

test.skipIf(!isHere)(
  "openCryptoki keeps the contract and is spared what it does not bear",
  () => {
    const module = fileOfPackages(
      ["/usr/lib/x86_64-linux-gnu/opencryptoki/libopencryptoki.so.0", "/usr/lib/aarch64-linux-gnu/opencryptoki/libopencryptoki.so.0"],
      ["opencryptoki"],
    );
    expectAll(["sh", here("with-opencryptoki.sh"), ...programFor(module, "opencryptoki")], 25);
  },
  MOST_MS + 10_000,
);

test.skipIf(!isHere)(
  "a TPM keeps the contract",
  () => {
    for (const [path, name] of TPM_PARTS) fileOfPackages([path], [name]);
    const module = fileOfPackages(
      ["/usr/lib/x86_64-linux-gnu/libtpm2_pkcs11.so.1", "/usr/lib/aarch64-linux-gnu/libtpm2_pkcs11.so.1"],
      ["libtpm2-pkcs11-1", "libtss2-tcti-tabrmd0", "libtss2-tcti-swtpm0"],
    );
    expectAll(["dbus-run-session", "--", "sh", here("with-tpm.sh"), ...programFor(module, "tpm")], 20);
  },
  MOST_MS + 10_000,
);

function programFor(module: string, kind: string): readonly string[] {
  return [process.execPath, here("token-program.mjs"), new URL(".", built("index.js")).pathname, module, kind];
}

function expectAll(command: readonly string[], atLeast: number): void {
  const { stdout, stderr, status } = spawnSync("unshare", [...unshare, ...command], {
    encoding: "utf8",
    timeout: MOST_MS,
    env: { ...process.env, FOLDER: folder },
  });
  const results: { readonly name: string; readonly failure?: string }[] = stdout
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line));
  expect(results.filter(({ failure }) => failure !== undefined)).toEqual([]);
  expect({ status, stderr: status === 0 ? "" : stderr }).toEqual({ status: 0, stderr: "" });
  expect(results.length).toBeGreaterThan(atLeast);
}

function here(name: string): string {
  return fileURLToPath(new URL(name, import.meta.url));
}

const TPM_PARTS = [
  ["/usr/bin/swtpm", "swtpm"],
  ["/usr/sbin/tpm2-abrmd", "tpm2-abrmd"],
  ["/usr/bin/tpm2_ptool", "libtpm2-pkcs11-tools"],
  ["/usr/bin/dbus-run-session", "dbus"],
] as const;
