import { equalPublicBytes, readUint32 } from "../base/bytes.ts";
import type { Clock } from "../base/clock.ts";
import type { KeyContext } from "../base/context.ts";
import { RecentMap } from "../base/recent-map.ts";
import type { KeyProvider, Recipient } from "../contracts/key-provider.ts";
import type { EvictionReason } from "../telemetry/events.ts";
import { type ForgetFilter, meets } from "./forget-filter.ts";
import type { SharedDataKey } from "./shared-data-key.ts";

/** The identity of an unwrap: all parts that decide which data key it gives. A difference in any part makes another key. */
export interface UnwrapIdentity {
  /** The object, not its name: two objects may stand for two accounts. */
  readonly provider: KeyProvider;
  /** Its key id, algorithm and wrapped bytes. */
  readonly recipient: Recipient;
  readonly keyContext: KeyContext;
  readonly suite: number;
}

export interface StoredKey {
  readonly identity: UnwrapIdentity;
  readonly key: SharedDataKey;
  readonly bornAt: number;
  onEvict(reason: EvictionReason): void;
}

/** An unwrap in flight. If it is forgotten before it ends, its result is not kept. */
export interface PendingUnwrap {
  readonly identity: UnwrapIdentity;
  isForgotten: boolean;
}

/** The store behind a `DataKeyCache`. Looks up by a short hash, then compares every part of the identity. */
export class UnwrapStore {
  readonly #maxAgeMs: number;
  readonly #clock: Clock;
  readonly #providerIds = new WeakMap<KeyProvider, number>();
  readonly #pending = new Set<PendingUnwrap>();
  #providers = 0;
  readonly #entries: RecentMap<number, StoredKey>;
  #evictionReason: EvictionReason = "size";
  #cancelSweep: (() => void) | undefined;

  constructor(maxEntries: number, maxAgeMs: number, clock: Clock) {
    this.#entries = new RecentMap({ maxEntries, onLeave: (stored) => this.#letGo(stored) });
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

  /** Finds the key of an identity. @returns a key that the caller must `hold` before anything else happens */
  find(identity: UnwrapIdentity): StoredKey | undefined {
    if (this.#entries.size === 0) return undefined;
    const place = this.#placeOf(identity);
    const stored = this.#entries.get(place);
    if (stored === undefined || !isSameIdentity(stored.identity, identity)) return undefined;
    if (this.ageMs(stored) < this.#maxAgeMs) return stored;
    this.#evict([place], "age");
    return undefined;
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

  /** Keeps the result of an unwrap and holds it, unless it was forgotten meanwhile. */
  keep(pending: PendingUnwrap, key: SharedDataKey, onEvict: StoredKey["onEvict"]): void {
    if (pending.isForgotten) return;
    const { identity } = pending;
    key.hold();
    this.#entries.set(this.#placeOf(identity), { identity, key, bornAt: this.#clock.monotonicMs(), onEvict });
    this.#cancelSweep ??= this.#sweepLater();
  }

  /** Removes the keys that match the filter. @returns how many */
  forget(filter: ForgetFilter): number {
    return this.#forgetWhere(({ keyContext, recipient }) => meets(keyContext, recipient, filter), "forgotten");
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
    if (this.size > 0) return;
    this.#cancelSweep?.();
    this.#cancelSweep = undefined;
  }

  #sweepLater(): () => void {
    return this.#clock.after(this.#maxAgeMs, () => this.#sweep(), "idle");
  }

  #sweep(): void {
    this.#cancelSweep = undefined;
    this.#evictWhere((stored) => this.ageMs(stored) >= this.#maxAgeMs, "age");
    if (this.size > 0) this.#cancelSweep = this.#sweepLater();
  }

  #letGo({ key, onEvict }: StoredKey): void {
    key.release();
    onEvict(this.#evictionReason);
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
    a.recipient.alg === b.recipient.alg &&
    a.recipient.keyId === b.recipient.keyId &&
    isEqual(a.recipient.wrapped, b.recipient.wrapped) &&
    isEqual(a.keyContext.bytes, b.keyContext.bytes)
  );
}

function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a === b || equalPublicBytes(a, b);
}
