import { type Clock, systemClock } from "../base/clock.ts";
import { count, positive } from "../resilience/checks.ts";
import type { ForgetFilter } from "./forget-filter.ts";
import { UnwrapStore } from "./unwrap-store.ts";

export interface CacheOptions {
  /** Default 1,000, at most 16,777,216. The least recently used data key is evicted first. */
  readonly maxEntries?: number;
  /** How long a data key serves after its unwrap, and so how fast a revocation takes effect at the latest. Default 300,000. */
  readonly maxAgeMs?: number;
  /** For tests. */
  readonly clock?: Clock;
}

// Filled by the static block: what a keyring may do with a cache and its owner may not.
let storeIn: (cache: DataKeyCache) => UnwrapStore;

/**
 * Unwrapped data keys, bounded in number and age, for the keyrings that are given it. Which key a keyring gets from it is decided by
 * that keyring's own configuration each time, and by the provider object, key id, algorithm, wrapped bytes, key context and suite.
 *
 * Data keys are wiped when they leave, and at the latest one `maxAgeMs` after they stopped to serve.
 */
export class DataKeyCache {
  readonly #store: UnwrapStore;

  static {
    storeIn = (cache) => cache.#store;
  }

  /** @throws `invalid-argument` */
  constructor({ maxEntries = 1000, maxAgeMs = 300_000, clock = systemClock }: CacheOptions = {}) {
    this.#store = new UnwrapStore(count(maxEntries, "cache.maxEntries", MOST_ENTRIES), positive(maxAgeMs, "cache.maxAgeMs"), clock);
  }

  /** How many data keys it holds. */
  get size(): number {
    return this.#store.size;
  }

  /** Wipes what the filter meets, or everything; also keeps unwraps that are under way from being kept. @returns how many left */
  forget(filter: ForgetFilter = {}): number {
    return this.#store.forget(filter);
  }
}

export function storeOf(cache: DataKeyCache): UnwrapStore {
  return storeIn(cache);
}

const MOST_ENTRIES = 2 ** 24;
