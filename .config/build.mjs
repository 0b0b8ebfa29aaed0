// One bundled file per entry point, what they share in chunks, declarations beside them.
import { execFileSync } from "node:child_process";
import { chmodSync, rmSync } from "node:fs";
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
    Object.entries(INTERNAL).flatMap(([name, { node, default: portable }]) => [
      [internalOutputOf(name, "node"), node],
      [internalOutputOf(name, "default"), portable],
    ]),
  ),
};

// Each file that a program loads takes it about 1 ms, whatever is in it. So what `envelock` loads is in few chunks. One would do, but other
// entries are to load no more of it than they need: what runs without an engine no cryptography, worker threads no keyring.
const CHUNKS = {
  base: ["providers/conformance"],
  engines: ["engine/node", "engine/portable"],
  body: ["lanes/worker"],
  core: ["index"],
};

const bundle = await rolldown({
  input: entries,
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
  sourcemap: true,
});
await bundle.close();
chmodSync("dist/cli.js", 0o755); // npm does that when it installs, others may not

/** Whether a module goes into a chunk, unless one before has taken it: the chunk's entries share it with `index` or with each other. */
function isIn(chunk, id, graph) {
  if (Object.values(entries).some((path) => id === root + path)) return false;
  const isLoadedBy = (entry) => reachable(root + entries[entry], graph).has(id);
  const loaders = CHUNKS[chunk].filter(isLoadedBy);
  return loaders.length > 1 || (loaders.length === 1 && isLoadedBy("index"));
}

function reachable(id, graph, seen = new Set()) {
  if (seen.has(id)) return seen;
  seen.add(id);
  for (const next of graph.getModuleInfo(id)?.importedIds ?? []) reachable(next, graph, seen);
  return seen;
}

execFileSync("npx", ["tsc", "-p", ".config/tsconfig.build.json"], { stdio: "inherit" });
