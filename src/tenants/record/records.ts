import type { CallOptions } from "../../core/base/call-options.ts";
import type { Clock } from "../../core/base/clock.ts";
import { EnvelockError } from "../../core/base/errors.ts";
import type { TenantStore } from "../../core/contracts/tenant-store.ts";
import { changedRecord, type TenantChange } from "../life-cycle/change.ts";
import { encodeTenantRecord, parseTenantRecord } from "./document.ts";
import { readPage, readRow } from "./rows.ts";
import type { TenantRecord } from "./tenant-record.ts";

/** The records of a store: read, listed, and changed by compare-and-swap. */
export class TenantRecords {
  readonly #store: TenantStore;
  readonly #clock: Clock;

  constructor(store: TenantStore, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
  }

  /** @returns undefined if the store has no such tenant. @throws `provider-failure` for a record that cannot be read */
  async read(id: string, options?: CallOptions): Promise<TenantRecord | undefined> {
    const row = await readRow(this.#store, { kind: "tenant", id }, options);
    return row && parseTenantRecord(row);
  }

  /** Lists records by id. A record that cannot be read is given as the error that says so, so that it hides no other. */
  async list(after: string | undefined, limit: number, options?: CallOptions): Promise<readonly (TenantRecord | UnreadableTenant)[]> {
    const rows = await readPage(this.#store, { kind: "tenant", after, limit }, options);
    return rows.map((row) => {
      try {
        return parseTenantRecord(row);
      } catch (error) {
        if (error instanceof EnvelockError) return { id: row.id, error };
        throw error;
      }
    });
  }

  /** Yields all records by id, page by page, as `list` gives them. */
  async *all(after: string | undefined, options?: CallOptions): AsyncGenerator<TenantRecord | UnreadableTenant, void, undefined> {
    for (let behind = after; ; ) {
      const page = await this.list(behind, PAGE, options);
      yield* page;
      const last = page.at(-1);
      if (last === undefined || page.length < PAGE) return;
      behind = last.id;
    }
  }

  /** The time that all processes share, in milliseconds since 1970, as far as the store has one. @throws what the store throws */
  async nowMs(options?: CallOptions): Promise<number> {
    return this.#store.nowMs === undefined ? this.#clock.unixMs() : await this.#store.nowMs(options);
  }

  /**
   * Changes a record. If another process changes it at the same time, the change is made again from what stands then.
   *
   * @param next makes the change from the record; undefined leaves it as it is
   * @returns the record that stands, and the one before it
   * @throws what `next` and the life cycle throw; `unavailable` if other processes win again and again
   */
  async change(
    id: string,
    next: (record: TenantRecord | undefined) => TenantChange | undefined,
    options?: CallOptions,
  ): Promise<{ readonly record: TenantRecord | undefined; readonly before: TenantRecord | undefined; readonly isChanged: boolean }> {
    for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt++) {
      const before = await this.read(id, options);
      const change = next(before);
      if (change === undefined) return { record: before, before, isChanged: false };
      const atMs = MOVES.has(change.change) ? await this.nowMs(options) : this.#clock.unixMs();
      const row = encodeTenantRecord(changedRecord(before, change, Math.floor(atMs)));
      const record = parseTenantRecord(row); // what could not be read back is never written
      const isTaken =
        before === undefined
          ? await this.#store.insertIfAbsent(row, options)
          : await this.#store.compareAndSwap(row, before.revision, options);
      if (isTaken === true) return { record, before, isChanged: true };
    }
    throw new EnvelockError("unavailable", `the record of tenant ${id} is changed by other processes again and again`, { whose: "vendor" });
  }
}

/** A tenant with a record that cannot be read. */
export interface UnreadableTenant {
  readonly id: string;
  readonly error: EnvelockError;
}

/** The changes whose date other processes count a wait from. */
const MOVES: ReadonlySet<TenantChange["change"]> = new Set<TenantChange["change"]>(["begin-move", "announce"]);
const MOST_ATTEMPTS = 10;
const PAGE = 500;
