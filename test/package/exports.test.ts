import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ROOT } from "./imports.ts";
import { loadedBy } from "./loaded.ts";
import { ENTRIES, MANIFEST } from "./manifest.ts";

// About what `npm run build` made, in a process of its own for each entry.

test.each(ENTRIES)("$name has a module, and types that come first", (entry) => {
  expect([entry.types, entry.default].filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
  expect(Object.keys(entry)).toEqual(["name", "types", "default"]);
});

test("what the import map and the command stand for is there", () => {
  const paths = [...Object.values(MANIFEST.imports).flatMap((targets) => Object.values(targets)), ...Object.values(MANIFEST.bin)];
  expect(paths.filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
});

test("exports are named one by one", () => {
  expect(Object.keys(MANIFEST.exports).filter((path) => path.includes("*"))).toEqual([]);
});

test("envelock loads itself and parts of Node: no provider, no package, not the portable engine, not the command line", () => {
  const { builtins, packages, sources } = loadedBy("envelock");
  expect(builtins).toEqual(["node:crypto"]);
  expect(packages).toEqual([]);
  expect(sources).toEqual(expect.arrayContaining(["src/core/keyring/keyring.ts", "src/core/crypto/engine/node.ts"]));
  expect(sources.filter((path) => /^providers\/|^src\/cli\/|portable/.test(path))).toEqual([]);
});

test("envelock is few files, for each takes its time to load", () => {
  expect(loadedBy("envelock").modules.length).toBeLessThanOrEqual(7);
});

test("a lane's worker thread loads what chunks need, no keyring and no format", () => {
  const { sources } = loadedBy("./dist/lanes/worker.js");
  expect(sources).toEqual(expect.arrayContaining(["src/core/stream/chunk-job.ts", "src/core/crypto/engine/node.ts"]));
  expect(sources.filter((path) => /keyring|envelope|src\/field/.test(path))).toEqual([]);
});

test.each(ENTRIES.filter(({ name }) => name.startsWith("envelock/providers/")))("$name brings no other provider", ({ name, types }) => {
  const [, folder] = /dist\/types\/(providers\/[\w-]+)\//.exec(types) ?? [];
  const providers = loadedBy(name).sources.filter((path) => path.startsWith("providers/"));
  expect(providers.length).toBeGreaterThan(0);
  expect(providers.filter((path) => !path.startsWith(`${folder}/`))).toEqual([]);
});

test.each(["envelock/providers/local", "envelock/providers/local-hybrid"])("%s loads no package until one is needed", (entry) => {
  expect(loadedBy(entry)).toMatchObject({ builtins: ["node:crypto"], packages: [] });
});

test.each([
  "envelock/providers/conformance",
  "envelock/stores/conformance",
  "envelock/stores/postgres",
  "envelock/stores/sqlite",
])("%s runs where neither Node nor an engine is", (entry) => {
  const { builtins, packages, sources } = loadedBy(entry);
  expect([...builtins, ...packages, ...sources.filter((path) => path.startsWith("src/core/crypto/"))]).toEqual([]);
});
