import { copyOf, type OwnedBytes, wipe } from "../../core/base/bytes.ts";
import type { Clock } from "../../core/base/clock.ts";
import { EnvelockError } from "../../core/base/errors.ts";
import { RecentMap } from "../../core/base/recent-map.ts";
import type { CacheOptions } from "../../core/key-source/data-key-cache.ts";
import { count, positive } from "../../core/resilience/checks.ts";

export type KeyCacheBounds = Pick<CacheOptions, "maxEntries" | "maxAgeMs">;

/** Keeps unwrapped keys of other formats for a time, and shares one flight for each. Only copies of its bytes leave it. */
export class UnwrappedKeys {
  readonly #clock: Clock;
  readonly #maxAgeMs: number;
  readonly #kept: RecentMap<string, KeptKey>;
  readonly #flights: Map<string, Flight> = new Map();
  #isClosed = false;

  /** @throws `invalid-argument` */
  constructor(clock: Clock, { maxEntries = 1000, maxAgeMs = 300_000 }: KeyCacheBounds) {
    this.#clock = clock;
    this.#kept = new RecentMap({ maxEntries: count(maxEntries, "cache.maxEntries"), onLeave: letGo });
    this.#maxAgeMs = positive(maxAgeMs, "cache.maxAgeMs");
  }

  /**
   * Returns a cached key, or unwraps it. Concurrent callers share one unwrap.
   *
   * @param id everything that tells one unwrap from another, the wrapped bytes included
   * @throws `closed` after `close`, also for an unwrap that was in flight; and what `unwrap` throws
   */
  async of(id: string, unwrap: () => Promise<OwnedBytes>): Promise<OwnedBytes> {
    this.requireOpen();
    const kept = this.#kept.get(id);
    if (kept !== undefined && this.#clock.monotonicMs() < kept.untilMs) return copyOf(kept.bytes);
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

  /** Wipes the cached keys. An unwrap in flight ends in `closed`, and its key is wiped when it arrives. */
  close(): void {
    this.#isClosed = true;
    this.#kept.clear();
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
    const cancel = this.#clock.after(this.#maxAgeMs, () => this.#kept.delete(id), "idle");
    this.#kept.set(id, { bytes, untilMs: this.#clock.monotonicMs() + this.#maxAgeMs, cancel });
  }
}

function letGo({ bytes, cancel }: KeptKey): void {
  cancel();
  wipe(bytes);
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
