import { type Context, KeyContext } from "../../core/base/context.ts";
import type { EnvelockError } from "../../core/base/errors.ts";
import type { RowPlace, StoredDataKey } from "../../core/contracts/data-key-store.ts";
import { checkedRow, isLive, type KeyTable, type LiveRow, type Scope } from "../key-table.ts";
import { contextOfScope } from "../scope.ts";
import { Failures } from "./failures.ts";
import { type JobOptions, overPages } from "./pages.ts";

/** The result of a job over stored data keys. */
export interface KeyRowsReport {
  /** Rows seen, of all scopes. */
  readonly rows: number;
  /** Rows without a key, because it was shredded. */
  readonly shredded: number;
  /** Rows of scopes that do not belong to this keyring's context: left alone. */
  readonly foreign: number;
  readonly failed: number;
  /** The first hundred failures. */
  readonly failures: readonly KeyRowFailure[];
}

export interface KeyRowFailure {
  /** As `DataKeys` takes it, with the keyring's context in it; undefined if the row does not say. */
  readonly scope: Context | undefined;
  readonly version: number;
  readonly error: EnvelockError;
}

export interface KeyRowsWork {
  /** Of a row that has a key and belongs to this keyring. What it throws is noted, and the job goes on. */
  live(row: LiveRow, scope: Scope): Promise<void>;
  /** Of every other row. */
  other?(row: StoredDataKey): void;
  pageBegins?(): void;
  /** All rows up to here are done. */
  pageDone?(last: RowPlace, counts: Readonly<Record<string, number>>): Promise<void>;
}

/** Where a run begins, and what earlier ones have counted. */
export interface KeyRowsStart {
  readonly after?: RowPlace;
  readonly counts?: Readonly<Record<string, number>>;
  /** Rows that an earlier pass of the same job has told of already. */
  readonly seen?: number;
}

/** Goes over the rows of all scopes, behind `start` if it is given. */
export async function overKeyRows(
  table: KeyTable,
  { live, other, pageBegins, pageDone }: KeyRowsWork,
  options: JobOptions,
  { after: start, counts: { rows = 0, shredded = 0, foreign = 0 } = {}, seen = 0 }: KeyRowsStart = {},
): Promise<KeyRowsReport> {
  const counts = { rows, shredded, foreign };
  const failures = new Failures<RowPlace>();
  const treat = async (given: StoredDataKey): Promise<void> => {
    const scope = table.scopeNamed(given.scope);
    const row = checkedRow(given, given.scope);
    if (isLive(row) && scope !== undefined) return await live(row, scope);
    if (!isLive(row)) counts.shredded++;
    else counts.foreign++;
    other?.(row);
  };
  await overPages<StoredDataKey, RowPlace>(
    start,
    {
      async read(after, limit) {
        pageBegins?.();
        return await table.scan({ after, limit }, options);
      },
      placeOf: ({ scope, version }) => ({ scope, version }),
      async work(row) {
        counts.rows++;
        try {
          await treat(row);
          return true;
        } catch (error) {
          options.signal?.throwIfAborted();
          failures.add(row, error);
          return false;
        }
      },
      async pageDone(last, isWhole) {
        if (isWhole) await pageDone?.(last, counts);
        options.onProgress?.({ rows: seen + counts.rows, failed: failures.count });
      },
    },
    options,
  );
  return { ...counts, failed: failures.count, failures: failures.first.map(({ place, error }) => failureOf(place, error)) };
}

function failureOf({ scope, version }: RowPlace, error: EnvelockError): KeyRowFailure {
  const context = contextOfScope(scope);
  return { scope: context && new KeyContext(context).map, version, error };
}
