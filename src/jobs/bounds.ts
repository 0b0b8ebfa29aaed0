import { invalidArgument } from "../core/base/errors.ts";
import { count } from "../core/resilience/checks.ts";
import { requireKeys, type TableKey } from "../fields/jobs/column-job.ts";
import { Marks } from "../fields/jobs/marks.ts";
import { Headway, pagesOf } from "../fields/jobs/pages.ts";
import type { Cuts } from "./work.ts";

/**
 * Cuts integer keys into parts of equal width. The last part has no end, so that rows that come in meanwhile belong to it.
 *
 * @param least the smallest key of the table; `most` the largest
 * @throws `invalid-argument`
 * @example
 * ```ts
 * import { integerBounds } from "envelock/jobs";
 *
 * export const bounds = (n: number) => integerBounds(1, 50_000_000, n);
 * ```
 */
export function integerBounds(least: number, most: number, n: number): readonly number[] {
  if (!Number.isSafeInteger(least) || !Number.isSafeInteger(most) || most < least)
    throw invalidArgument("least and most are integers, least is not above most");
  const parts = count(n, "n", MOST_PARTS) + 1;
  const bounds = Array.from({ length: n }, (_, at) => Math.floor(least - 1 + ((most - least + 1) * (at + 1)) / parts));
  return [...new Set(bounds)].filter((bound) => bound >= least && bound < most);
}

/**
 * Cuts UUIDs, as PostgreSQL's type `uuid` orders them, into parts of equal width, for keys that are random.
 *
 * @throws `invalid-argument`
 * @example
 * ```ts
 * import { uuidBounds } from "envelock/jobs";
 *
 * export const bounds = (n: number) => uuidBounds(n);
 * ```
 */
export function uuidBounds(n: number): readonly string[] {
  const parts = BigInt(count(n, "n", MOST_PARTS) + 1);
  return Array.from({ length: n }, (_, at) => {
    const hex = (((1n << 128n) * BigInt(at + 1)) / parts).toString(16).padStart(32, "0");
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
  });
}

/** Cuts a table by reading the keys of all rows. */
export async function walkedBounds(
  rows: (after: TableKey | undefined, limit: number) => Promise<readonly { readonly key: TableKey }[]>,
  wanted: Pick<Cuts, "least" | "most" | "rowsEach">,
  signal: AbortSignal | undefined,
): Promise<{ readonly rows: number; readonly bounds: readonly TableKey[] }> {
  const marks = new Marks<TableKey>();
  const reader = {
    async read(after: TableKey | undefined, limit: number) {
      const page = await rows(after, limit);
      requireKeys(page);
      return page;
    },
    placeOf: ({ key }: { readonly key: TableKey }) => key,
  };
  const headway = new Headway();
  for await (const { rows: page, last } of pagesOf(reader, undefined, signal)) {
    headway.reached(last);
    for (const { key } of page) marks.add(key);
  }
  return { rows: marks.rows, bounds: marks.cuts(wanted) };
}

/** Asks the caller for the bounds of a table whose rows nothing has counted. None for one part. */
export async function askedBounds<T>(
  bounds: (n: number) => Promise<readonly T[]> | readonly T[],
  { least, most }: Pick<Cuts, "least" | "most">,
): Promise<readonly T[]> {
  const parts = Math.min(most, Math.max(least, UNCOUNTED_PARTS));
  return parts === 1 ? [] : await bounds(parts - 1);
}

/** The most partitions of a job. */
export const MOST_PARTS = 4096;
/** The parts of a table whose rows nothing has counted, unless the caller wants another number. */
const UNCOUNTED_PARTS = 64;
