import { readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ROOT } from "./imports.ts";
import { deadLinks, headingsOf, targetsIn } from "./links.ts";
import { packList } from "./packed.ts";

test("every link in the repository leads to a file, and to a heading that the file has", () => {
  const files = readdirSync(ROOT, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? filesIn(entry.name) : [entry.name]));
  expect(files).toContain("docs/recipes/drizzle.md");
  expect(deadLinks(files)).toEqual([]);
});

test("every link in the package leads to a file of the package", () => {
  const files = packList();
  expect(files).toContain("README.md");
  expect(deadLinks(files)).toEqual([]);
});

test("a link that leads nowhere is found", () => {
  expect(deadLinks(["README.md"])).toContain("README.md docs/format.md");
  expect(targetsIn('[a](b.md#c) `[d](e)` [f](https://g) ![h](i.svg "j") <img src="k.svg">')).toEqual(["b.md#c", "i.svg", "k.svg"]);
  expect([...headingsOf("# A b\n## A b\n```\n# no\n```\n### 4.1 `key` of [it](x), twice\n")]).toEqual([
    "a-b",
    "a-b-1",
    "41-key-of-it-twice",
  ]);
});

function filesIn(folder: string): readonly string[] {
  if (["node_modules", "dist", "coverage", ".git"].includes(folder)) return [];
  const paths = readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" });
  return paths.filter((path) => !/(^|\/)\./.test(path)).map((path) => `${folder}/${path}`); // hidden: where other tests work
}
