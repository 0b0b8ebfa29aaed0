import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { pages, ROOT } from "./code-blocks.ts";

test("every page is on the reading path or in an index that is on it", () => {
  const indexes = ["docs/README.md", "docs/recipes/README.md"];
  const linked = new Set([...indexes, ...indexes.flatMap((page) => targetsOf(page))]);
  const inDocs = pages().filter((page) => page.startsWith("docs/"));
  expect(inDocs.length).toBeGreaterThan(20);
  expect(inDocs.filter((page) => !linked.has(page))).toEqual([]);
});

test("every recipe has its row in the index", () => {
  const recipes = readdirSync(join(ROOT, "docs/recipes")).filter((name) => name !== "README.md");
  const index = readFileSync(join(ROOT, "docs/recipes/README.md"), "utf8");
  expect(recipes.filter((name) => !index.includes(`| [${name}](${name}) |`))).toEqual([]);
});

test("every link between pages leads to a file, and its anchor to a heading", () => {
  const links = pages().flatMap((page) => linksOf(page).map((link) => ({ page, link })));
  expect(links.length).toBeGreaterThan(100);
  expect(links.filter(({ page, link }) => !leadsSomewhere(page, link)).map(({ page, link }) => `${page}: ${link}`)).toEqual([]);
});

test("the check of links finds what is dead", () => {
  expect(leadsSomewhere("docs/README.md", "nowhere.md")).toBe(false);
  expect(leadsSomewhere("docs/README.md", "glossary.md#nothing-of-that-name")).toBe(false);
  expect(leadsSomewhere("docs/README.md", "#3-keys-and-rotation")).toBe(true);
});

/** Links within the repository. */
function linksOf(page: string): readonly string[] {
  const text = readFileSync(join(ROOT, page), "utf8").replace(/^( *)```[\s\S]*?^\1```$/gm, "");
  return [...text.matchAll(/\]\(([^)\s]+)\)/g)].flatMap(([, link = ""]) => (/^[a-z]+:/.test(link) ? [] : [link]));
}

function targetsOf(page: string): readonly string[] {
  return linksOf(page).map((link) => join(dirname(page), link.replace(/#.*$/, "")));
}

function leadsSomewhere(page: string, link: string): boolean {
  const [path = "", anchor] = link.split("#");
  const target = path === "" ? page : join(dirname(page), path);
  if (!existsSync(join(ROOT, target))) return false;
  return anchor === undefined || !target.endsWith(".md") || anchorsOf(target).includes(anchor);
}

/** As GitHub makes them: lower case, spaces as hyphens, punctuation dropped. */
function anchorsOf(page: string): readonly string[] {
  const headings = [...readFileSync(join(ROOT, page), "utf8").matchAll(/^#+ +(.*)$/gm)].map(([, heading = ""]) => heading);
  return headings.map((heading) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\p{M} _-]/gu, "")
      .replaceAll(" ", "-"),
  );
}
