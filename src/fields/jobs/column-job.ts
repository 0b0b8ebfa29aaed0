import { EnvelockError, type ErrorCode, invalidArgument } from "../../core/base/errors.ts";
import type { OptionNames } from "../../core/base/options.ts";
import type { RowId } from "../field-options.ts";
import { type Checkpoint, loadCheckpoint, saveCheckpoint } from "./checkpoint.ts";
import { Failures } from "./failures.ts";
import { Headway, inParallel, JOB_OPTIONS, type JobOptions, pagesOf, type RowReader, workersOf } from "./pages.ts";
import type { AfterPage } from "./rewrap-slice.ts";

/** The key by which a table is read in order: its primary key, a bigint as text. */
export type TableKey = string | number;

/** The options of every job over the values of a column. */
export interface ColumnJob<T, R extends ColumnRow<T>> extends JobOptions {
  /**
   * Returns the next rows in the order of their keys, at most `limit`, none only at the end: `where id > :after order by id limit :limit`.
   */
  rows(after: TableKey | undefined, limit: number): Promise<readonly R[]>;
  /**
   * Replaces `from` by `to`: `update users set email = :to where id = :key and email = :from`.
   *
   * @returns whether a row was changed; if not, it is read again
   */
  update(change: ColumnChange<T>): Promise<boolean>;
  /** Whether the job only counts what it would do, and changes nothing. */
  readonly dryRun?: boolean;
  /** The place for the progress of this job on this column, to continue from. Not used in a dry run. */
  readonly checkpoint?: Checkpoint;
}

export interface ColumnRow<T> {
  readonly key: TableKey;
  /** A token as text or bytes, or a value from before the column was encrypted. Null is left as it is. */
  readonly stored: T | Uint8Array | string | null;
  /** The row that the cipher binds to, if it binds to rows. */
  readonly row?: RowId;
}

export interface ColumnChange<T> {
  readonly key: TableKey;
  readonly from: T | Uint8Array | string;
  /** The new token; `Buffer.from(to, "base64url")` for a binary column. */
  readonly to: string;
  /** The value, for a blind index beside it. */
  readonly value: T;
}

export interface ReencryptReport {
  readonly rows: number;
  /** Values that were plaintext and are tokens now. In a dry run: values that are plaintext. */
  readonly plaintext: number;
  /** Tokens that were under an older data key. */
  readonly old: number;
  /** Tokens that were under the newest data key already. */
  readonly current: number;
  /** Rows without a value. */
  readonly empty: number;
  /** Rows that were deleted while the job ran. */
  readonly gone: number;
  /** Values that can no longer be read: their data keys were shredded. */
  readonly shredded: number;
  readonly failed: number;
  /** The first hundred failures that a second try did not end: `malformed-envelope`, `authentication-failed` or `invalid-argument`. */
  readonly failures: readonly { readonly key: TableKey; readonly error: EnvelockError }[];
}

export interface Reencrypted<T> {
  readonly was: "plaintext" | "old";
  readonly to: string;
  readonly value: T;
}

/** Decides on the change of a value; undefined if it needs none. */
export type ChangeOf<T, R> = (stored: T | Uint8Array | string, row: R) => Promise<Reencrypted<T> | undefined>;

/**
 * Goes over the rows of a table and changes what `changeOf` says: one partition, without a lease. Rows that failed are in a ledger, which
 * does not hold the checkpoint, and are tried once more at the end.
 *
 * @throws as `reencryptTable`
 */
export async function overColumn<T, R extends ColumnRow<T>>(
  job: string,
  options: ColumnJob<T, R>,
  changeOf: ChangeOf<T, R>,
): Promise<ReencryptReport> {
  checkColumnJob(options);
  const { dryRun, onProgress } = options;
  const checkpoint = dryRun === true ? undefined : options.checkpoint;
  const saved = await loadCheckpoint(checkpoint, job, keyOf);
  const ledger: FailedColumnRow[] = (saved?.failed ?? []).map(failedPlace);
  let counts: Readonly<Record<string, number>> = { ...NO_COUNTS, ...saved?.counts };
  await columnSlice(options, changeOf, { after: saved?.after, counts }, async ({ last: after, counts: now, failed }) => {
    counts = now;
    ledger.push(...failed.slice(0, MOST_IN_LEDGER - ledger.length).map(({ key, before }) => ({ key, before })));
    // a ledger that is full holds the checkpoint: behind it a failure would be forgotten
    if (ledger.length < MOST_IN_LEDGER) await saveCheckpoint(checkpoint, job, { after, counts, keyVersions: {}, failed: ledger });
    await onProgress?.({ rows: countIn(now, "rows"), failed: countIn(now, "failed") });
    return true;
  });
  const { outcomes, failures } = await triedAgain(ledger, options, changeOf);
  await checkpoint?.save(undefined);
  const failed = countIn(counts, "failed") - ledger.length + failures.count;
  const total = (name: Outcome): number => countIn(counts, name) + outcomes.filter((outcome) => outcome === name).length;
  return {
    rows: countIn(counts, "rows"),
    plaintext: total("plaintext"),
    old: total("old"),
    current: total("current"),
    empty: total("empty"),
    gone: total("gone"),
    shredded: total("shredded"),
    failed,
    failures: failures.first.map(({ place: key, error }) => ({ key, error })),
  };
}

/** A row that failed, and the key before it, from which it is read again. */
export interface FailedColumnRow {
  readonly key: TableKey;
  readonly before: TableKey | undefined;
}

/** A row of this run that failed, and why. */
export interface ColumnRowFailure extends FailedColumnRow {
  readonly error: EnvelockError;
}

/** @throws `invalid-argument` */
export function checkColumnJob<T, R extends ColumnRow<T>>(options: ColumnJob<T, R>): void {
  for (const name of ["rows", "update"] as const) if (typeof options[name] !== "function") throw invalidArgument(`${name} is a function`);
  workersOf(options);
}

/**
 * Goes over the rows of a range, page by page, until `rows` gives none or `afterPage` says no. The loop of `overColumn` and of the
 * partitions of a fleet.
 *
 * @returns whether it came to the end
 */
export async function columnSlice<T, R extends ColumnRow<T>>(
  options: ColumnJob<T, R>,
  changeOf: ChangeOf<T, R>,
  start: { readonly after: TableKey | undefined; readonly counts: Readonly<Record<string, number>> },
  afterPage: AfterPage<TableKey, ColumnRowFailure>,
): Promise<boolean> {
  const { signal } = options;
  const counts: Record<string, number> = { ...NO_COUNTS, ...start.counts };
  const add = (name: string): void => {
    counts[name] = (counts[name] ?? 0) + 1;
  };
  const headway = new Headway();
  for await (const { rows, last } of pagesOf(readerOf(options), start.after, signal)) {
    headway.reached(last);
    const failed: ColumnRowFailure[] = [];
    await inParallel(rows, workersOf(options), signal, async (placed) => {
      add("rows");
      try {
        add(await settled(placed, options, changeOf));
      } catch (error) {
        const { row, before } = placed;
        failed.push({ key: row.key, before, error: failureOfRow(error) });
        add("failed");
      }
    });
    if (!(await afterPage({ last, counts: { ...counts }, keyVersions: {}, failed }))) return false;
  }
  return true;
}

function countIn(counts: Readonly<Record<string, number>>, name: Outcome | "rows" | "failed"): number {
  return counts[name] ?? 0;
}

/** Tries the rows of a ledger once more. */
async function triedAgain<T, R extends ColumnRow<T>>(
  ledger: readonly FailedColumnRow[],
  options: ColumnJob<T, R>,
  changeOf: ChangeOf<T, R>,
): Promise<{ readonly outcomes: readonly Outcome[]; readonly failures: Failures<TableKey> }> {
  const failures = new Failures<TableKey>();
  const outcomes: Outcome[] = [];
  await inParallel(ledger, workersOf(options), options.signal, async ({ key, before }) => {
    try {
      const row = await readAgain(key, before, options);
      outcomes.push(row === undefined ? "gone" : await settled({ row, before }, options, changeOf));
    } catch (error) {
      failures.add(key, failureOfRow(error));
    }
  });
  return { outcomes, failures };
}

/** Returns the failure of one row. @throws any other, which would meet the next row too */
function failureOfRow(error: unknown): EnvelockError {
  if (error instanceof EnvelockError && ROW_FAILURES.has(error.code)) return error;
  throw error;
}

/** @throws `invalid-argument` for an entry of a checkpoint that is none */
function failedPlace(entry: unknown): FailedColumnRow {
  const [key, before] =
    typeof entry === "object" && entry !== null && "key" in entry
      ? [keyOf(entry.key), "before" in entry ? keyOf(entry.before) : undefined]
      : [];
  if (key === undefined) throw invalidArgument("the checkpoint holds a failed row that is none");
  return { key, before };
}

/** Reads a row again. Returns undefined for one that is gone. */
async function readAgain<T, R extends ColumnRow<T>>(
  key: TableKey,
  before: TableKey | undefined,
  { rows }: ColumnJob<T, R>,
): Promise<R | undefined> {
  for (let after = before, page = 0; page < MAX_ROUNDS; page++) {
    const found = await rows(after, REREAD_ROWS);
    const row = found.find((candidate) => candidate.key === key);
    after = found.at(-1)?.key;
    if (row !== undefined || found.length < REREAD_ROWS || after === undefined) return row;
  }
  return undefined;
}

export type Outcome = "plaintext" | "old" | "current" | "empty" | "gone" | "shredded";

/** A row, and the key before it, from which the row is read again. */
interface Placed<T, R extends ColumnRow<T>> {
  readonly row: R;
  readonly before: TableKey | undefined;
}

function readerOf<T, R extends ColumnRow<T>>({ rows }: ColumnJob<T, R>): RowReader<Placed<T, R>, TableKey> {
  return {
    async read(after, limit) {
      let before = after;
      const page = await rows(after, limit);
      requireKeys(page);
      return page.map((row) => {
        if (row.key === before) throw invalidArgument("`rows` gave a row that is not behind the one before it");
        const placed = { row, before };
        before = row.key;
        return placed;
      });
    },
    placeOf: ({ row }) => row.key,
  };
}

/** Settles a row, and reads it again if another writer has changed it. @throws the failure of the row, or of the job */
async function settled<T, R extends ColumnRow<T>>(
  { row, before }: Placed<T, R>,
  options: ColumnJob<T, R>,
  changeOf: ChangeOf<T, R>,
): Promise<Outcome> {
  let now = row;
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const outcome = await outcomeOf(now, options, changeOf);
    if (outcome !== "changed") return outcome;
    const again = await readAgain(row.key, before, options);
    if (again === undefined) return "gone";
    now = again;
  }
  throw invalidArgument("the row is another each time that it is read, or `update` does not change what `rows` gives");
}

async function outcomeOf<T, R extends ColumnRow<T>>(
  row: R,
  options: ColumnJob<T, R>,
  changeOf: ChangeOf<T, R>,
): Promise<Outcome | "changed"> {
  const { key, stored } = row;
  if (stored === null) return "empty";
  try {
    const change = await changeOf(stored, row);
    if (change === undefined) return "current";
    const { was, to, value } = change;
    if (options.dryRun === true) return was;
    options.signal?.throwIfAborted();
    return (await options.update({ key, from: stored, to, value })) ? was : "changed";
  } catch (error) {
    if (error instanceof EnvelockError && error.code === "key-shredded") return "shredded";
    throw error;
  }
}

/** Checks what a caller's `rows` gave. @throws `invalid-argument` */
export function requireKeys(page: readonly { readonly key: TableKey }[]): void {
  if (!Array.isArray(page)) throw invalidArgument("`rows` must return an array of rows");
  for (const row of page) {
    if (typeof row !== "object" || row === null) throw invalidArgument("`rows` must return rows: objects with `key` and `stored`");
    requireKey(row.key);
  }
}

/** @throws `invalid-argument` for a key that the next page could not begin behind: a number that is rounded passes over rows */
function requireKey(key: unknown): void {
  if (keyOf(key) === undefined) throw invalidArgument("a row's key must be text or a number", "Give a bigint as text.");
  if (typeof key === "number" && !(Math.abs(key) <= Number.MAX_SAFE_INTEGER))
    throw invalidArgument("a row's key is NaN, or a number beyond 2^53, which JavaScript rounds", "Read it as text: `id::text as key`.");
}

function keyOf(value: unknown): TableKey | undefined {
  return typeof value === "string" || typeof value === "number" ? value : undefined;
}

export const COLUMN_JOB_OPTIONS: OptionNames<ColumnJob<unknown, ColumnRow<unknown>>> = {
  ...JOB_OPTIONS,
  rows: true,
  update: true,
  dryRun: true,
  checkpoint: true,
};
/** Failures of one row. Any other failure would meet the next row too. */
const ROW_FAILURES: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "malformed-envelope",
  "unsupported-version",
  "authentication-failed",
  "invalid-argument",
]);
const NO_COUNTS: Readonly<Record<Outcome | "rows" | "failed", number>> = {
  rows: 0,
  failed: 0,
  plaintext: 0,
  old: 0,
  current: 0,
  empty: 0,
  gone: 0,
  shredded: 0,
};
/** The failed rows that are kept to be tried again. */
const MOST_IN_LEDGER = 1000;
const REREAD_ROWS = 256;
/** The number of changes by other writers that one row may see while the job works on it. */
const MAX_ROUNDS = 20;
