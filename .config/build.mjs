// One bundled file per entry point, what they share in chunks, declarations beside them.
import { execFileSync } from "node:child_process";
import { chmodSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { rolldown } from "rolldown";
import { ENTRIES, INTERNAL, internalOutputOf, outputOf, PROGRAMS } from "./entries.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
process.chdir(root);
rmSync("dist", { recursive: true, force: true });

const entries = {
  ...PROGRAMS,
  ...Object.fromEntries(Object.entries(ENTRIES).map(([entry, source]) => [outputOf(entry), source])),
  ...Object.fromEntries(
    Object.entries(INTERNAL).flatMap(([name, { types: _, ...byCondition }]) =>
      Object.entries(byCondition).map(([condition, source]) => [internalOutputOf(name, condition), source]),
    ),
  ),
};

// Each file that a program loads takes it about 1 ms, whatever is in it. So what `envelock` loads is in few chunks. One would do, but other
// entries are to load no more of it than they need: what runs without an engine no cryptography, worker threads no keyring.
const CHUNKS = {
  base: ["src/core/keyring/inspect.ts", "providers/conformance/index.ts", "src/core/base/", "src/core/contracts/"], // needs no engine
  engines: ["src/core/crypto/engine/node.ts", "src/core/crypto/engine/portable.ts"],
  body: [
    "src/core/stream/lanes/worker.ts",
    "src/core/stream/lanes/node.ts",
    "src/core/stream/lanes/portable.ts",
    "providers/local/index.ts",
  ],
  core: ["src/index.ts"],
  services: [],
};
/** What several entries share has a place by its path: files of their own would cost a program more than these few lines cost the others. */
const PLACED = {
  base: [
    "src/core/base/worker-file.ts",
    "src/core/base/base64.ts",
    "src/core/base/http-fetch.ts",
    "src/core/base/percent-encoded.ts",
    "src/core/base/single-flight.ts",
    "src/core/contracts/tenant-settings.ts",
  ],
  services: ["providers/http/"],
};

/** Two engines import another's file. Bundled, all would import one more, which takes every program on Node 1 ms more. */
const OVER_NODE = ["node-wasm.ts", "node-crypto.ts"];
const engineOfNode = {
  name: "engine-of-node",
  resolveId: (source, importer) =>
    source === "./node.ts" && OVER_NODE.some((name) => importer === `${root}src/core/crypto/engine/${name}`)
      ? { id: "./node.js", external: true }
      : null,
};

const bundle = await rolldown({
  input: entries,
  plugins: [engineOfNode],
  external: [/^[^./]/],
  platform: "neutral",
});
await bundle.write({
  dir: "dist",
  format: "es",
  entryFileNames: "[name].js",
  chunkFileNames: "chunks/[name].js",
  codeSplitting: {
    groups: Object.keys(CHUNKS).map((chunk, place) => ({
      name: (id, graph) => (isIn(chunk, id, graph) ? chunk : null),
      debugName: chunk,
      priority: Object.keys(CHUNKS).length - place,
    })),
  },
  sourcemap: "hidden", // for tests that ask what a file is made of; the package is readable as it is and goes without
});
await bundle.close();
chmodSync("dist/cli.js", 0o755); // npm does that when it installs, others may not

/** Whether a module goes into a chunk, unless one before has taken it: the files that a chunk is for share it with the root entry or with each other. */
function isIn(chunk, id, graph) {
  for (const [place, paths] of Object.entries(PLACED)) if (paths.some((path) => id.startsWith(root + path))) return chunk === place;
  if (Object.values(entries).some((path) => id === root + path)) return false;
  const isLoadedBy = (source) => (source.endsWith("/") ? id.startsWith(root + source) : reachable(root + source, graph).has(id));
  const loaders = CHUNKS[chunk].filter(isLoadedBy);
  return loaders.length > 1 || (loaders.length === 1 && isLoadedBy("src/index.ts"));
}

function reachable(id, graph, seen = new Set()) {
  if (seen.has(id)) return seen;
  seen.add(id);
  for (const next of graph.getModuleInfo(id)?.importedIds ?? []) reachable(next, graph, seen);
  return seen;
}

execFileSync("npx", ["tsc", "-p", ".config/tsconfig.build.json"], { stdio: "inherit" });
for (const path of readdirSync("dist/types", { recursive: true })) {
  if (path.endsWith(".d.ts")) writeFileSync(`dist/types/${path}`, forOlderCompilers(readFileSync(`dist/types/${path}`, "utf8")));
}

/**
 * Declarations that TypeScript 5.4 understands. Before 5.7 typed arrays had no parameter, and `Uint8Array<ArrayBuffer>` was `any` without
 * a word. What `slice` returns is `Uint8Array` there, and `Uint8Array<ArrayBuffer>` since. Imports end in `.js`, as every compiler resolves.
 */
function forOlderCompilers(declarations) {
  return declarations
    .replace(/((?:from|import) "|\bimport\(")(\.[^"]+)\.ts"/g, '$1$2.js"')
    .replaceAll("Uint8Array<ArrayBuffer>", 'ReturnType<Uint8Array["slice"]>');
}
