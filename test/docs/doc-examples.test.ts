import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ENTRIES } from "../../.config/entries.mjs";
import { sourceFiles } from "../package/imports.ts";
import { ROOT } from "./code-blocks.ts";

// What stands as @example before the functions and classes of the package.

const SOURCES = [...sourceFiles("src"), ...sourceFiles("providers")].map((path) => ({
  path,
  text: readFileSync(join(ROOT, path), "utf8"),
}));
const EXAMPLES = SOURCES.flatMap(({ path, text }) => examplesIn(text).map(({ line, code }) => ({ path, line, code })));
const TSC = join(ROOT, "node_modules/typescript/bin/tsc");

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(ROOT, "test/docs/.examples-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

test("every example of a doc comment compiles", () => {
  expect(EXAMPLES.length).toBeGreaterThan(60);
  for (const { path, line, code } of EXAMPLES) {
    mkdirSync(join(folder, path), { recursive: true });
    writeFileSync(join(folder, path, `line-${line}.ts`), `${code}\nexport {};\n`);
  }
  const options = { declaration: false, isolatedDeclarations: false, noUnusedLocals: false };
  writeFileSync(
    join(folder, "tsconfig.json"),
    JSON.stringify({ extends: "../../../tsconfig.json", compilerOptions: options, include: ["**/*.ts"] }),
  );
  const { status, stdout } = spawnSync(process.execPath, [TSC, "-p", folder, "--pretty", "false"], { cwd: folder, encoding: "utf8" });
  expect(stdout.split("\n").filter((line) => line !== "")).toEqual([]);
  expect(status).toBe(0);
});

test("every public value has an example", () => {
  const values = publicValues();
  expect(values.length).toBeGreaterThan(80);
  const without = values.filter(({ name }) => !SOURCES.some(({ text }) => commentOf(name, text)?.includes("@example") === true));
  expect(without.map(({ entry, name }) => `${entry} ${name}`)).toEqual([]);
});

interface Example {
  /** The line of the fence, from 1. */
  readonly line: number;
  readonly code: string;
}

function examplesIn(text: string): readonly Example[] {
  return [...text.matchAll(/^ *\* ```ts\n((?: *\*(?: .*)?\n)*?) *\* ```$/gm)].map(({ index, 1: lines = "" }) => ({
    line: text.slice(0, index).split("\n").length,
    code: lines.replace(/^ *\* ?/gm, ""),
  }));
}

/** The values among the reviewed list of public names, with the entry that has them. */
function publicValues(): readonly { readonly entry: string; readonly name: string }[] {
  let entry = "";
  return readFileSync(join(ROOT, "test/package/public-names.txt"), "utf8")
    .split("\n")
    .flatMap((line) => {
      if (line.startsWith("envelock")) entry = line;
      const [, name] = /^ {2}value (\w+)$/.exec(line) ?? [];
      return name === undefined ? [] : [{ entry, name }];
    });
}

/** The doc comment right before what declares a name. */
function commentOf(name: string, text: string): string | undefined {
  const pattern = new RegExp(`(/\\*\\*(?:(?!\\*/)[\\s\\S])*\\*/)\\n(?:export )?(?:async )?(?:function|class|const) ${name}\\b`);
  return pattern.exec(text)?.[1];
}

test("the table of entries is what the names are read by", () => {
  expect(new Set(publicValues().map(({ entry }) => entry.replace("envelock", "."))).size).toBeLessThanOrEqual(Object.keys(ENTRIES).length);
});
