import type { DataKey } from "../core/data-key/data-key.ts";
import { HeldKeys } from "./held-keys.ts";

export interface FetchSource {
  /** Fetches a key, and keeps it by `FetchedKeys.put`. */
  fetch(kid: string): Promise<DataKey>;
  /** Finds a key that is held. @throws if the scope gives no key any more */
  find(kid: string): DataKey | undefined;
}

/** Older versions that callers asked for. The first that was asked for is evicted first, unless callers still wait for it. */
export class FetchedKeys {
  readonly #held = new HeldKeys();
  readonly #fetching = new Map<string, Fetch>();
  readonly #most: number;
  readonly #source: FetchSource;

  /** @param most how many are kept beyond those that callers wait for */
  constructor(most: number, source: FetchSource) {
    this.#most = most;
    this.#source = source;
  }

  get(kid: string): DataKey | undefined {
    return this.#held.get(kid);
  }

  oldestMs(nowMs: number): number | undefined {
    return this.#held.oldestMs(nowMs);
  }

  /** Takes ownership of a key. */
  put(kid: string, key: DataKey, nowMs: number): void {
    this.#held.put(kid, key, nowMs);
  }

  /**
   * Fetches a key, once for all callers that ask for it at the same time. It is kept until all of them have used it.
   *
   * @param use gets the key for as long as the call takes
   * @throws what the source and `use` throw
   */
  async use<T>(kid: string, use: (key: DataKey) => T): Promise<T> {
    const { fetch, find } = this.#source;
    const flight = this.#fetching.get(kid) ?? { key: fetch(kid), waiting: 0 };
    this.#fetching.set(kid, flight);
    flight.waiting++;
    try {
      const key = await flight.key;
      return use(find(kid) ?? key);
    } finally {
      flight.waiting--;
      if (flight.waiting === 0) this.#fetching.delete(kid);
      this.#makeRoom();
    }
  }

  /** Wipes the keys that were unwrapped `maxAgeMs` ago or earlier, except those that callers wait for. */
  dropOlder(maxAgeMs: number, nowMs: number): void {
    this.#held.dropAll((kid) => this.#held.ageMs(kid, nowMs) >= maxAgeMs && !this.#fetching.has(kid));
  }

  /** Wipes all keys. @returns how many */
  dropAll(): number {
    return this.#held.dropAll();
  }

  #makeRoom(): void {
    for (const kid of this.#held.kids()) {
      if (this.#held.size <= this.#most) return;
      if (!this.#fetching.has(kid)) this.#held.drop(kid);
    }
  }
}

interface Fetch {
  readonly key: Promise<DataKey>;
  /** The number of callers that have not used it yet. */
  waiting: number;
}
