import { EnvelockError, type ErrorCode, invalidArgument } from "../../core/base/errors.ts";
import type { OptionNames } from "../../core/base/options.ts";
import type { RowId } from "../field-options.ts";
import { type Checkpoint, loadCheckpoint, saveCheckpoint } from "./checkpoint.ts";
import { Failures } from "./failures.ts";
import { inParallel, JOB_OPTIONS, type JobOptions, pagesOf, type RowReader, workersOf } from "./pages.ts";

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
  /** The first hundred failures: `malformed-envelope`, `authentication-failed` or `invalid-argument`. */
  readonly failures: readonly { readonly key: TableKey; readonly error: EnvelockError }[];
}

export interface Reencrypted<T> {
  readonly was: "plaintext" | "old";
  readonly to: string;
  readonly value: T;
}

/** Decides on the change of a value; undefined if it needs none. */
type ChangeOf<T, R> = (stored: T | Uint8Array | string, row: R) => Promise<Reencrypted<T> | undefined>;

/** Goes over the rows of a table and changes what `changeOf` says. @throws as `reencryptTable` */
export async function overColumn<T, R extends ColumnRow<T>>(
  job: string,
  options: ColumnJob<T, R>,
  changeOf: ChangeOf<T, R>,
): Promise<ReencryptReport> {
  for (const name of ["rows", "update"] as const) if (typeof options[name] !== "function") throw invalidArgument(`${name} is a function`);
  const { dryRun, signal, onProgress } = options;
  const workers = workersOf(options);
  const checkpoint = dryRun === true ? undefined : options.checkpoint;
  const saved = await loadCheckpoint(checkpoint, job, keyOf);
  const counts: Record<Outcome | "rows", number> = { rows: 0, plaintext: 0, old: 0, current: 0, empty: 0, gone: 0, shredded: 0 };
  Object.assign(counts, saved?.counts);
  const failures = new Failures<TableKey>();
  for await (const { rows, last } of pagesOf(readerOf(options), saved?.after, signal)) {
    await inParallel(rows, workers, signal, async (placed) => {
      counts.rows++;
      try {
        counts[await settled(placed, options, changeOf)]++;
      } catch (error) {
        if (!(error instanceof EnvelockError && ROW_FAILURES.has(error.code))) throw error;
        failures.add(placed.row.key, error);
      }
    });
    if (failures.count === 0) await saveCheckpoint(checkpoint, job, { after: last, counts, keyVersions: {} });
    onProgress?.({ rows: counts.rows, failed: failures.count });
  }
  if (failures.count === 0) await checkpoint?.save(undefined);
  return { ...counts, failed: failures.count, failures: failures.first.map(({ place: key, error }) => ({ key, error })) };
}

type Outcome = "plaintext" | "old" | "current" | "empty" | "gone" | "shredded";

/** A row, and the key before it, from which the row is read again. */
interface Placed<T, R extends ColumnRow<T>> {
  readonly row: R;
  readonly before: TableKey | undefined;
}

function readerOf<T, R extends ColumnRow<T>>({ rows }: ColumnJob<T, R>): RowReader<Placed<T, R>, TableKey> {
  return {
    async read(after, limit) {
      let before = after;
      return (await rows(after, limit)).map((row) => {
        if (keyOf(row.key) === undefined) throw invalidArgument("a row's key must be text or a number");
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
    const found = await options.rows(before, REREAD_ROWS);
    const again = found.find(({ key }) => key === row.key);
    if (again === undefined && found.length < REREAD_ROWS) return "gone";
    now = again ?? now;
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
const REREAD_ROWS = 256;
/** The number of changes by other writers that one row may see while the job works on it. */
const MAX_ROUNDS = 20;
