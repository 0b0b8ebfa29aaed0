import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";

/** The same suites on each engine that Node has, a process each: the ratios are against node:crypto by hand in that process. */
export function engineTables(): string {
  return ENGINES.map(({ name, flags }) => {
    const output = execFileSync(process.execPath, [...process.execArgv, ...flags, MAIN, ...SUITES], { encoding: "utf8" });
    const [, ...sections] = output.split("\n## "); // before the first stands the machine
    return sections.map((section) => `### ${name}: ${section.trim()}`).join("\n\n");
  }).join("\n\n");
}

const MAIN = fileURLToPath(new URL("main.ts", import.meta.url));
const SUITES = ["field-token", "field-text", "envelope"];
const ENGINES = [
  { name: "node", flags: [] },
  { name: "node-wasm", flags: ["--conditions=envelock-wasm"] },
] as const;
