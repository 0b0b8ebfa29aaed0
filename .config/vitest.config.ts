import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { defineConfig, type Plugin } from "vitest/config";
import { ENTRIES, INTERNAL } from "./entries.mjs";

const at = (path: string): string => fileURLToPath(new URL(`../${path}`, import.meta.url));

// All engines run the whole core suite; what starts processes or reads the package runs once.
const CORE = ["test/core/**/*.test.ts", "test/fields/**/*.test.ts", "test/foreign/**/*.test.ts", "test/providers/**/*.test.ts"];
const ONCE = [
  "test/cli/**/*.test.ts",
  "test/docs/**/*.test.ts",
  "test/package/**/*.test.ts",
  "test/node/**/*.test.ts",
  "test/stores/**/*.test.ts",
  "test/blobs/**/*.test.ts",
  "test/tenants/**/*.test.ts",
  "test/jobs/**/*.test.ts",
  "test/fuzz/**/*.test.ts",
  "test/mutants/**/*.test.ts",
  "test/testing/**/*.test.ts",
  "test/integrations/**/*.test.ts",
  "test/browser/**/*.test.ts",
  "test/wasm/**/*.test.ts",
];

// Clients that only Node has, and what touches no engine: which it is makes no difference to them.
const NODE_ONLY = [
  "test/providers/{azure/**,hostile-answers.test.ts}",
  "test/providers/pkcs11/**",
  "test/fields/{jobs/**,{values,scope}.test.ts}",
  "test/foreign/{azurite,s3-encryption-kms}.test.ts",
];

// Services whose cryptography is their own: `node` and `portable` run these, and no third engine makes a difference to them.
const SERVICES = [
  "test/providers/{aws-kms,gcp-kms,http,vault}/**",
  "test/providers/{error-tables,hostile-credentials,shared-logins,tenant-*,wire}.test.ts",
];

// npm run test:bundlers
const BUNDLERS = ["test/package/bundlers/**"];

// Where the SDK is that npm installs on another Node: test/runtimes/run.ts
const { ENVELOCK_AZURE_SDK: azureSdk } = process.env;
const ELSEWHERE =
  azureSdk === undefined ? [] : ["@azure/keyvault-keys", "@azure/identity"].map((find) => ({ find, replacement: join(azureSdk, find) }));

// ORMs of other versions than the lock file's: test/package/orms.ts
const { ENVELOCK_ORMS: orms } = process.env;
const otherOrms: Plugin = {
  name: "other-orms",
  enforce: "pre",
  async resolveId(id) {
    if (orms === undefined || !/^(@prisma\/|drizzle-orm|kysely|typeorm)/.test(id)) return null;
    return await this.resolve(id, join(orms, "package.json"), { skipSelf: true });
  },
};

const sourceFor = (name: string, internal: string, by: (typeof INTERNAL)[string]): string => {
  if (name === "node-native" && internal === "#engine") return "test/native/engine.ts";
  return name === "portable" ? by.default : ((name === "node-wasm" ? by["envelock-wasm"] : undefined) ?? by.node);
};

const engine = (name: "node" | "node-native" | "node-wasm" | "portable", include: string[], exclude: string[] = []) => ({
  root: at(""),
  plugins: [otherOrms],
  resolve: {
    alias: [
      ...ELSEWHERE,
      ...Object.entries(INTERNAL).map(([find, by]) => ({ find, replacement: at(sourceFor(name, find, by)) })),
      ...Object.entries(ENTRIES).map(([entry, source]) => ({ find: new RegExp(`^envelock${entry.slice(1)}$`), replacement: at(source) })),
    ],
  },
  test: { name, include, exclude, env: { ENVELOCK_TEST_ENGINE: name }, testTimeout: 60_000, hookTimeout: 60_000 },
});

// Imports the sources once for all files of a process, which takes a third of the time. `node` shows that the files do without each other.
const inOneWorld = ({ test, ...project }: ReturnType<typeof engine>) => ({ ...project, test: { ...test, isolate: false } });

// Under one PostgreSQL, which is started only if one of these files runs.
const database = () => {
  const { test, ...project } = engine("node", ["test/database/**/*.test.ts"]);
  return { ...project, test: { ...test, name: "database", globalSetup: at("test/support/postgres.ts") } };
};

// Rooms below the engine, and what only passes through it: they ran on three engines.
const WITHOUT_ENGINE = ["test/core/{base,contracts,resilience}/**"];

// With @envelock/native, which is compiled only if one of these files runs.
const native = () => {
  const { test, ...project } = engine(
    "node-native",
    ["test/core/**/*.test.ts", "test/fields/**/*.test.ts", "test/native/**/*.test.ts"],
    [...NODE_ONLY, ...WITHOUT_ENGINE],
  );
  return { ...project, test: { ...test, globalSetup: at("test/support/native-package.ts") } };
};

export default defineConfig({
  // vitest leaves one core to itself, which on two of them doubles the time
  test: {
    maxWorkers: "100%",
    projects: [
      engine("node", [...CORE, ...ONCE], BUNDLERS),
      inOneWorld(engine("node-wasm", CORE, [...NODE_ONLY, ...SERVICES])),
      inOneWorld(engine("portable", CORE, NODE_ONLY)),
      native(),
      database(),
    ],
  },
});
