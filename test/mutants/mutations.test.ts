import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { EQUIVALENT } from "./equivalent.ts";
import { codeOf, mutationsOf } from "./mutations.ts";
import { rootPath } from "./root.ts";

// What `npm run mutants` changes. The long run is done by hand; here it is shown that it would change what it should.

describe("mutations", () => {
  const afterOf = (line: string): readonly string[] => mutationsOf(line).map(({ after }) => after);

  test("change operators, numbers, conditions and statements", () => {
    expect(afterOf("if (a < 24) return b;")).toEqual(["if (a <= 24) return b;", "if (a < 25) return b;", "if (Boolean(0)) return b;"]);
    expect(afterOf("  wipe(key, base);")).toEqual([";"]);
    expect(afterOf("x = a && !b;")).toEqual(["x = a || !b;", "x = a && b;"]);
    expect(afterOf('const LABEL = ascii("envelock");')).toEqual(['const LABEL = ascii("envelockx");']);
  });

  test("leave comments, messages, types and imports alone", () => {
    expect(afterOf('import { a } from "1";')).toEqual([]);
    expect(afterOf("// a < 24")).toEqual([]);
    expect(afterOf("let bytes: Uint8Array | undefined;")).toEqual([]);
    expect(afterOf('fail("a < 24");')).toEqual([]);
    expect(codeOf('a("<" /* 1 */); // 2')).toBe(`a(${" ".repeat(11)});     `);
  });

  test("known to be equivalent are those of lines that are there, each with its reason", () => {
    for (const { path, before, why } of EQUIVALENT) {
      expect(readFileSync(rootPath(path), "utf8"), before).toContain(before);
      expect(why.length).toBeGreaterThan(10);
    }
  });
});
