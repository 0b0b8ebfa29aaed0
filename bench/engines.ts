import { execFileSync } from "node:child_process";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { applicationWithNative } from "../test/support/native-package.ts";

/**
 * The same suites on each engine that Node has, a process each: the ratios are against node:crypto by hand in that process. `native` is
 * compiled first and installed in a folder of its own, where `NODE_PATH` leads.
 */
export function engineTables(): string {
  const application = applicationWithNative();
  try {
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

const MAIN = fileURLToPath(new URL("main.ts", import.meta.url));
const SUITES = ["field-token", "field-text", "envelope"];
const ENGINES: readonly BenchedEngine[] = [
  { name: "node", flags: [], hasNative: false },
  { name: "node-wasm", flags: ["--conditions=envelock-wasm"], hasNative: false },
  { name: "node-native", flags: [], hasNative: true },
];
