import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { houseFiles } from "../../.config/write-house.ts";
import { FLOORS, PROVIDERS } from "./arrows.ts";
import { ROOT } from "./imports.ts";

const read = (path: string): string => readFileSync(join(ROOT, path), "utf8");

test.each([...houseFiles(read)])("%s is what npm run house makes", (path, expected) => {
  expect(read(path)).toBe(expected);
});

test("every room is named in the picture and in both lists", () => {
  const files = houseFiles(read);
  const texts = ["docs/house.svg", "CONTRIBUTING.md", "docs/design.md"].map((path) => files.get(path) ?? "");
  for (const { path } of [...FLOORS.flat(), ...PROVIDERS]) {
    const name = path.replace(/\/$/, "").split("/").at(-1) ?? path;
    expect(texts.filter((text) => !text.includes(name))).toEqual([]);
  }
});

test("every room and every inner room is a place that exists, and every provider is a room", () => {
  const inner = PROVIDERS.flatMap(({ path, inner: folders = [] }) => folders.flat().map((name) => path + name));
  expect([...FLOORS.flat().map(({ path }) => path), ...inner].filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
  const folders = readdirSync(join(ROOT, "providers"), { withFileTypes: true }).filter((entry) => entry.isDirectory());
  expect(folders.map(({ name }) => `providers/${name}/`).sort()).toEqual(PROVIDERS.map(({ path }) => path).sort());
});
