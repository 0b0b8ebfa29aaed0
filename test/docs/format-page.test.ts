import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { examples } from "../format/examples.ts";
import { FORMAT_PAGE, generatedFiles, VECTORS_FOLDER, withExamples } from "../format/generate-vectors.ts";

// docs/vectors/ and the examples of docs/format.md are what `npm run vectors` makes.

describe("docs/vectors", () => {
  const files = generatedFiles();

  test.each([...files])("%s is what the second writer makes", (name, contents) => {
    const stored = readFileSync(`${VECTORS_FOLDER}${name}`);
    expect(Buffer.compare(stored, Buffer.from(contents))).toBe(0);
  });

  test("holds nothing else but its README, which names every file", () => {
    expect(readdirSync(VECTORS_FOLDER).sort()).toEqual(["README.md", ...files.keys()].sort());
    const readme = readFileSync(`${VECTORS_FOLDER}README.md`, "utf8");
    expect([...files.keys()].filter((name) => !readme.includes(`\`${name}\``))).toEqual([]);
  });
});

describe("docs/format.md", () => {
  const page = readFileSync(FORMAT_PAGE, "utf8");

  test("shows the generated examples, all of them", () => {
    expect(withExamples(page)).toBe(page);
    expect(Object.keys(examples())).toHaveLength(14);
  });

  test("shows no other hex: every long run of digits is one of the examples'", () => {
    const shown = Object.values(examples()).join("\n");
    const runs = page.match(/\b[0-9a-f]{24,}\b/g) ?? [];
    expect(runs.length).toBeGreaterThan(50);
    expect(runs.filter((run) => !shown.includes(run))).toEqual([]);
  });

  test("renews an example that was changed by hand", () => {
    expect(withExamples(page.replace(/64d049eb/g, "00000000"))).toBe(page);
  });
});
