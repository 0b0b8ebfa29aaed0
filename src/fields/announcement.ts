import type { StoredDataKey } from "../core/contracts/data-key-store.ts";
import type { KeyTable } from "./key-table.ts";

/** Chooses the version that encrypts: the newest one that every process had time to learn of. */
export class Announcement {
  readonly #table: KeyTable;
  readonly #announceMs: number;
  #atOnce = 0;

  constructor(table: KeyTable, announceMs: number) {
    this.#table = table;
    this.#announceMs = announceMs;
  }

  /** Lets a version encrypt in this process, announced or not. */
  makeNow(version: number): void {
    this.#atOnce = Math.max(this.#atOnce, version);
  }

  /** The time until a version counts as announced, at least 1. */
  inMs(row: StoredDataKey): number {
    return Math.max(1, this.#announceMs - this.#table.ageMs(row));
  }

  /**
   * Returns the newest announced version. If there is none, returns the oldest, which the processes know longest.
   *
   * @param usable the versions that may encrypt, newest first
   */
  choose(usable: readonly StoredDataKey[]): StoredDataKey | undefined {
    return usable.find((row) => this.#isAnnounced(row)) ?? usable.at(-1);
  }

  /** The date is that of the proof: a store cannot make a version look announced. */
  #isAnnounced(row: StoredDataKey): boolean {
    return row.version <= this.#atOnce || this.#table.ageMs(row) >= this.#announceMs;
  }
}
