import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/**
 * The same suites on each engine that Node has, a process each: the ratios are against node:crypto by hand in that process. `native` is
 * compiled first and installed in a folder of its own, where `NODE_PATH` leads.
 */
export function engineTables(): string {
  const application = mkdtempSync(join(tmpdir(), "envelock-bench-"));
  try {
    installNative(application);
    return ENGINES.map((engine) => tablesOf(engine, application)).join("\n\n");
  } finally {
    rmSync(application, { recursive: true });
  }
}

interface BenchedEngine {
  readonly name: string;
  readonly flags: readonly string[];
  readonly hasNative: boolean;
}

function tablesOf({ name, flags, hasNative }: BenchedEngine, application: string): string {
  const { NODE_PATH: _, ...rest } = process.env;
  const env = hasNative ? { ...rest, NODE_PATH: join(application, "node_modules") } : rest;
  const node = (...more: readonly string[]): string =>
    execFileSync(process.execPath, [...process.execArgv, ...flags, ...more], { encoding: "utf8", env });
  const found = node("--input-type=module", "--eval", 'console.log((await import("envelock")).engineInfo().name)').trim();
  if (found !== name) throw new Error(`this was to measure ${name}, and the engine is ${found}`);
  const [, ...sections] = node(MAIN, ...SUITES).split("\n## "); // before the first stands the machine
  return sections.map((section) => `### ${name}: ${section.trim()}`).join("\n\n");
}

function installNative(application: string): void {
  const folder = join(application, "node_modules/@envelock/native");
  mkdirSync(folder, { recursive: true });
  copyFileSync(join(NATIVE, "package.json"), join(folder, "package.json"));
  execFileSync(process.execPath, [join(NATIVE, "build.mjs"), "--out", folder]);
}

const MAIN = fileURLToPath(new URL("main.ts", import.meta.url));
const NATIVE = fileURLToPath(new URL("../src/native", import.meta.url));
const SUITES = ["field-token", "field-text", "envelope"];
const ENGINES: readonly BenchedEngine[] = [
  { name: "node", flags: [], hasNative: false },
  { name: "node-wasm", flags: ["--conditions=envelock-wasm"], hasNative: false },
  { name: "node-native", flags: [], hasNative: true },
];
