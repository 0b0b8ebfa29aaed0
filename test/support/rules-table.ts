import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { ROOT } from "../docs/code-blocks.ts";

/** A table of a docs page, as it is made from an adapter's rules. */
export function rulesTable(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return [line(heads), line(heads.map(() => "---")), ...rows.map(line)].join("\n");
}

/** Expects a row for each case in the table of a page that says what is refused. */
export function expectRows(page: string, cases: readonly (readonly [name: string, ...rest: unknown[]])[], by: string): void {
  const text = readFileSync(join(ROOT, page), "utf8");
  expect(cases.map(([name]) => `| ${name} | ${by} |`).filter((row) => !text.includes(row))).toEqual([]);
}
