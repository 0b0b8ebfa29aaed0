import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { cyclesIn, type Edge, ROOT } from "./imports.ts";
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

test("no built file imports itself through others, which bundlers warn of and which can load in the wrong order", () => {
  const paths = readdirSync(join(ROOT, "dist"), { recursive: true, encoding: "utf8" }).filter((path) => path.endsWith(".js"));
  const built = paths.flatMap((path) => builtImports(`dist/${path}`));
  expect(built.length).toBeGreaterThan(50);
  expect(cyclesIn(built)).toEqual([]);
});

test("a lane's worker thread loads what chunks need, and the base: no keyring, no data key", () => {
  const { sources } = loadedBy("./dist/lanes/worker.js");
  expect(sources).toEqual(expect.arrayContaining(["src/core/stream/chunk-job.ts", "src/core/crypto/engine/node.ts"]));
  expect(sources.filter((path) => /keyring\/(?!inspect\.)|data-key\/|src\/fields/.test(path))).toEqual([]);
});

test.each(ENTRIES.filter(({ name }) => name.startsWith("envelock/providers/")))("$name brings no other provider", ({ name, types }) => {
  const [, folder] = /dist\/types\/(providers\/[\w-]+)\//.exec(types) ?? [];
  const providers = loadedBy(name).sources.filter((path) => path.startsWith("providers/"));
  expect(providers.length).toBeGreaterThan(0);
  expect(providers.filter((path) => !path.startsWith(`${folder}/`) && !path.startsWith("providers/http/"))).toEqual([]);
});

test.each(
  ENTRIES.filter(({ name }) => name.startsWith("envelock/providers/")),
)("$name brings no keyring, and nothing that only one needs", ({ name }) => {
  const beyond = /^src\/(?:core\/(?:keyring\/(?!inspect\.)|key-source|resilience|telemetry|data-key)|fields)/;
  expect(loadedBy(name).sources.filter((path) => beyond.test(path))).toEqual([]);
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
  expect([...builtins, ...packages, ...sources.filter((path) => /^src\/core\/crypto\/(?!body-sizes\.)/.test(path))]).toEqual([]);
});

/** What a built file loads of the package, whatever the runtime. */
function builtImports(from: string): readonly Edge[] {
  const specifiers = [...readFileSync(join(ROOT, from), "utf8").matchAll(/^(?:import|export)\b[^"'\n]*"([.#][^"]+)";$/gm)].map(
    ([, name = ""]) => name,
  );
  return specifiers.flatMap((specifier) => {
    const targets = specifier.startsWith("#") ? Object.values(MANIFEST.imports[specifier] ?? {}) : [join(dirname(from), specifier)];
    return targets.map((to) => ({ from, to: join(to) }));
  });
}
