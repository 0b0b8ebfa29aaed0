import { type Context, KeyContext } from "../../core/base/context.ts";
import { EnvelockError } from "../../core/base/errors.ts";
import type { RowPlace, StoredDataKey } from "../../core/contracts/data-key-store.ts";
import { type KeyRecord, parseKeyRecord } from "../../core/format/key-record.ts";
import { checkedRow, isLive, type KeyTable, type LiveRow, type Scope } from "../key-table.ts";
import { contextOfScope } from "../scope.ts";
import { Failures } from "./failures.ts";
import { inParallel, type JobOptions, pagesOf, workersOf } from "./pages.ts";

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

/** The place where a run begins, and what earlier ones have counted. */
export interface KeyRowsStart {
  readonly after?: RowPlace;
  readonly counts?: Readonly<Record<string, number>>;
  /** Rows that an earlier pass of the same job has told of already. */
  readonly seen?: number;
}

/** A row that has a key and belongs to the keyring. */
export interface LiveKey {
  readonly scope: Scope;
  readonly row: LiveRow;
  readonly record: KeyRecord;
  /** Returns the version before. @throws `provider-failure` if there is none: what follows it cannot be checked */
  before(): Promise<Pick<LiveKey, "row" | "record">>;
}

export interface KeyPage {
  readonly last: RowPlace;
  /**
   * Works on the rows of the page. A row that fails is noted, and the others go on.
   *
   * @param live works on a row that has a key and belongs to the keyring
   * @param other gets the record of every other row; undefined for a shredded one
   */
  each(live: (key: LiveKey) => Promise<void>, other?: (record: KeyRecord | undefined) => void): Promise<void>;
}

/** The rows of all scopes, as one pass of a job goes over them. */
export class KeyRows {
  /** What the pass has counted so far. */
  readonly counts: { rows: number; shredded: number; foreign: number };
  readonly #table: KeyTable;
  readonly #options: JobOptions;
  readonly #start: KeyRowsStart;
  readonly #workers: number;
  readonly #failures = new Failures<RowPlace>();

  /** @throws `invalid-argument` */
  constructor(table: KeyTable, options: JobOptions, start: KeyRowsStart = {}) {
    const { rows = 0, shredded = 0, foreign = 0 } = start.counts ?? {};
    this.counts = { rows, shredded, foreign };
    this.#table = table;
    this.#options = options;
    this.#start = start;
    this.#workers = workersOf(options);
  }

  /** Whether no row has failed so far. */
  get isWhole(): boolean {
    return this.#failures.count === 0;
  }

  get report(): KeyRowsReport {
    const failures = this.#failures.first.map(({ place, error }) => failureOf(place, error));
    return { ...this.counts, failed: this.#failures.count, failures };
  }

  /** Yields the rows page by page, and reports the progress when the caller is done with a page. */
  async *pages(): AsyncGenerator<KeyPage, void, undefined> {
    const { seen = 0, after } = this.#start;
    const { signal, onProgress } = this.#options;
    let previous: ScannedRow | undefined;
    const reader = {
      read: (place: RowPlace | undefined, limit: number) => this.#table.scan({ after: place, limit }, this.#options),
      placeOf: ({ scope, version }: StoredDataKey) => ({ scope, version }),
    };
    for await (const { rows, last } of pagesOf(reader, after, signal)) {
      const scanned = rows.map((row) => new ScannedRow(row));
      const predecessors = new Predecessors(this.#table, [previous, ...scanned], this.#options);
      yield {
        last,
        each: (live, other) =>
          inParallel(scanned, this.#workers, signal, async (row, at) => {
            this.counts.rows++;
            try {
              await this.#treat(row, (own, scope) => predecessors.of(at, own, scope), live, other);
            } catch (error) {
              signal?.throwIfAborted();
              this.#failures.add(row.stored, error);
            }
          }),
      };
      previous = scanned.at(-1);
      onProgress?.({ rows: seen + this.counts.rows, failed: this.#failures.count });
    }
  }

  async #treat(
    scanned: ScannedRow,
    before: (row: LiveRow, scope: Scope) => ReturnType<LiveKey["before"]>,
    live: (key: LiveKey) => Promise<void>,
    other: ((record: KeyRecord | undefined) => void) | undefined,
  ): Promise<void> {
    const { stored } = scanned;
    const scope = this.#table.scopeNamed(stored.scope);
    const row = checkedRow(stored, stored.scope);
    if (!isLive(row)) {
      this.counts.shredded++;
      other?.(undefined);
    } else if (scope === undefined) {
      this.counts.foreign++;
      other?.(scanned.recordOf(row));
    } else await live({ scope, row, record: scanned.recordOf(row), before: () => before(row, scope) });
  }
}

/** A row as a scan gave it. Its record is parsed when it is first needed, and never again. */
class ScannedRow {
  readonly stored: StoredDataKey;
  #record: KeyRecord | undefined;

  constructor(stored: StoredDataKey) {
    this.stored = stored;
  }

  /** @param row this row, checked. @throws `malformed-envelope`, `unsupported-version` */
  recordOf({ record }: LiveRow): KeyRecord {
    this.#record ??= parseKeyRecord(record);
    return this.#record;
  }
}

/**
 * Finds the versions before the rows of a page. A scan gives the versions of a scope one behind the other, so they are at hand. Where a
 * store gave another row instead, the scope is read, once for all rows of the page.
 */
class Predecessors {
  readonly #table: KeyTable;
  readonly #rows: readonly (ScannedRow | undefined)[];
  readonly #options: JobOptions;
  readonly #listed = new Map<string, Promise<readonly StoredDataKey[]>>();

  /** @param rows those of the page, behind the last one of the page before */
  constructor(table: KeyTable, rows: readonly (ScannedRow | undefined)[], options: JobOptions) {
    this.#table = table;
    this.#rows = rows;
    this.#options = options;
  }

  async of(at: number, { version }: LiveRow, scope: Scope): ReturnType<LiveKey["before"]> {
    const scanned = this.#rows[at];
    const isBefore = scanned?.stored.scope === scope.text && scanned.stored.version === version - 1;
    const row = isBefore ? checkedRow(scanned.stored, scope.text) : await this.#find(version - 1, scope);
    if (row === undefined || !isLive(row)) throw missing(version);
    return { row, record: isBefore ? scanned.recordOf(row) : parseKeyRecord(row.record) };
  }

  async #find(version: number, scope: Scope): Promise<StoredDataKey | undefined> {
    const rows = this.#listed.get(scope.text) ?? this.#table.rows(scope, this.#options);
    this.#listed.set(scope.text, rows);
    return (await rows).find((row) => row.version === version);
  }
}

function failureOf({ scope, version }: RowPlace, error: EnvelockError): KeyRowFailure {
  const context = contextOfScope(scope);
  return { scope: context && new KeyContext(context).map, version, error };
}

function missing(version: number): EnvelockError {
  return new EnvelockError("provider-failure", `version ${version - 1} of the data key is missing: version ${version} cannot be checked`, {
    hint: "Bring the row back from a backup; `vouchedKids` takes a version whose predecessor is lost for good.",
  });
}
