import { expect, test } from "vitest";
import type { ScanPage, StoredDataKey } from "../../../src/core/contracts/data-key-store.ts";
import { Marks } from "../../../src/fields/jobs/marks.ts";
import { walkedCuts } from "../../../src/fields/jobs/walked-cuts.ts";
import { pageOf } from "../../../src/fields/stores/memory.ts";
import { newRow } from "../../../src/stores/conformance/bench.ts";

const ROWS: readonly StoredDataKey[] = Array.from({ length: 1000 }, (_, at) => newRow(`s${`${at}`.padStart(4, "0")}`));

test.each([2, 4, 7, 16])("rows are cut into %d parts of about the same size, and none is left out", async (parts) => {
  const { rows, bounds } = await walkedCuts(async (page) => pageOf(ROWS, page), { least: parts, most: parts, rowsEach: 10 }, undefined);
  expect(rows).toBe(1000);
  expect(bounds).toHaveLength(parts - 1);
  expect([...bounds].sort()).toEqual(bounds);
  const sizes = [...bounds, "t"].map((bound, at) => ROWS.filter(({ scope }) => scope <= bound && scope > (bounds[at - 1] ?? "")).length);
  for (const size of sizes) expect(Math.abs(size - 1000 / parts)).toBeLessThanOrEqual(17);
});

test("the number of parts follows that of rows, within its limits", async () => {
  const cut = async (wanted: { readonly least: number; readonly most: number; readonly rowsEach: number }) =>
    (await walkedCuts(async (page) => pageOf(ROWS, page), wanted, undefined)).bounds.length + 1;
  expect(await cut({ least: 1, most: 4096, rowsEach: 100 })).toBe(10);
  expect(await cut({ least: 1, most: 4, rowsEach: 100 })).toBe(4);
  expect(await cut({ least: 1, most: 4096, rowsEach: 5000 })).toBe(1);
});

test("a range is cut within its ends", async () => {
  const range = { after: "s0499", to: "s0899", least: 2, most: 2, rowsEach: 10 };
  const { rows, bounds } = await walkedCuts(async (page) => pageOf(ROWS, page), range, undefined);
  expect(rows).toBe(400);
  expect(bounds).toHaveLength(1);
  expect(bounds[0] !== undefined && bounds[0] > "s0660" && bounds[0] < "s0740").toBe(true);
});

test("no rows have no cuts, and one scope has none inside", async () => {
  expect(await walkedCuts(async () => [], { least: 16, most: 16, rowsEach: 10 }, undefined)).toEqual({ rows: 0, bounds: [] });
  const one = Array.from({ length: 600 }, (_, at) => newRow("s", { version: at + 1 }));
  const { bounds } = await walkedCuts(async (page) => pageOf(one, page), { least: 3, most: 3, rowsEach: 10 }, undefined);
  expect(new Set(bounds).size).toBe(bounds.length);
});

test("an aborted signal ends it before the next page", async () => {
  const controller = new AbortController();
  const scan = async (page: ScanPage): Promise<readonly StoredDataKey[]> => {
    controller.abort(new Error("enough"));
    return pageOf(ROWS, page);
  };
  await expect(walkedCuts(scan, { least: 2, most: 2, rowsEach: 10 }, controller.signal)).rejects.toThrow("enough");
});

test("a large table is cut evenly by a bounded number of marks", () => {
  const marks = new Marks<number>();
  for (let row = 1; row <= 1_000_000; row++) marks.add(row);
  const bounds = marks.cuts({ least: 1, most: 4096, rowsEach: 1 });
  expect(bounds).toHaveLength(4095);
  for (const [at, bound] of bounds.entries()) expect(Math.abs(bound - (1_000_000 * (at + 1)) / 4096)).toBeLessThanOrEqual(16);
});
