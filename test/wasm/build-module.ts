// npm run wasm: compiles the WebAssembly module and writes it beside its source. A test compiles it again and compares.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { installed } from "../support/npm-tools.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
export const MODULE_FILE: string = join(ROOT, "src/core/crypto/engine/wasm/module.ts");

/** Compiles the module with the compiler of this exact version. Another version may make other bytes. */
export function compiledModule(): Buffer {
  const modules = installed("assemblyscript", ["assemblyscript@0.28.20"]);
  const folder = mkdtempSync(join(tmpdir(), "envelock-wasm-"));
  try {
    const output = join(folder, "module.wasm");
    const source = "src/core/crypto/engine/wasm/source/index.ts";
    // `absorb` exchanges vectors with the module's other files alone, hence no warning of them
    const options = [
      "-O3",
      "--noAssert",
      "--runtime",
      "stub",
      "--enable",
      "simd,bulk-memory",
      "--use",
      "abort=",
      "--disableWarning",
      "112",
    ];
    execFileSync(process.execPath, [join(modules, "assemblyscript/bin/asc.js"), source, "--outFile", output, ...options], {
      cwd: ROOT,
      stdio: ["ignore", "pipe", "pipe"],
    });
    return readFileSync(output);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The file that holds a module: text, which bundlers, workers and every runtime load as they load the rest. */
export function fileOf(module: Buffer): string {
  const lines = ["// Made of source/ by npm run wasm.", "", "/** The WebAssembly module, as base64. */", "export const MODULE: string ="];
  return `${lines.join("\n")}\n  "${module.toString("base64")}";\n`;
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  writeFileSync(MODULE_FILE, fileOf(compiledModule()));
}
