import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, inject, test } from "vitest";
import { engine } from "#engine";
import { loadNative, type Native } from "../../src/core/crypto/engine/native/load.ts";
import { NATIVE_VERSION } from "../../src/core/crypto/engine/native/version.ts";
import { nodeCrypto } from "../../src/core/crypto/engine/node.ts";
import { alteredSource, buildNative, moduleIn, nativeFileIn, packageIn } from "../support/native-package.ts";

const PLATFORM = `${process.platform}-${process.arch}`;

let application = "";
beforeEach(() => {
  application = mkdtempSync(join(tmpdir(), "envelock-application-"));
  cpSync(inject("nativeApplication"), application, { recursive: true });
});
afterEach(() => rmSync(application, { recursive: true }));

describe("the package", () => {
  test("does the work where it is installed in this version, and says over which OpenSSL", () => {
    const native = load();
    expect(native.coarse).toBeDefined();
    expect(native).toMatchObject({
      info: { version: NATIVE_VERSION, platform: PLATFORM, openssl: process.versions.openssl, isFips: false },
    });
    expect(engine.info()).toEqual({ name: "node-native", native: "info" in native && native.info });
  });

  test.each<[string, string, RegExp, () => void]>([
    [
      "is not installed",
      "not-installed",
      /^@envelock\/native is not installed$/,
      () => rmSync(packageIn(application), { recursive: true }),
    ],
    ["is another version", "wrong-version", /is version 0\.0\.9, and this Envelock takes/, () => manifest({ version: "0.0.9" })],
    ["names no version", "wrong-version", /is version undefined/, () => manifest({})],
    ["has no file for this platform", "no-build", /packed without its build/, () => rmSync(nativeFileIn(application))],
    ["has a file that is no library", "not-loadable", /does not load/, () => writeFileSync(nativeFileIn(application), "no ELF")],
    [
      "has a manifest that is no JSON",
      "not-loadable",
      /cannot be looked for/,
      () => writeFileSync(join(packageIn(application), "package.json"), "{"),
    ],
  ])("that %s is left alone", (_what, reason, message, change) => {
    change();
    expect(load()).toEqual({ coarse: undefined, reason, message: expect.stringMatching(message) });
  });

  test("two copies of it in one thread do not meet", () => {
    const other = mkdtempSync(join(tmpdir(), "envelock-application-"));
    try {
      cpSync(application, other, { recursive: true });
      const key = new Uint8Array(32).fill(7);
      const [one, two] = [application, other].map((folder) => loadNative(moduleIn(folder), nodeCrypto.allocate).coarse?.xaes(key));
      const nothing = new Uint8Array();
      const token = one?.sealText(nothing, nothing, "between two copies") ?? "";
      one?.destroy();
      expect(two?.openText(nothing, nothing, token)).toBe("between two copies");
      expect(one?.openText(nothing, nothing, token)).toBe(false); // its key is gone
    } finally {
      rmSync(other, { recursive: true });
    }
  });

  test("is left alone from a bundle of CommonJS, which does not know where it is", () => {
    expect(loadNative(undefined, nodeCrypto.allocate)).toMatchObject({ reason: "not-loadable" });
  });

  test.each<[string, string, string, string, string]>([
    [
      "whose library is another version",
      "wrong-version",
      "is version 9",
      'exports, "version", ENVELOCK_VERSION',
      'exports, "version", "9"',
    ],
    ["that lacks a function", "not-loadable", "lacks a function", '{"forget", js_forget}', '{"forgot", js_forget}'],
    ["that derives other keys", "wrong-answers", "XAES-256-GCM", "mask[2] ^= 0x58;", "mask[2] ^= 0x59;"],
    ["that checks no tag", "wrong-answers", "refusing", "plaintext + added, &done) == 1;", "plaintext + added, &done) <= 1;"],
    [
      "that checks no commitment",
      "wrong-answers",
      "commitments",
      "CRYPTO_memcmp(keys + CHUNK_KEYS, body.at + SALT, COMMITMENT) == 0",
      "true",
    ],
    ["that numbers no chunk", "wrong-answers", "last chunk", "nonce[at] ^= (uint8_t)number;", "nonce[at] ^= 0;"],
    ["that draws no key", "wrong-answers", "random keys", "RAND_bytes(scratch + MESSAGE_AT, (int)bytes) == 1", "true"],
    ["that draws no nonce", "wrong-answers", "fresh nonces", "memcpy(nonce, drawn, bytes);", "(void)nonce;"],
    ["that hashes with another pad", "wrong-answers", "HKDF", "0x36 ^ 0x5c", "0x36 ^ 0x5d"],
  ])(
    "%s is not trusted",
    (_what, reason, message, before, after) => {
      buildNative(packageIn(application), ["--source", alteredSource(application, before, after)]);
      expect(load()).toMatchObject({ coarse: undefined, reason, message: expect.stringContaining(message) });
    },
    120_000,
  );
});

describe("a program", () => {
  test.each<[string, readonly string[], object]>([
    ["that has it installed", [], { name: "node-native", native: { platform: PLATFORM } }],
    ["that refuses it", ["--conditions=envelock-node"], { name: "node", without: { part: "native", reason: "refused" } }],
    ["that asks for WebAssembly", ["--conditions=envelock-wasm"], { name: "node-wasm" }],
    ["that may load no native code", ["--no-addons"], { name: "node", without: { part: "native", reason: "not-loadable" } }],
    [
      "under the permission model",
      ["--experimental-permission", "--allow-fs-read=*"],
      { name: "node", without: { part: "native", reason: "not-loadable" } },
    ],
  ])("%s", (_what, flags, info) => {
    expect(infoIn(flags)).toMatchObject(info);
  });

  test.each<[string | undefined, number, RegExp]>([
    [undefined, 0, /^ok +engine +node-native: @envelock\/native [\d.]+ for [\w-]+, over OpenSSL 3\./],
    ["native", 0, /node-native/],
    ["node", 0, /^ok +engine +node: ENVELOCK_ENGINE=node$/],
    ["wasm", 2, /invalid-argument: ENVELOCK_ENGINE is "wasm"/],
  ])("the command line with ENVELOCK_ENGINE=%s", (choice, exitCode, output) => {
    const { status, text } = doctor(choice);
    expect([status, text]).toEqual([exitCode, expect.stringMatching(output)]);
  });

  test("the command line warns of a package that does not work, and fails where it was asked for", () => {
    manifest({ version: "0.0.9" });
    expect(doctor(undefined)).toEqual({ status: 0, text: expect.stringMatching(/^warning +engine +node: .*0\.0\.9.*\n +-> install/) });
    expect(doctor("native")).toEqual({ status: 1, text: expect.stringMatching(/ENVELOCK_ENGINE is native: .*0\.0\.9[\s\S]*hint: unset/) });
  });

  function doctor(choice: string | undefined): { readonly status: number | null; readonly text: string } {
    const env = { ...process.env, NODE_PATH: join(application, "node_modules"), ...(choice !== undefined && { ENVELOCK_ENGINE: choice }) };
    const { status, stdout, stderr } = spawnSync(process.execPath, ["dist/cli.js", "doctor", "--engine"], {
      cwd: ROOT,
      env,
      encoding: "utf8",
    });
    return { status, text: (stdout + stderr).trim() };
  }

  /** What a process of its own says, and that it encrypts: the package is installed where its `NODE_PATH` leads. */
  function infoIn(flags: readonly string[]): unknown {
    const program = `
      import { DataKey, engineInfo } from "envelock";
      const key = DataKey.from(new Uint8Array(32));
      if (key.decryptToken(key.encryptToken(new Uint8Array(9))).length !== 9) throw new Error("wrong");
      console.log(JSON.stringify(engineInfo()));`;
    const output = execFileSync(process.execPath, ["--no-warnings", ...flags, "--input-type=module", "--eval", program], {
      cwd: ROOT,
      env: { ...process.env, NODE_PATH: join(application, "node_modules") },
      encoding: "utf8",
    });
    const info: unknown = JSON.parse(output);
    return info;
  }
});

test("every manifest names the version that this package takes", () => {
  const versions = ["../../package.json", "../../src/native/package.json"].map((path) => manifestAt(path).version);
  expect([...versions, manifestAt("../../package.json").peerDependencies?.["@envelock/native"]]).toEqual(
    Array.from({ length: 3 }, () => NATIVE_VERSION),
  );
});

function load(): Native {
  return loadNative(moduleIn(application), nodeCrypto.allocate);
}

function manifest(content: object): void {
  writeFileSync(join(packageIn(application), "package.json"), JSON.stringify({ name: "@envelock/native", ...content }));
}

function manifestAt(path: string): { readonly version?: string; readonly peerDependencies?: Readonly<Record<string, string>> } {
  return JSON.parse(readFileSync(new URL(path, import.meta.url), "utf8"));
}

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
