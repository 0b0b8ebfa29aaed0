export interface RecentMapOptions<K, V> {
  /** The most entries. Beyond it the least recently used entry is evicted. */
  readonly maxEntries: number;
  /** Disposes of a value that was evicted, deleted, cleared or replaced. */
  onLeave?(value: V, key: K): void;
  /** Whether an entry may not be evicted now. While all are in use the map grows beyond its bound, until the next `set`. */
  isInUse?(value: V, key: K): boolean;
}

/** A map of bounded size that evicts the least recently used entry. An entry is used when it is set, and when `get` finds it. */
export class RecentMap<K, V> {
  readonly #options: RecentMapOptions<K, V>;
  readonly #entries: Map<K, Entry<K, V>> = new Map();
  /** The ends of a chain through all entries, in the order of their last use. */
  #oldest: Entry<K, V> | undefined;
  #newest: Entry<K, V> | undefined;

  constructor(options: RecentMapOptions<K, V>) {
    this.#options = options;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(key: K): V | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    if (entry !== this.#newest) {
      this.#unlink(entry);
      this.#append(entry);
    }
    return entry.value;
  }

  /** Like `get`, without counting as a use. */
  peek(key: K): V | undefined {
    return this.#entries.get(key)?.value;
  }

  /** Sets the value of a key, then evicts entries beyond the bound. */
  set(key: K, value: V): void {
    const replaced = this.#entries.get(key);
    const entry: Entry<K, V> = { key, value, older: undefined, newer: undefined };
    if (replaced !== undefined) this.#unlink(replaced);
    this.#entries.set(key, entry);
    this.#append(entry);
    if (replaced !== undefined && replaced.value !== value) this.#options.onLeave?.(replaced.value, key);
    if (this.#entries.size > this.#options.maxEntries) this.#evict(entry);
  }

  /** Deletes an entry. @returns whether there was one */
  delete(key: K): boolean {
    const entry = this.#entries.get(key);
    if (entry === undefined) return false;
    this.#remove(entry);
    return true;
  }

  clear(): void {
    for (const key of [...this.#entries.keys()]) this.delete(key);
  }

  /** Lists the current entries, least recently used first. */
  entries(): readonly (readonly [key: K, value: V])[] {
    const listed: (readonly [K, V])[] = [];
    for (let entry = this.#oldest; entry !== undefined; entry = entry.newer) listed.push([entry.key, entry.value]);
    return listed;
  }

  #evict(newcomer: Entry<K, V>): void {
    const { maxEntries, isInUse } = this.#options;
    for (let entry = this.#oldest; entry !== undefined && this.#entries.size > maxEntries; ) {
      const { key, value, newer } = entry;
      if (entry !== newcomer && isInUse?.(value, key) !== true) this.#remove(entry);
      entry = newer;
    }
  }

  #remove(entry: Entry<K, V>): void {
    this.#unlink(entry);
    this.#entries.delete(entry.key);
    this.#options.onLeave?.(entry.value, entry.key);
  }

  #unlink(entry: Entry<K, V>): void {
    const { older, newer } = entry;
    if (older === undefined) this.#oldest = newer;
    else older.newer = newer;
    if (newer === undefined) this.#newest = older;
    else newer.older = older;
    entry.older = undefined;
    entry.newer = undefined;
  }

  #append(entry: Entry<K, V>): void {
    const newest = this.#newest;
    entry.older = newest;
    if (newest === undefined) this.#oldest = entry;
    else newest.newer = entry;
    this.#newest = entry;
  }
}

interface Entry<K, V> {
  readonly key: K;
  readonly value: V;
  older: Entry<K, V> | undefined;
  newer: Entry<K, V> | undefined;
}
