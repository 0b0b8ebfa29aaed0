import { type Context, KeyContext } from "../../core/base/context.ts";
import { EnvelockError } from "../../core/base/errors.ts";
import type { RowPlace, StoredDataKey } from "../../core/contracts/data-key-store.ts";
import type { DataKey } from "../../core/data-key/data-key.ts";
import type { KeyRecord } from "../../core/format/key-record.ts";
import { outOfOrder } from "../from-store.ts";
import { checkedRow, isLive, isShredded, type KeyTable, type LiveRow, type Scope } from "../key-table.ts";
import { contextOfScope, contextWithoutPurpose, type KeyPurpose, purposeOf } from "../scope.ts";
import { Failures } from "./failures.ts";
import type { PageChanges } from "./page-changes.ts";
import { inParallel, pagesOf, workersOf } from "./pages.ts";
import { PageKeys, type ParsedVersion, Predecessors, ScannedRow } from "./scanned-rows.ts";
import { isSkipped, type KeyJobOptions, ScopeKeyrings, type ScopeReport, type ScopeRun } from "./scope-keyrings.ts";

/** The result of a job over stored data keys. */
export interface KeyRowsReport {
  /** Rows seen, of all scopes. */
  readonly rows: number;
  /** Rows without a key, because it was shredded. */
  readonly shredded: number;
  /** Rows of scopes that do not belong to this keyring's context: left alone, also if they cannot be read. */
  readonly foreign: number;
  /** Rows of scopes that `keyringOf` skipped: left alone. */
  readonly skipped: number;
  readonly failed: number;
  /** The part of `failed` that names no readable scope, so that the rows may belong to any. */
  readonly unplaced: number;
  /** The first hundred failures. One of a whole tenant stands there once. */
  readonly failures: readonly KeyRowFailure[];
  /** One entry for each scope of this run, in the order of the store, about 500 bytes each. Empty without `keyringOf`. */
  readonly scopes: readonly ScopeReport[];
}

export interface KeyRowFailure {
  /** The scope as `DataKeys` takes it, with the keyring's context in it; undefined if the row does not say. */
  readonly scope: Context | undefined;
  /** Undefined if the row does not say. */
  readonly purpose: KeyPurpose | undefined;
  readonly version: number;
  readonly error: EnvelockError;
  /** The number of rows that failed so: more than one if a whole tenant fails. The others of the entry are those of its first row. */
  readonly rows: number;
}

/** The place where a run begins, and what earlier ones have counted. */
export interface KeyRowsStart {
  readonly after?: RowPlace;
  /** The last scope that the run may reach. Without it the run ends with the table. */
  readonly to?: string | undefined;
  /** Whether the run is one of several over ranges of scopes. Then the store must order them as this process compares them. */
  readonly isRange?: boolean;
  readonly counts?: Readonly<Record<string, number>>;
  /** Rows that an earlier pass of the same job has told of already. */
  readonly seen?: number;
  /** The keyrings of the earlier passes, with what they counted by scope. */
  readonly keyrings?: ScopeKeyrings;
}

/** A row that has a key and belongs to the keyring. */
export interface LiveKey {
  /** The table, with the keyring of the row's scope. */
  readonly table: KeyTable;
  readonly scope: Scope;
  readonly row: LiveRow;
  readonly record: KeyRecord;
  /** Returns the data key of the row. The page wipes it at its end. @throws as `KeyTable.unwrapRecord` */
  open(): Promise<DataKey>;
  /** Returns the data key of the version before, like `open`. @throws also `provider-failure` if there is none: the row cannot be checked */
  openBefore(): Promise<DataKey>;
  /** Counts the row as wrapped anew, opened or proven. */
  done(): void;
  /** The changes of the page. One of them settles at the end of the page: call `release` before waiting for it. */
  readonly changes: PageChanges;
  /** Lets the worker take the next row, while this one waits for its change. */
  release(): void;
  /** Takes note of the record that has replaced `record`; undefined if the row was shredded meanwhile. */
  stands(record: KeyRecord | undefined): void;
}

export interface KeyPage {
  readonly last: RowPlace;
  /**
   * Works on the rows of the page. A row that fails is noted, and the others go on.
   *
   * @param live works on a row that has a key and belongs to the keyring
   * @param other gets the record of every other row; undefined for a shredded one
   * @returns the rows that failed
   */
  each(live: (key: LiveKey) => Promise<void>, other?: (record: KeyRecord | undefined) => void): Promise<readonly FailedRow[]>;
}

/** A row of a page that failed. */
export interface FailedRow {
  readonly place: RowPlace;
  readonly error: EnvelockError;
}

/** The rows of all scopes, as one pass of a job goes over them. */
export class KeyRows {
  /** The counts of the pass so far. */
  readonly counts: { rows: number; shredded: number; foreign: number; skipped: number };
  /** The number of rows that were wrapped anew, opened or proven in this pass. */
  done = 0;
  #unplaced = 0;
  readonly #table: KeyTable;
  readonly #options: KeyJobOptions;
  readonly #keyrings: ScopeKeyrings;
  readonly #start: KeyRowsStart;
  readonly #workers: number;
  readonly #failures = new Failures<RowPlace>();

  /** @throws `invalid-argument` */
  constructor(table: KeyTable, options: KeyJobOptions, start: KeyRowsStart = {}) {
    const { rows = 0, shredded = 0, foreign = 0, skipped = 0 } = start.counts ?? {};
    this.counts = { rows, shredded, foreign, skipped };
    this.#keyrings = start.keyrings ?? new ScopeKeyrings(table, options);
    this.#table = table;
    this.#options = options;
    this.#start = start;
    this.#workers = workersOf(options);
  }

  /** The number of rows of the pass that failed. */
  get failed(): number {
    return this.#failures.count;
  }

  get report(): KeyRowsReport {
    const failures = this.#failures.first.map(({ place, error, rows }) => failureOf(place, error, rows));
    return { ...this.counts, failed: this.#failures.count, unplaced: this.#unplaced, failures, scopes: this.#keyrings.reports };
  }

  /** Yields the rows page by page, and reports the progress when the caller is done with a page. */
  async *pages(): AsyncGenerator<KeyPage, void, undefined> {
    const { seen = 0, after, to, isRange = false } = this.#start;
    const { signal, onProgress } = this.#options;
    let previous: ScannedRow | undefined;
    let place = after;
    this.#keyrings.passBegins();
    const reader = {
      read: async (place: RowPlace | undefined, limit: number) => {
        const scan = await this.#table.scan({ after: place, limit }, this.#options);
        if (isRange) requireOrder(place, scan);
        return to === undefined ? scan : scan.filter(({ scope }) => scope <= to);
      },
      placeOf: ({ scope, version }: StoredDataKey) => ({ scope, version }),
    };
    for await (const { rows, last } of pagesOf(reader, after, signal)) {
      const scanned = rows.map((row) => new ScannedRow(row));
      this.#keyrings.pageBegins();
      const predecessors = new Predecessors(this.#table, [previous, ...scanned], this.#options);
      const before = place;
      yield {
        last,
        each: (live, other) => this.#each(scanned, { after: before, predecessors, live, other }),
      };
      place = last;
      previous = scanned.at(-1);
      await onProgress?.({ rows: seen + this.counts.rows, failed: this.#failures.count });
    }
  }

  async #each(rows: readonly ScannedRow[], { after, predecessors, live, other }: PageWork): Promise<readonly FailedRow[]> {
    const options = this.#options;
    const keys = new PageKeys(options);
    const changes = this.#table.changesOf({ after, limit: rows.length }, this.#workers, options);
    const failed: FailedRow[] = [];
    const begun: Promise<void>[] = [];
    const treat = async (at: number, row: ScannedRow, release: () => void): Promise<void> => {
      try {
        await this.#treat(row, { before: (own, scope) => predecessors.of(at, own, scope), keys, changes, release, live, other });
      } catch (error) {
        options.signal?.throwIfAborted();
        this.#failures.add(row.stored, error);
        if (contextOfScope(row.stored.scope) === undefined) this.#unplaced++;
        if (error instanceof EnvelockError) failed.push({ place: row.stored, error });
      }
    };
    const work = async (unit: Unit): Promise<void> => {
      for (const [at, row] of unit) {
        options.signal?.throwIfAborted();
        this.counts.rows++;
        await new Promise<void>((resolve, reject) => {
          const treated = treat(at, row, resolve);
          treated.then(resolve, reject);
          begun.push(treated);
        });
      }
    };
    try {
      await inParallel(this.#units(rows), this.#workers, options.signal, work);
      await changes.end();
    } catch (error) {
      await changes.stop(error);
      throw error;
    } finally {
      await Promise.allSettled(begun);
      await keys.wipe();
    }
    await Promise.all(begun); // throws what ends the job
    return failed;
  }

  /**
   * Groups rows into the work of one worker: one row, or all rows of a scope with a keyring of its own, as its key service may hang. Tenants
   * take turns, so that a large one does not keep the others of its page waiting.
   */
  #units(rows: readonly ScannedRow[]): readonly Unit[] {
    const entries = [...rows.entries()];
    if (!this.#keyrings.areApart) return entries.map((entry) => [entry]);
    const units = new Map<string, [number, ScannedRow][]>();
    for (const entry of entries) {
      const { scope } = entry[1].stored;
      const unit = units.get(scope);
      if (unit === undefined) units.set(scope, [entry]);
      else unit.push(entry);
    }
    return inTurn([...units].map(([scope, unit]) => [tenantOf(scope), unit]));
  }

  async #treat(scanned: ScannedRow, treatment: Treatment): Promise<void> {
    const { stored } = scanned;
    const { other } = treatment;
    const scope = this.#table.scopeNamed(stored.scope);
    if (scope === undefined) {
      this.#treatForeign(scanned, treatment);
      return;
    }
    const row = checkedRow(stored, stored.scope);
    if (isLive(row)) await this.#treatOwn(scanned, row, scope, treatment);
    else {
      this.counts.shredded++;
      other?.(undefined);
    }
  }

  /** A row of another scope that cannot be read is the trouble of that scope alone. */
  #treatForeign(scanned: ScannedRow, { other }: Treatment): void {
    const { stored } = scanned;
    const isGone = isShredded(stored);
    if (isGone) this.counts.shredded++;
    else this.counts.foreign++;
    let record: KeyRecord | undefined;
    try {
      const row = checkedRow(stored, stored.scope);
      record = isLive(row) ? scanned.recordOf(row) : undefined;
    } catch (error) {
      if (error instanceof EnvelockError) return; // without a count, so that the job calls no KEK version retirable
      throw error;
    }
    other?.(record);
  }

  async #treatOwn(scanned: ScannedRow, row: LiveRow, scope: Scope, treatment: Treatment): Promise<void> {
    const { live, other, before, keys, changes, release } = treatment;
    const run = this.#keyrings.of(scope);
    let standing: KeyRecord | undefined;
    const done = (): void => {
      this.done++;
      run.didRow();
    };
    const stands = (now: KeyRecord | undefined): void => {
      standing = now;
    };
    try {
      const record = scanned.recordOf(row);
      stands(record);
      const table = await this.#opened(run, record, other);
      if (table === undefined) return;
      const open = (): Promise<DataKey> => keys.open(table, scope, { row, record });
      const openBefore = async (): Promise<DataKey> => await keys.open(table, scope, await before(row, scope));
      await live({ table, scope, row, record, open, openBefore, done, stands, changes, release });
    } catch (error) {
      run.failed(error);
      throw error;
    } finally {
      run.sawRow(standing);
    }
  }

  /** Returns the table for a scope's rows; undefined for one that is skipped. A row that is not worked on is the job's `other`. */
  async #opened(run: ScopeRun, record: KeyRecord, other: Treatment["other"]): Promise<KeyTable | undefined> {
    try {
      const opened = await run.open();
      if (!isSkipped(opened)) return opened;
    } catch (error) {
      other?.(record);
      throw error;
    }
    this.counts.skipped++;
    other?.(record);
    return undefined;
  }
}

/** The work on the rows of a page. */
interface PageWork extends Pick<Treatment, "live" | "other"> {
  /** The place behind which the page begins. */
  readonly after: RowPlace | undefined;
  readonly predecessors: Predecessors;
}

/** @throws `provider-failure` for rows that are not behind each other. A scope that is none may stand anywhere */
function requireOrder(after: RowPlace | undefined, rows: readonly RowPlace[]): void {
  let before = after;
  for (const row of rows) {
    if (!SCOPE.test(row.scope)) continue;
    const isBehind = before === undefined || row.scope > before.scope || (row.scope === before.scope && row.version > before.version);
    if (!isBehind) throw outOfOrder();
    before = row;
  }
}

const SCOPE = /^[\w-]*$/;

interface Treatment extends Pick<LiveKey, "changes" | "release"> {
  before(row: LiveRow, scope: Scope): Promise<ParsedVersion>;
  readonly keys: PageKeys;
  live(key: LiveKey): Promise<void>;
  readonly other: ((record: KeyRecord | undefined) => void) | undefined;
}

type Unit = readonly (readonly [at: number, row: ScannedRow])[];

function tenantOf(scope: string): string {
  const { tenant = scope }: Context = contextOfScope(scope) ?? {};
  return tenant;
}

/** Orders units by turns of their owners. */
function inTurn<T>(owned: readonly (readonly [owner: string, unit: T])[]): readonly T[] {
  const turns = new Map<string, number>();
  const placed = owned.map(([owner, unit]) => {
    const turn = turns.get(owner) ?? 0;
    turns.set(owner, turn + 1);
    return { turn, unit };
  });
  return placed.sort((a, b) => a.turn - b.turn).map(({ unit }) => unit); // a stable sort: within a turn by place
}

/** Names a failed row as `DataKeys` does. */
export function failureOf({ scope, version }: RowPlace, error: EnvelockError, rows: number = 1): KeyRowFailure {
  const context = contextOfScope(scope);
  const named = { scope: context && contextWithoutPurpose(new KeyContext(context).map), purpose: context && purposeOf(context) };
  return { ...named, version, error, rows };
}
