import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { MANIFEST } from "../package/manifest.ts";
import { runtimeBinary } from "../support/npm-tools.ts";

// npm run test:runtimes [-- --quick] [node-22 node-24 bun]: the core suite under other runtimes, which are fetched from npm at exact
// versions. They are too large (some 200 MB each) to be devDependencies. `--quick`, as in CI: what proves the engine and the format.
// Without it the Azure suite runs too, on each Node with the SDK that npm installs there: parts of it need a newer one than Node 20.

const ROOT: string = fileURLToPath(new URL("../..", import.meta.url));
const RUNTIMES = ["node-22", "node-24", "bun"] as const;

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
const unknown = asked.filter((name) => !RUNTIMES.some((runtime) => runtime === name));
if (unknown.length > 0) throw new Error(`no such runtime: ${unknown.join(", ")}; there are ${RUNTIMES.join(", ")}`);
for (const name of RUNTIMES.filter((runtime) => asked.length === 0 || asked.includes(runtime))) {
  console.log(`\n== ${name}`);
  const binary = runtimeBinary(name);
  if (!passes(binary, name === "bun" ? ["--bun"] : [], tests)) failed.push(name);
  if (tests === QUICK || name === "bun") continue;
  console.log(`\n== ${name}, Azure`);
  if (!passes(binary, [], AZURE, { ENVELOCK_AZURE_SDK: azureSdkFor(binary) })) failed.push(`${name}, Azure`);
}
if (failed.length > 0) console.log(`\nfailed: ${failed.join(", ")}`);
process.exitCode = failed.length > 0 ? 1 : 0;

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
