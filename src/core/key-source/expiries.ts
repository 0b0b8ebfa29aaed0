import type { Clock } from "../base/clock.ts";

/** An entry that expires at an age of its own. */
export interface Expiring {
  readonly bornAt: number;
  readonly maxAgeMs: number;
}

/**
 * Expires entries by age, with one timer for all entries of one age: an entry leaves at the latest one `maxAgeMs` after it has expired. An
 * entry that never expires costs nothing.
 */
export class Expiries<E extends Expiring> {
  readonly #clock: Clock;
  readonly #expire: (entries: readonly E[]) => void;
  readonly #byAge: Map<number, SameAge<E>> = new Map();

  /** @param expire removes expired entries, and calls `delete` for each */
  constructor(clock: Clock, expire: (entries: readonly E[]) => void) {
    this.#clock = clock;
    this.#expire = expire;
  }

  /** Adds an entry that is born now. */
  add(entry: E): void {
    const { maxAgeMs } = entry;
    if (maxAgeMs === Number.POSITIVE_INFINITY) return;
    const same = this.#byAge.get(maxAgeMs);
    if (same !== undefined) same.entries.add(entry);
    else this.#byAge.set(maxAgeMs, { entries: new Set([entry]), cancel: this.#sweepLater(maxAgeMs) });
  }

  delete(entry: E): void {
    const same = this.#byAge.get(entry.maxAgeMs);
    if (same === undefined || !same.entries.delete(entry) || same.entries.size > 0) return;
    same.cancel();
    this.#byAge.delete(entry.maxAgeMs);
  }

  #sweepLater(maxAgeMs: number): () => void {
    return this.#clock.after(maxAgeMs, () => this.#sweep(maxAgeMs), "idle");
  }

  #sweep(maxAgeMs: number): void {
    const same = this.#byAge.get(maxAgeMs);
    if (same === undefined) return;
    same.cancel = this.#sweepLater(maxAgeMs); // before the entries leave: the last one cancels it
    const now = this.#clock.monotonicMs();
    const expired: E[] = [];
    for (const entry of same.entries) {
      if (now - entry.bornAt < maxAgeMs) break; // the rest is younger
      expired.push(entry);
    }
    this.#expire(expired);
  }
}

interface SameAge<E> {
  /** In the order of their birth. */
  readonly entries: Set<E>;
  cancel: () => void;
}
