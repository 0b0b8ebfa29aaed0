import { RecentMap } from "../base/recent-map.ts";

/**
 * Bounds how many entries of a cache each tenant has. A tenant at its bound evicts its own least recently used entry, so that it cannot
 * evict those of all others. Entries are named by their place in the cache.
 */
export class TenantShares {
  readonly #maxEntries: number;
  readonly #evict: (place: number) => void;
  readonly #shares: Map<string, RecentMap<number, true>> = new Map();

  /** @param evict removes an entry from the cache, which may call `delete` again */
  constructor(maxEntries: number, evict: (place: number) => void) {
    this.#maxEntries = maxEntries;
    this.#evict = evict;
  }

  /** Adds an entry. Evicts the tenant's oldest entry beyond the bound, before the cache has to evict another tenant's. */
  add(tenant: string, place: number): void {
    const share = this.#shares.get(tenant) ?? this.#begin(tenant);
    share.set(place, true);
  }

  /** Notes that an entry was used. */
  touch(tenant: string, place: number): void {
    this.#shares.get(tenant)?.get(place);
  }

  /** Notes that an entry has left the cache. */
  delete(tenant: string, place: number): void {
    const share = this.#shares.get(tenant);
    share?.delete(place);
    if (share?.size === 0) this.#shares.delete(tenant);
  }

  /** Lists the places of a tenant's entries. */
  placesOf(tenant: string): readonly number[] {
    return (
      this.#shares
        .get(tenant)
        ?.entries()
        .map(([place]) => place) ?? []
    );
  }

  #begin(tenant: string): RecentMap<number, true> {
    const share = new RecentMap<number, true>({ maxEntries: this.#maxEntries, onLeave: (_, place) => this.#evict(place) });
    this.#shares.set(tenant, share);
    return share;
  }
}
