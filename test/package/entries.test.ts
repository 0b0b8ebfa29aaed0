import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ENTRIES, INTERNAL, PROGRAMS } from "../../.config/entries.mjs";
import { EXPORTS, IMPORTS, PATHS } from "../../.config/write-entries.mjs";
import { ROOT } from "./imports.ts";
import { MANIFEST } from "./manifest.ts";

test("package.json and tsconfig.json say of entry points what the table says: npm run entries", () => {
  const { compilerOptions } = JSON.parse(readFileSync(join(ROOT, "tsconfig.json"), "utf8"));
  expect(MANIFEST.exports).toEqual(EXPORTS);
  expect(Object.keys(MANIFEST.exports)).toEqual(Object.keys(EXPORTS));
  expect(MANIFEST.imports).toEqual(IMPORTS);
  expect(compilerOptions.paths).toEqual(PATHS);
});

test("every source in the table is there", () => {
  const sources = [...Object.values(ENTRIES), ...Object.values(PROGRAMS), ...Object.values(INTERNAL).flatMap(Object.values<string>)];
  expect(sources.length).toBeGreaterThan(20);
  expect(sources.filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
});
