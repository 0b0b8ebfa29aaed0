import { type Clock, systemClock } from "../base/clock.ts";
import { invalidArgument } from "../base/errors.ts";
import { type OptionNames, refuseUnknown } from "../base/options.ts";
import { isMarked, markClass, notOwn } from "../base/own-class.ts";
import { count, positive } from "../resilience/checks.ts";
import { checkedFilter, type ForgetFilter } from "./forget-filter.ts";
import { UnwrapStore } from "./unwrap-store.ts";

export interface CacheOptions {
  /** Default 1,000, at most 16,777,216. The least recently used data key is evicted first. */
  readonly maxEntries?: number;
  /**
   * The most data keys of one tenant, for keyrings with the option `tenant`. A tenant beyond it evicts its own least recently used data key.
   * Default a hundredth of `maxEntries`, and at least 8.
   */
  readonly maxEntriesPerTenant?: number;
  /**
   * How long a data key serves after its unwrap. A revocation takes effect within this time. Default 300,000. The `cacheMaxAgeMs` of a
   * keyring's tenant stands in its place.
   */
  readonly maxAgeMs?: number;
  /** The time source, for tests. */
  readonly clock?: Clock;
}

// Filled by the static block with functions for keyrings that the owner of a cache must not have.
let storeIn: (cache: DataKeyCache) => UnwrapStore;
let isCache: (value: object) => value is DataKeyCache;

/**
 * Keeps unwrapped data keys, bounded in number and age, for one or more keyrings. A keyring's own configuration decides each time which key
 * it gets, together with the provider object, key id, algorithm, wrapped bytes, key context and suite.
 *
 * A data key is wiped when it leaves, at the latest one `maxAgeMs` after it stopped to serve.
 *
 * @example
 * const cache = new DataKeyCache({ maxEntries: 5000, maxAgeMs: 60_000 });
 * const keyrings = tenants.map((tenant) => new Keyring({ wrapWith: [kek], context: { tenant }, cache }));
 * cache.forget({ context: { tenant: "acme" } });
 */
export class DataKeyCache {
  readonly #store: UnwrapStore;

  static {
    markClass(DataKeyCache.prototype, "DataKeyCache");
    storeIn = (cache) => cache.#store;
    isCache = (value): value is DataKeyCache => #store in value;
  }

  /** @throws `invalid-argument` */
  constructor(options: CacheOptions = {}) {
    refuseUnknown(options, CACHE_OPTIONS, "a DataKeyCache");
    const { maxEntries = 1000, maxAgeMs = 300_000, clock = systemClock } = options;
    count(maxEntries, "cache.maxEntries", MOST_ENTRIES);
    const { maxEntriesPerTenant = Math.max(LEAST_SHARE, Math.floor(maxEntries / 100)) } = options;
    count(maxEntriesPerTenant, "cache.maxEntriesPerTenant", MOST_ENTRIES);
    this.#store = new UnwrapStore({ maxEntries, maxEntriesPerTenant, maxAgeMs: positive(maxAgeMs, "cache.maxAgeMs") }, clock);
  }

  /** The number of data keys that it holds. */
  get size(): number {
    return this.#store.size;
  }

  /** Wipes the data keys that match the filter, or all; unwraps in flight that match are not kept either. @returns how many were removed */
  forget(filter: ForgetFilter = {}): number {
    return this.#store.forget(checkedFilter(filter));
  }
}

/**
 * Returns the cache of a keyring's options: the caller's, or a new one within the given bounds.
 *
 * @throws `invalid-argument` for a cache of another copy of the package, which `forget` and `status` would not reach
 */
export function dataKeyCacheOf(given: CacheOptions | DataKeyCache, clock: Clock): DataKeyCache {
  if (typeof given === "object" && given !== null) {
    if (isCache(given)) return given;
    if (isMarked(given, "DataKeyCache") || !isPlain(given)) throw notOwn(given, "DataKeyCache", "cache");
    refuseUnknown(given, CACHE_OPTIONS, "cache");
    return new DataKeyCache({ clock, ...given });
  }
  throw invalidArgument("cache must be an object of options, or a DataKeyCache");
}

export function storeOf(cache: DataKeyCache): UnwrapStore {
  return storeIn(cache);
}

/** Whether a value is a plain object. A class instance has no options to show, and would pass for an object without any. */
function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

const CACHE_OPTIONS: OptionNames<CacheOptions> = { maxEntries: true, maxEntriesPerTenant: true, maxAgeMs: true, clock: true };
const MOST_ENTRIES = 2 ** 24;
const LEAST_SHARE = 8;
