import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Engine } from "../../src/core/crypto/engine/engine.ts";
import { noise } from "../support/arbitraries.ts";
import { expectSameBytes, flipped } from "../support/bytes.ts";

// What keeps a runtime from having the module, and that everything works without it.

const { Instance, Module } = WebAssembly;

beforeEach(() => {
  vi.resetModules();
});
afterEach(() => {
  vi.unstubAllGlobals();
});

describe("where there is no module, the engines do without", () => {
  test.each<[string, object | undefined]>([
    ["no WebAssembly", undefined],
    ["no SIMD, or a policy without wasm-unsafe-eval", { ...WebAssembly, Module: refusing(() => new WebAssembly.CompileError("no")) }],
    ["no address space for its memory", { ...WebAssembly, Module, Instance: refusing(() => new RangeError("no")) }],
    ["wrong tags", { ...WebAssembly, Module, Memory: WebAssembly.Memory, Instance: lying("seal") }],
    ["tags that it does not check", { ...WebAssembly, Module, Memory: WebAssembly.Memory, Instance: lying("open") }],
    ["wrong text", { ...WebAssembly, Module, Memory: WebAssembly.Memory, Instance: lying("encode") }],
    ["wrong bytes of text", { ...WebAssembly, Module, Memory: WebAssembly.Memory, Instance: lying("decode") }],
    ["wrong keys", { ...WebAssembly, Module, Memory: WebAssembly.Memory, Instance: lying("derive") }],
    ["functions that are missing", { ...WebAssembly, Module, Memory: WebAssembly.Memory, Instance: lying("encode", null) }],
  ])("%s", async (_, stub) => {
    const reference = await engines();
    for (const { engine } of reference) expect(engine.coarse).toBeDefined();
    vi.resetModules();
    vi.stubGlobal("WebAssembly", stub);
    const { wasmInstance, wasmFailure } = await import("../../src/core/crypto/engine/wasm/instance.ts");
    expect(wasmInstance()).toBeUndefined();
    expect(wasmFailure()).toBeInstanceOf(Error);
    for (const { name, engine } of await engines()) {
      expect(engine.coarse, name).toBeUndefined();
      for (const { engine: other } of reference) expectSame(engine, other);
    }
  });

  test("a process that may not compile, and one whose address space is bounded", () => {
    const run = (command: string): string => execFileSync("bash", ["-c", command], { encoding: "utf8", cwd: ROOT }).trim();
    const program = 'const { engine } = await import("./dist/engine/node-wasm.js"); console.log(engine.coarse !== undefined);';
    const node = (flags: string): string => `"${process.execPath}" ${flags} --input-type=module -e '${program}'`;
    expect(run(node(""))).toBe("true");
    expect(run(node("--jitless"))).toBe("false");
    expect(run(`ulimit -v 8000000; ${node("")}`)).toBe("false");
  });
});

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

async function engines(): Promise<readonly { name: string; engine: Engine }[]> {
  const [wasm, portable] = await Promise.all([
    import("../../src/core/crypto/engine/node-wasm.ts"),
    import("../../src/core/crypto/engine/portable.ts"),
  ]);
  return [wasm.engine, portable.engine].map((engine) => ({ name: engine.name, engine }));
}

function expectSame(one: Engine, other: Engine): void {
  const [key, nonce, aad, plaintext] = [noise(32), noise(12), noise(20), noise(70)];
  const sealed = new Uint8Array(86);
  one.gcm.seal(key, nonce, aad, plaintext, sealed, 0);
  expectSameBytes(other.gcm.open(key, nonce, aad, sealed) ?? sealed, plaintext);
  expect(one.gcm.open(key, nonce, aad, flipped(sealed, 3))).toBeUndefined();
  expectSameBytes(one.siv(noise(64)).seal([aad], plaintext), other.siv(noise(64)).seal([aad], plaintext));
  expectSameBytes(one.hmac("sha512", key, aad), other.hmac("sha512", key, aad));
  expectSameBytes(one.blockCipher(key).encrypt(noise(64)), other.blockCipher(key).encrypt(noise(64)));
}

function refusing(error: () => Error): new () => object {
  return class {
    constructor() {
      throw error();
    }
  };
}

/** Instances one function of which does nothing, or is missing. */
function lying(name: string, instead: unknown = () => 1): new (module: WebAssembly.Module) => object {
  return class {
    readonly exports: object;
    constructor(module: WebAssembly.Module) {
      const { exports } = new Instance(module);
      this.exports = { ...exports, [name]: instead };
    }
  };
}
