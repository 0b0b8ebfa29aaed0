import { copyOf, type OwnedBytes, wipe } from "../../core/base/bytes.ts";
import type { Clock } from "../../core/base/clock.ts";
import { EnvelockError } from "../../core/base/errors.ts";
import type { CacheOptions } from "../../core/key-source/data-key-cache.ts";
import { count, positive } from "../../core/resilience/checks.ts";

export type KeyCacheBounds = Pick<CacheOptions, "maxEntries" | "maxAgeMs">;

/** Unwrapped keys of other formats, for a time, and one flight for each. Its own bytes leave it as copies alone. */
export class UnwrappedKeys {
  readonly #clock: Clock;
  readonly #maxEntries: number;
  readonly #maxAgeMs: number;
  readonly #kept: Map<string, KeptKey> = new Map();
  readonly #flights: Map<string, Flight> = new Map();
  #isClosed = false;

  /** @throws `invalid-argument` */
  constructor(clock: Clock, { maxEntries = 1000, maxAgeMs = 300_000 }: KeyCacheBounds) {
    this.#clock = clock;
    this.#maxEntries = count(maxEntries, "cache.maxEntries");
    this.#maxAgeMs = positive(maxAgeMs, "cache.maxAgeMs");
  }

  /**
   * Gives a key that is kept, or unwraps it: concurrent callers share one unwrap.
   *
   * @param id all that tells one unwrap from another, the wrapped bytes included
   * @throws `closed` after `close`, also for an unwrap that was in flight; and what `unwrap` throws
   */
  async of(id: string, unwrap: () => Promise<OwnedBytes>): Promise<OwnedBytes> {
    this.requireOpen();
    const kept = this.#kept.get(id);
    if (kept !== undefined && this.#clock.monotonicMs() < kept.untilMs) {
      this.#kept.delete(id);
      this.#kept.set(id, kept); // who was asked for longest ago leaves first
      return copyOf(kept.bytes);
    }
    const flight = this.#flights.get(id) ?? { landing: this.#fly(id, unwrap), waiting: 0 };
    this.#flights.set(id, flight);
    flight.waiting++;
    let bytes: OwnedBytes | undefined;
    try {
      bytes = await flight.landing;
      this.requireOpen();
      return copyOf(bytes);
    } finally {
      flight.waiting--;
      if (flight.waiting === 0) wipe(bytes);
    }
  }

  /** Wipes the keys that are kept. An unwrap in flight ends in `closed`, and its key is wiped when it lands. */
  close(): void {
    this.#isClosed = true;
    for (const id of [...this.#kept.keys()]) this.#drop(id);
  }

  /** @throws `closed` */
  requireOpen(): void {
    if (this.#isClosed) throw new EnvelockError("closed", "this resolver has been closed");
  }

  async #fly(id: string, unwrap: () => Promise<OwnedBytes>): Promise<OwnedBytes> {
    try {
      const bytes = await unwrap();
      if (!this.#isClosed) this.#keep(id, copyOf(bytes));
      return bytes;
    } finally {
      this.#flights.delete(id);
    }
  }

  #keep(id: string, bytes: OwnedBytes): void {
    this.#drop(id);
    const cancel = this.#clock.after(this.#maxAgeMs, () => this.#drop(id), "idle");
    this.#kept.set(id, { bytes, untilMs: this.#clock.monotonicMs() + this.#maxAgeMs, cancel });
    const [oldest] = this.#kept.keys();
    if (this.#kept.size > this.#maxEntries && oldest !== undefined) this.#drop(oldest);
  }

  #drop(id: string): void {
    const kept = this.#kept.get(id);
    kept?.cancel();
    wipe(kept?.bytes);
    this.#kept.delete(id);
  }
}

interface KeptKey {
  readonly bytes: OwnedBytes;
  readonly untilMs: number;
  readonly cancel: () => void;
}

interface Flight {
  readonly landing: Promise<OwnedBytes>;
  waiting: number;
}
