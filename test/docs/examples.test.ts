import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ROOT } from "./code-blocks.ts";
import { expectExampleRuns, SAYS } from "./example-programs.ts";

const FOLDER = join(ROOT, "docs/examples");
const PROGRAMS = readdirSync(FOLDER).filter((name) => name.endsWith(".ts"));

test("every example is run, and has its row on the page", () => {
  expect(PROGRAMS.toSorted()).toEqual(Object.keys(SAYS).toSorted());
  const page = readFileSync(join(FOLDER, "README.md"), "utf8");
  expect(PROGRAMS.filter((name) => !page.includes(`| [${name}](${name}) |`))).toEqual([]);
});

test.each(PROGRAMS)("%s imports what an application imports, and nothing of this repository", (name) => {
  const specifiers = [...readFileSync(join(FOLDER, name), "utf8").matchAll(/ from "([^"]+)"/g)].map(([, specifier]) => specifier);
  expect(specifiers.length).toBeGreaterThan(0);
  expect(specifiers.filter((specifier) => specifier?.startsWith("."))).toEqual([]);
});

test.each(PROGRAMS)("%s runs on the built package", (name) => expectExampleRuns(name), 180_000);
