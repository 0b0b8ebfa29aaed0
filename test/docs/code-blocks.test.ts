import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { blocksOf, pages, ROOT, writeBlock } from "./code-blocks.ts";

const BLOCKS = pages().flatMap(blocksOf);
const COMPILED = BLOCKS.filter(({ language, note }) => language === "ts" && note === "");

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(ROOT, "test/docs/.blocks-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

test("every block of TypeScript compiles under this repository's options", () => {
  for (const block of COMPILED) writeBlock(folder, block);
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(TSCONFIG));
  const { status, stdout } = spawnSync(process.execPath, [TSC, "-p", folder, "--pretty", "false"], { cwd: folder, encoding: "utf8" });
  expect(onPages(stdout)).toEqual([]);
  expect(status).toBe(0);
});

test("the pages that are read first have code to compile", () => {
  const withCode = new Set(COMPILED.map(({ page }) => page));
  expect([...withCode]).toEqual(expect.arrayContaining(["README.md", "providers/README.md"]));
});

test("TypeScript is called ts, and a block that is not compiled says why: ```ts ignore: reason", () => {
  const otherwise = BLOCKS.filter(({ language }) => /^(js|javascript|mjs|mts|tsx|typescript)$/i.test(language));
  const unreasoned = BLOCKS.filter(({ language, note }) => language === "ts" && note !== "" && !/^ignore: \w.{9,}/.test(note));
  expect([...otherwise, ...unreasoned].map(({ page, line }) => `${page}:${line}`)).toEqual([]);
});

/** The compiler's lines, with the page in place of the module that was made of it. */
function onPages(output: string): readonly string[] {
  const place = /^(.*)\/[\w-]+\.ts\((\d+),(\d+)\): /;
  const lines = output.split("\n").filter((line) => line !== "");
  return lines.map((line) => line.replace(place, (_, page: string, row: string, column: string) => `${page}:${row}:${column} `));
}

const TSC = join(ROOT, "node_modules/typescript/bin/tsc");
// Users need not isolate their declarations.
const TSCONFIG = {
  extends: "../../../tsconfig.json",
  compilerOptions: { declaration: false, isolatedDeclarations: false },
  include: ["**/*.ts"],
};
