import { EnvelockError, invalidArgument } from "../core/base/errors.ts";
import { type ColumnJob, type ColumnRow, checkColumnJob, columnSlice, requireKeys, type TableKey } from "../fields/jobs/column-job.ts";
import { type ReencryptTableOptions, reencryption } from "../fields/jobs/reencrypt-table.ts";
import { askedBounds, walkedBounds } from "./bounds.ts";
import { type Bound, isBound } from "./records.ts";
import type { Cuts, JobWork, SliceTask } from "./work.ts";

/** @typeParam T the type of the column's values */
export interface ColumnWorkOptions<T> extends Pick<ReencryptTableOptions<T>, "cipher" | "update"> {
  /** The column, for instance `users.email`. A worker whose column is another leaves the job alone. */
  readonly column: string;
  /**
   * Returns the next rows in the order of their keys, at most `limit`, none only at the end: `where id > :after and id <= :to order by id
   * limit :limit`. Without `to` the rows end with the table.
   */
  rows(after: TableKey | undefined, limit: number, to: TableKey | undefined): Promise<readonly ColumnRow<T>[]>;
  /**
   * Returns keys in the order of the table, at most `n`, each the last one of a part of about the same size: `integerBounds`, `uuidBounds`
   * or a statement of the database. By default all rows are read to find them.
   */
  readonly bounds?: (n: number) => Promise<readonly TableKey[]> | readonly TableKey[];
}

/** Makes the work of a re-encryption of a column. @throws `invalid-argument` */
export function columnWork<T>({ column, cipher, update, rows, bounds }: ColumnWorkOptions<T>): JobWork {
  checkColumnJob<T, ColumnRow<T>>({ rows: (after, limit) => rows(after, limit, undefined), update });
  if (typeof rows !== "function") throw invalidArgument("rows is a function");
  if (typeof column !== "string" || !COLUMN.test(column))
    throw invalidArgument("column is 1 to 100 printable ASCII characters without spaces");
  if (typeof cipher !== "function" && typeof cipher?.encrypt !== "function")
    throw invalidArgument("cipher is a cipher of a column, or a function");
  if (bounds !== undefined && typeof bounds !== "function") throw invalidArgument("bounds is a function");
  return {
    kind: `reencrypt-table/1:${column}`,
    hasVerify: false,
    rates: [],
    prepare: async () => null,
    async cuts({ after, to, ...wanted }: Cuts, signal) {
      if (after !== undefined || to !== undefined) return { rows: 0, bounds: middleOf(after, to) };
      if (bounds === undefined) return await walkedBounds((last, limit) => rows(last, limit, undefined), wanted, signal);
      const found = await askedBounds(bounds, wanted);
      if (!Array.isArray(found) || !found.every(isBound) || new Set(found).size < found.length || !found.every(isBehindOther))
        throw invalidArgument("bounds gives a list of keys in ascending order, each once");
      return { rows: 0, bounds: found };
    },
    run: (task) => runSlice({ cipher, update, rows }, task),
  };
}

async function runSlice<T>(
  { cipher, update, rows }: Pick<ColumnWorkOptions<T>, "cipher" | "update" | "rows">,
  task: SliceTask,
): Promise<boolean> {
  const { from, to, after, counts, concurrency, signal } = task;
  const options: ColumnJob<T, ColumnRow<T>> = {
    async rows(last, limit) {
      const page = await rows(last, limit, to ?? undefined);
      requireKeys(page);
      requireInRange(page, last, to);
      return page;
    },
    update,
    concurrency,
    ...(signal !== undefined && { signal }),
  };
  const start = { after: checkpointIn(after, from, to) ?? from ?? undefined, counts };
  return await columnSlice(options, reencryption<T>(cipher), start, async ({ last, counts: now, failed }) =>
    task.afterPage({
      last,
      counts: now,
      keyVersions: {},
      failed: failed.map(({ key, error }) => ({ place: `${typeof key}/${key}`, error, tenant: undefined, isThrottled: false })),
    }),
  );
}

/**
 * Refuses rows that another partition has too, as far as this process knows the order: that of texts is the database's.
 *
 * @throws `invalid-argument`
 */
function requireInRange(page: readonly { readonly key: TableKey }[], after: TableKey | undefined, to: Bound | null): void {
  let before = after;
  for (const { key } of page) {
    const isBefore = typeof key === "number" && typeof before === "number" && key <= before;
    const isBeyond = typeof key === "number" && typeof to === "number" && key > to;
    if (isBefore || isBeyond)
      throw invalidArgument("`rows` gave a row that is not in its range", "where id > :after and id <= :to order by id limit :limit");
    before = key;
  }
}

/** The middle of two integers. Other keys are not split. */
function middleOf(after: Bound | undefined, to: Bound | undefined): readonly Bound[] {
  if (typeof after !== "number" || typeof to !== "number" || to - after < FEWEST_KEYS) return [];
  return [Math.floor((after + to) / 2)];
}

/** Whether a bound is behind the one before it, as far as this process knows the order: that of texts is the database's. */
function isBehindOther(bound: Bound, at: number, bounds: readonly Bound[]): boolean {
  const before = bounds[at - 1];
  return typeof bound !== "number" || typeof before !== "number" || bound > before;
}

/** @throws `provider-failure` for a checkpoint outside of its partition, as far as this process knows the order: that of texts is the database's */
function checkpointIn(after: SliceTask["after"], from: Bound | null, to: Bound | null): TableKey | undefined {
  if (after === null || typeof after === "string") return after ?? undefined;
  const isOutside = (bound: Bound | null, isBeyond: (bound: number, key: number) => boolean): boolean =>
    typeof bound === "number" && typeof after === "number" && isBeyond(bound, after);
  if (typeof after !== "number" || isOutside(from, (bound, key) => key <= bound) || isOutside(to, (bound, key) => key > bound))
    throw new EnvelockError("provider-failure", "the store holds a partition of a column whose checkpoint lies outside of it");
  return after;
}

const COLUMN = /^[\x21-\x7e]{1,100}$/;
const FEWEST_KEYS = 512;
