import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { MODULE } from "../../src/core/crypto/engine/wasm/module.ts";
import { compiledModule, fileOf, MODULE_FILE } from "./build-module.ts";

test("the module that is shipped is what its source compiles to, byte for byte: npm run wasm", () => {
  const compiled = compiledModule();
  expect(MODULE).toBe(compiled.toString("base64"));
  expect(readFileSync(MODULE_FILE, "utf8")).toBe(fileOf(compiled));
});

test("the module imports nothing, and its memory cannot grow past one page by itself", () => {
  const module = new WebAssembly.Module(Buffer.from(MODULE, "base64"));
  expect(WebAssembly.Module.imports(module)).toEqual([]);
  const { memory } = new WebAssembly.Instance(module).exports;
  expect(memory instanceof WebAssembly.Memory && memory.buffer.byteLength).toBe(65_536);
});
