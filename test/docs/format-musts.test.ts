import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";

// Each rule of docs/format.md is held by a test that cites it as `format.md [M-12]`, or by a vector that `breaks` it: the suite runs
// those under the same citation (test/core/format-vectors.test.ts).

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const page = readFileSync(join(ROOT, "docs/format.md"), "utf8");
const rules: readonly string[] = [...page.matchAll(/\*\*\[(M-\d+)\]\*\*/g)].map(([, id = ""]) => id);

describe("the rules of docs/format.md", () => {
  test("have numbers that differ", () => {
    expect(rules.length).toBeGreaterThan(50);
    expect(rules.filter((id, at) => rules.indexOf(id) !== at)).toEqual([]);
  });

  test("are all numbered: no MUST stands in a paragraph without one", () => {
    const paragraphs = page.split(/\n\n|\n(?=- |\| |\d+\. )/);
    const musts = paragraphs.filter((text) => /\bMUST\b/.test(text) && !text.includes("**MUST** and **MUST NOT** state a rule"));
    expect(musts.filter((text) => !/^- \*\*\[M-\d+\]\*\*/.test(text))).toEqual([]);
    expect(musts).toHaveLength(rules.length);
  });

  test("are each cited by a test or broken by a vector", () => {
    const cited = new Set([...citations().map(({ id }) => id), ...broken().map(({ id }) => id)]);
    expect(rules.filter((id) => !cited.has(id))).toEqual([]);
  });

  test("are there for each citation", () => {
    const known = new Set(rules);
    const all = [...citations(), ...broken(), ...mentions()];
    expect(all.length).toBeGreaterThan(500);
    expect(all.filter(({ id }) => !known.has(id))).toEqual([]);
  });
});

describe("the sections of docs/format.md", () => {
  test("are there for each citation in code and tests", () => {
    const headings = new Set([...page.matchAll(/^#{2,3} (\d+(?:\.\d+)?) /gm)].map(([, number = ""]) => number));
    const cited = sources("src", "providers", "test").flatMap(({ path, text }) =>
      [...text.matchAll(/format\.md ((?:(?:, | and |-)?§\d+(?:\.\d+)?)+)/g)].flatMap(([, list = ""]) =>
        [...list.matchAll(/§(\d+(?:\.\d+)?)/g)].map(([, number = ""]) => ({ path, number })),
      ),
    );
    expect(cited.length).toBeGreaterThan(20);
    expect(cited.filter(({ number }) => !headings.has(number))).toEqual([]);
  });
});

interface Citation {
  readonly id: string;
  readonly where: string;
}

/** `format.md [M-1]`, also of several rules: `format.md [M-1] [M-2]`. */
function citations(): readonly Citation[] {
  const tests = sources("test").filter(({ path }) => path.endsWith(".test.ts"));
  return tests.flatMap(({ path, text }) =>
    [...text.matchAll(/format\.md ((?:\[M-\d+\] ?)+)/g)].flatMap(([, list = ""]) =>
      [...list.matchAll(/\[(M-\d+)\]/g)].map(([, id = ""]) => ({ id, where: path })),
    ),
  );
}

function broken(): readonly Citation[] {
  const folder = join(ROOT, "docs/vectors");
  return readdirSync(folder)
    .filter((name) => name.endsWith(".json"))
    .flatMap((name) =>
      [...readFileSync(join(folder, name), "utf8").matchAll(/"breaks":"([^"]*)"/g)].map(([, id = ""]) => ({ id, where: name })),
    );
}

/** What the page says of its own rules. */
function mentions(): readonly Citation[] {
  return [...page.matchAll(/\[(M-\d+)\]/g)].map(([, id = ""]) => ({ id, where: "docs/format.md" }));
}

function sources(...folders: readonly string[]): readonly { readonly path: string; readonly text: string }[] {
  return folders
    .flatMap((folder) => readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" }).map((path) => join(folder, path)))
    .filter((path) => path.endsWith(".ts") && !path.endsWith("format-musts.test.ts"))
    .map((path) => ({ path, text: readFileSync(join(ROOT, path), "utf8") }));
}
