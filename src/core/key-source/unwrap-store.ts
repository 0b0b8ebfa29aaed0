import { oldestOf } from "../base/ages.ts";
import { equalPublicBytes, readUint32 } from "../base/bytes.ts";
import type { Clock } from "../base/clock.ts";
import type { KeyContext } from "../base/context.ts";
import { RecentMap } from "../base/recent-map.ts";
import type { TenantLabel } from "../base/tenant-label.ts";
import type { KeyProvider, Recipient } from "../contracts/key-provider.ts";
import type { EvictionReason } from "../telemetry/events.ts";
import { Expiries } from "./expiries.ts";
import { type ForgetFilter, meets } from "./forget-filter.ts";
import type { SharedDataKey } from "./shared-data-key.ts";
import { TenantShares } from "./tenant-shares.ts";

/** The identity of an unwrap: all parts that decide which data key it gives. A difference in any part makes another key. */
export interface UnwrapIdentity {
  /** The object, not its name: two objects may stand for two accounts. */
  readonly provider: KeyProvider;
  /** Its key id, algorithm and wrapped bytes. */
  readonly recipient: Recipient;
  readonly keyContext: KeyContext;
  readonly suite: number;
  /** The keyring's tenant: its id is a part of the identity, its age a bound of the entry. */
  readonly tenant: TenantLabel | undefined;
}

export interface StoredKey {
  readonly identity: UnwrapIdentity;
  readonly key: SharedDataKey;
  readonly bornAt: number;
  readonly maxAgeMs: number;
  onEvict(reason: EvictionReason): void;
}

/** An unwrap in flight. If it is forgotten before it ends, its result is not kept. */
export interface PendingUnwrap {
  readonly identity: UnwrapIdentity;
  isForgotten: boolean;
}

export interface StoreBounds {
  readonly maxEntries: number;
  readonly maxEntriesPerTenant: number;
  readonly maxAgeMs: number;
}

/** The store behind a `DataKeyCache`. Looks up by a short hash, then compares every part of the identity. */
export class UnwrapStore {
  readonly #maxAgeMs: number;
  readonly #clock: Clock;
  readonly #providerIds = new WeakMap<KeyProvider, number>();
  readonly #pending = new Set<PendingUnwrap>();
  #providers = 0;
  readonly #entries: RecentMap<number, StoredKey>;
  readonly #shares: TenantShares;
  readonly #expiries: Expiries<StoredKey>;
  #evictionReason: EvictionReason = "size";

  constructor({ maxEntries, maxEntriesPerTenant, maxAgeMs }: StoreBounds, clock: Clock) {
    this.#entries = new RecentMap({ maxEntries, onLeave: (stored, place) => this.#letGo(stored, place) });
    this.#shares = new TenantShares(maxEntriesPerTenant, (place) => this.#entries.delete(place));
    this.#expiries = new Expiries(clock, (expired) =>
      this.#evict(
        expired.map(({ identity }) => this.#placeOf(identity)),
        "age",
      ),
    );
    this.#maxAgeMs = maxAgeMs;
    this.#clock = clock;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** The time since a key was unwrapped. */
  ageMs({ bornAt }: StoredKey): number {
    return this.#clock.monotonicMs() - bornAt;
  }

  /** The age of the oldest key that still serves, of one tenant or of all. Undefined if none does. */
  oldestMs(tenant?: string): number | undefined {
    const kept = tenant === undefined ? this.#entries.entries().map(([, stored]) => stored) : this.#keptOf(tenant);
    const now = this.#clock.monotonicMs();
    return oldestOf(kept.map(({ bornAt, maxAgeMs }) => (now - bornAt < maxAgeMs ? now - bornAt : undefined)));
  }

  /** Finds the key of an identity. @returns a key that the caller must `hold` before anything else happens */
  find(identity: UnwrapIdentity): StoredKey | undefined {
    if (this.#entries.size === 0) return undefined;
    const place = this.#placeOf(identity);
    const stored = this.#entries.get(place);
    if (stored === undefined || !isSameIdentity(stored.identity, identity)) return undefined;
    if (this.ageMs(stored) >= Math.min(stored.maxAgeMs, this.#maxAgeOf(identity))) {
      this.#evict([place], "age");
      return undefined;
    }
    if (identity.tenant !== undefined) this.#shares.touch(identity.tenant.id, place);
    return stored;
  }

  /** Notes that an unwrap begins. The caller ends it with `end`, whatever its result. */
  begin(identity: UnwrapIdentity): PendingUnwrap {
    const pending = { identity, isForgotten: false };
    this.#pending.add(pending);
    return pending;
  }

  end(pending: PendingUnwrap): void {
    this.#pending.delete(pending);
  }

  /** Keeps the result of an unwrap and holds it, unless it was forgotten meanwhile or its tenant keeps none. */
  keep(pending: PendingUnwrap, key: SharedDataKey, onEvict: StoredKey["onEvict"]): void {
    const { identity, isForgotten } = pending;
    const maxAgeMs = this.#maxAgeOf(identity);
    if (isForgotten || maxAgeMs === 0) return;
    key.hold();
    const place = this.#placeOf(identity);
    const stored = { identity, key, bornAt: this.#clock.monotonicMs(), maxAgeMs, onEvict };
    this.#entries.delete(place);
    if (identity.tenant !== undefined) this.#shares.add(identity.tenant.id, place);
    this.#entries.set(place, stored);
    this.#expiries.add(stored);
  }

  /** Removes the keys that match the filter. @returns how many */
  forget(filter: ForgetFilter): number {
    return this.#forgetWhere(({ keyContext, recipient, tenant }) => meets(keyContext, recipient, filter, tenant?.id), "forgotten");
  }

  /** Removes what a refused key version had unwrapped by this algorithm. */
  revoke(provider: KeyProvider, { keyId, alg }: Recipient): void {
    const isMet = ({ provider: owner, recipient }: UnwrapIdentity): boolean =>
      owner === provider && recipient.keyId === keyId && recipient.alg === alg;
    this.#forgetWhere(isMet, "revoked");
  }

  #forgetWhere(isMet: (identity: UnwrapIdentity) => boolean, reason: EvictionReason): number {
    for (const pending of this.#pending) pending.isForgotten ||= isMet(pending.identity);
    return this.#evictWhere(({ identity }) => isMet(identity), reason);
  }

  #evictWhere(isMet: (stored: StoredKey) => boolean, reason: EvictionReason): number {
    const places: number[] = [];
    for (const [place, stored] of this.#entries.entries()) if (isMet(stored)) places.push(place);
    this.#evict(places, reason);
    return places.length;
  }

  #evict(places: readonly number[], reason: EvictionReason): void {
    this.#evictionReason = reason;
    for (const place of places) this.#entries.delete(place);
    this.#evictionReason = "size";
  }

  #letGo(stored: StoredKey, place: number): void {
    const { identity, key, onEvict } = stored;
    this.#expiries.delete(stored);
    if (identity.tenant !== undefined) this.#shares.delete(identity.tenant.id, place);
    key.release();
    onEvict(this.#evictionReason);
  }

  #keptOf(tenant: string): readonly StoredKey[] {
    return this.#shares.placesOf(tenant).flatMap((place) => this.#entries.peek(place) ?? []);
  }

  #maxAgeOf({ tenant }: UnwrapIdentity): number {
    return tenant?.cacheMaxAgeMs ?? this.#maxAgeMs;
  }

  /** Hashes the end of the wrapped key, which is a tag or looks random. Keys with equal hashes evict each other, and nothing worse. */
  #placeOf({ provider, recipient: { wrapped } }: UnwrapIdentity): number {
    const low = readUint32(wrapped, wrapped.length - 4) ^ this.#idOf(provider);
    return (low >>> 0) + (readUint32(wrapped, wrapped.length - 8) & 0x1fffff) * 2 ** 32;
  }

  #idOf(provider: KeyProvider): number {
    const known = this.#providerIds.get(provider);
    if (known !== undefined) return known;
    this.#providerIds.set(provider, ++this.#providers);
    return this.#providers;
  }
}

function isSameIdentity(a: UnwrapIdentity, b: UnwrapIdentity): boolean {
  return (
    a.provider === b.provider &&
    a.suite === b.suite &&
    a.tenant?.id === b.tenant?.id &&
    a.recipient.alg === b.recipient.alg &&
    a.recipient.keyId === b.recipient.keyId &&
    isEqual(a.recipient.wrapped, b.recipient.wrapped) &&
    isEqual(a.keyContext.bytes, b.keyContext.bytes)
  );
}

function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a === b || equalPublicBytes(a, b);
}
