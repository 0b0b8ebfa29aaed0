import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { ROOT, sourceFiles } from "./imports.ts";

const SHIPPED = [...sourceFiles("src"), ...sourceFiles("providers")];
const ALL = [...SHIPPED, ...sourceFiles("test")];

test("the root holds what it always holds", () => {
  const isMade = (name: string): boolean => ["node_modules", "dist", "coverage", ".git"].includes(name) || name.endsWith(".tgz");
  expect(readdirSync(ROOT).filter((name) => !isMade(name) && !IN_THE_ROOT.includes(name))).toEqual([]);
});

describe("what no shipped file does, but for the ones that are named", () => {
  test.each<[string, RegExp, readonly string[]]>([
    ["reads the environment", /\bprocess\.env\b|\benv\b.*from "node:process"/, ["src/cli/"]],
    ["reads a clock", /\bDate\.now\(|\bnew Date\(\)|\bperformance\.now\(/, ["src/cli/", "src/core/base/clock.ts"]],
    ["takes chance from where it can be guessed", /\bMath\.random\b/, []],
    ["casts", /^(?!import|export|\s+\w+ as \w+,$).* as (?!const\b)/, ["src/core/base/bytes.ts"]],
  ])("%s", (_what, pattern, allowed) => {
    expect(linesWith(pattern, SHIPPED, true).filter((line) => !allowed.some((path) => line.startsWith(path)))).toEqual([]);
  });
});

test("nothing silences the compiler or the linter, and no work is left for later", () => {
  const others = ALL.filter((path) => path !== "test/package/house-rules.test.ts");
  expect(linesWith(/@ts-(ignore|expect-error|nocheck)|biome-ignore|\b(TODO|FIXME)\b/, others, false)).toEqual([]);
});

test("no test is left out or singled out", () => {
  expect(linesWith(/\b(test|it|describe)\.(skip|only|todo|fails)\b/, ALL, true)).toEqual([]);
});

test("files are named in kebab case", () => {
  expect(ALL.filter((path) => !/^[a-z0-9-]+(\/[a-z0-9-]+)*(\.test)?\.ts$/.test(path))).toEqual([]);
});

/** Where a pattern is found, outside the contents of strings and comments where `isCode`. */
function linesWith(pattern: RegExp, files: readonly string[], isCode: boolean): readonly string[] {
  return files.flatMap((path) => {
    const text = readFileSync(join(ROOT, path), "utf8");
    const code = isCode ? text.replace(COMMENT, "").replace(STRING, (found) => found.replace(/[^\n]/g, "")) : text;
    return code.split("\n").flatMap((line, index) => (pattern.test(line) ? [`${path}:${index + 1} ${line.trim()}`] : []));
  });
}

const COMMENT = /^ *(\/\*|\*|\/\/).*$| \/\/ .*$/gm;
const STRING = /"[^"\n]*"|'[^'\n]*'|`[^`]*`/g;
const IN_THE_ROOT: readonly string[] = [
  ".ci",
  ".config",
  ".github",
  ".gitignore",
  "CHANGELOG.md",
  "CONTRIBUTING.md",
  "LICENSE",
  "README.md",
  "RELEASING.md",
  "SECURITY.md",
  "bench",
  "biome.json",
  "docs",
  "package-lock.json",
  "package.json",
  "providers",
  "src",
  "test",
  "tsconfig.json",
];
