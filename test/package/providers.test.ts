import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ENTRIES } from "../../.config/entries.mjs";
import { PROVIDERS } from "./arrows.ts";
import { ROOT } from "./imports.ts";

// What CONTRIBUTING.md says a provider consists of, for each one that is there.

const NAMES = PROVIDERS.filter(({ isShared }) => isShared !== true).map(({ path }) => path.split("/").at(1) ?? path);
const read = (path: string): string => readFileSync(join(ROOT, path), "utf8");

test.each(NAMES)("%s has an entry and a row in both lists of providers", (name) => {
  expect(Object.entries(ENTRIES)).toContainEqual([`./providers/${name}`, `providers/${name}/index.ts`]);
  expect(read("README.md")).toMatch(new RegExp(`docs/providers/${name}\\.md|envelock/providers/${name}`));
  expect(read("providers/README.md")).toMatch(new RegExp(`^\\| \\[?${name}\\b`, "m"));
});

test.each(NAMES.filter((name) => name !== "conformance"))("%s has tests and a page", (name) => {
  expect(existsSync(join(ROOT, "test/providers", name))).toBe(true);
  expect(read(`docs/providers/${name}.md`)).toContain(`envelock/providers/${name}`);
});
