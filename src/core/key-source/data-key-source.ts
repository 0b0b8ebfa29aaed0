import { engine } from "#engine";
import { oldestOf } from "../base/ages.ts";
import { copyOf, wipe } from "../base/bytes.ts";
import type { KeyContext } from "../base/context.ts";
import { isDeliberateRefusal } from "../base/errors.ts";
import type { KeyProvider, Recipient } from "../contracts/key-provider.ts";
import type { RandomSource } from "../contracts/random-source.ts";
import { SUITE } from "../contracts/suite.ts";
import { commitmentOf, DataKey, generateDataKey, secretBytesOf } from "../data-key/data-key.ts";
import type { KeyRecord } from "../format/key-record.ts";
import type { ProviderStatus } from "../resilience/guarded-backend.ts";
import { GuardedProvider } from "../resilience/guarded-provider.ts";
import { GuardedRandom } from "../resilience/guarded-random.ts";
import { Operation } from "../resilience/operation.ts";
import type { ResiliencePolicy } from "../resilience/policy.ts";
import type { DataKeyOrigin } from "../telemetry/events.ts";
import { errorCodeOf, type Observer } from "../telemetry/observer.ts";
import { type CacheOptions, type DataKeyCache, dataKeyCacheOf, storeOf } from "./data-key-cache.ts";
import { type ForgetFilter, meets } from "./forget-filter.ts";
import { type Candidate, type Candidates, candidatesOf, isStale, unwrapAny, unwrapNow, wrapForAll } from "./recipients.ts";
import { ReusedDataKey, type ReuseOptions, type WrappedDataKey } from "./reused-data-key.ts";
import { SharedDataKey } from "./shared-data-key.ts";
import { UnwrapFlights } from "./unwrap-flights.ts";
import type { StoredKey, UnwrapIdentity, UnwrapStore } from "./unwrap-store.ts";

export interface DataKeySourceOptions {
  readonly wrapWith: readonly KeyProvider[];
  readonly unwrapWith: readonly KeyProvider[];
  readonly randomness: RandomSource | undefined;
  readonly keyContext: KeyContext;
  readonly policy: ResiliencePolicy;
  readonly reuse: ReuseOptions | undefined;
  readonly cache: DataKeyCache | CacheOptions | undefined;
  readonly observer: Observer | undefined;
  /** The flights of the source that this one is made from. */
  readonly flights?: UnwrapFlights;
}

/** The source of a keyring's data keys: it makes and wraps, unwraps, or returns keys that it kept. */
export class DataKeySource {
  readonly wrapWith: readonly GuardedProvider[];
  readonly #providers: readonly GuardedProvider[];
  readonly #random: GuardedRandom | undefined;
  readonly #options: DataKeySourceOptions;
  readonly #keyContext: KeyContext;
  readonly #policy: ResiliencePolicy;
  readonly #observer: Observer | undefined;
  readonly #flights: UnwrapFlights;
  readonly #reused: ReusedDataKey | undefined;
  readonly #cache: DataKeyCache | undefined;
  readonly #store: UnwrapStore | undefined;
  readonly #ownsCache: boolean;

  /** @throws `invalid-argument` */
  constructor(options: DataKeySourceOptions) {
    const { wrapWith, unwrapWith, randomness, keyContext, policy, reuse, cache, observer } = options;
    const guarded = new Map<KeyProvider, GuardedProvider>();
    const guard = (provider: KeyProvider): GuardedProvider => {
      const known = guarded.get(provider) ?? new GuardedProvider(provider, policy, observer, keyContext.map);
      guarded.set(provider, known);
      return known;
    };
    this.wrapWith = wrapWith.map(guard);
    this.#providers = [...new Set([...this.wrapWith, ...unwrapWith.map(guard)])];
    this.#random = randomness && new GuardedRandom(randomness, policy, observer, keyContext.map);
    this.#options = options;
    this.#keyContext = keyContext;
    this.#policy = policy;
    this.#observer = observer;
    this.#flights = options.flights ?? new UnwrapFlights();
    this.#cache = cache === undefined ? undefined : dataKeyCacheOf(cache, policy.clock);
    this.#ownsCache = this.#cache !== cache;
    this.#store = this.#cache && storeOf(this.#cache);
    this.#reused = reuse === undefined ? undefined : new ReusedDataKey(reuse, this.#supply());
  }

  get providers(): readonly ProviderStatus[] {
    return this.#providers.map(({ status }) => status);
  }

  get randomness(): ProviderStatus | undefined {
    return this.#random?.status;
  }

  get cachedDataKeys(): number {
    return this.#cache?.size ?? 0;
  }

  get hasReusedDataKey(): boolean {
    return this.#reused?.isHolding === true;
  }

  /** The age of the oldest data key that serves from cache and reuse: of the tenant of this source, or of all in the cache. */
  get oldestMs(): number | undefined {
    return oldestOf([this.#reused?.heldMs, this.#store?.oldestMs(this.#policy.tenant?.id)]);
  }

  /** Makes the bounds of one call. */
  operation(signal: AbortSignal | undefined): Operation {
    return new Operation(this.#policy.clock, this.#policy.deadlineMs, signal);
  }

  /** Makes a source with the same providers, guards and cache for another key context. Its data keys are never reused. */
  within(keyContext: KeyContext): DataKeySource {
    if (keyContext === this.#keyContext) return this;
    return new DataKeySource({ ...this.#options, keyContext, reuse: undefined, cache: this.#cache, flights: this.#flights });
  }

  /** Returns a data key to encrypt `bytes` with; the caller releases it. @throws what `wrap` throws */
  forEncryption(bytes: number, operation: Operation): WrappedDataKey | Promise<WrappedDataKey> {
    return this.#reused === undefined ? (this.#freshNow(operation) ?? this.fresh(operation)) : this.#reuse(this.#reused, bytes, operation);
  }

  /** Makes a data key that no other call uses. @throws what the providers' `wrap` and the generator throw */
  async fresh(operation: Operation): Promise<WrappedDataKey> {
    const random = this.#random;
    const dataKey = random === undefined ? generateDataKey(this.#keyContext) : await this.#mixed(random, operation);
    try {
      const recipients = await this.wrap(dataKey, operation);
      const wrapped = freshlyWrapped(dataKey, recipients);
      note(operation, wrapped.key, "new", 0);
      return wrapped;
    } catch (error) {
      dataKey.destroy();
      throw error;
    }
  }

  /** Wraps a data key for every provider of `wrapWith`. @throws what the providers' `wrap` throws */
  wrap(dataKey: DataKey, operation: Operation): Promise<readonly Recipient[]> {
    return wrapForAll(this.wrapWith, dataKey, this.#keyContext, operation);
  }

  /**
   * Returns the data key of a record, at once if it is cached. The caller releases it.
   *
   * @throws `no-matching-provider`; and what the providers' `unwrap` throws
   */
  unwrap(record: KeyRecord, operation: Operation): SharedDataKey | Promise<SharedDataKey> {
    operation.throwIfAborted();
    const candidates = candidatesOf(this.#providers, record);
    return (
      this.#cached(candidates, record, operation) ??
      this.#unwrappedNow(candidates, record) ??
      this.#unwrapped(candidates, record, operation)
    );
  }

  /** Unwraps like `unwrap`, to a key that the caller alone holds and destroys. */
  async unwrapOwn(record: KeyRecord, operation: Operation): Promise<DataKey> {
    const key = await this.unwrap(record, operation);
    if (key.isHeldOnce) return key.dataKey;
    const own = new DataKey(copyOf(secretBytesOf(key.dataKey)), this.#keyContext);
    key.release();
    return own;
  }

  /** Whether the recipients differ from those that `wrap` would make now. @throws what the providers' `current` throws */
  isStale(recipients: readonly Recipient[], operation: Operation): Promise<boolean> {
    return isStale(this.wrapWith, recipients, operation);
  }

  /** Drops the data keys that match the filter. @returns how many were dropped */
  forget(filter: ForgetFilter): number {
    const forgotten = this.#store?.forget(filter) ?? 0;
    const isMeant = ({ record }: WrappedDataKey): boolean =>
      record.recipients.some((recipient) => meets(this.#keyContext, recipient, filter, this.#policy.tenant?.id));
    return forgotten + (this.#reused?.forget(isMeant) ?? 0);
  }

  /** Wipes the keys that it keeps; a cache that the caller made stays as it is. */
  close(): void {
    this.#reused?.close();
    if (this.#ownsCache) this.#cache?.forget();
  }

  /** Makes a data key at once, if its keys are all in this process. Undefined leaves it to `fresh`, which says what is wrong. */
  #freshNow(operation: Operation): WrappedDataKey | undefined {
    if (this.#random !== undefined || !this.wrapWith.every(({ isInstant }) => isInstant)) return undefined;
    operation.throwIfAborted();
    const dataKey = generateDataKey(this.#keyContext);
    const recipients: Recipient[] = [];
    try {
      for (const provider of this.wrapWith) {
        const recipient = provider.wrapNow(secretBytesOf(dataKey), this.#keyContext);
        if (recipient === undefined) break;
        recipients.push(recipient);
      }
    } catch {
      recipients.length = 0;
    }
    if (recipients.length === this.wrapWith.length) return freshlyWrapped(dataKey, recipients);
    dataKey.destroy();
    return undefined;
  }

  /** Unwraps at once, if the one key that can is in this process and nothing is to be kept. Undefined leaves it to `#unwrapped`. */
  #unwrappedNow([candidate, ...others]: Candidates, { keyCommit }: KeyRecord): SharedDataKey | undefined {
    if (others.length > 0 || this.#store !== undefined) return undefined;
    const dataKey = unwrapNow(candidate, keyCommit, this.#keyContext);
    return dataKey && new SharedDataKey(dataKey, [candidate.recipient]);
  }

  async #mixed(random: GuardedRandom, operation: Operation): Promise<DataKey> {
    const more = await random.dataKeyBytes(operation);
    try {
      return generateDataKey(this.#keyContext, more);
    } finally {
      wipe(more);
    }
  }

  async #reuse(reused: ReusedDataKey, bytes: number, operation: Operation): Promise<WrappedDataKey> {
    const wrapped = await reused.take(bytes, operation);
    note(operation, wrapped.key, "reused", reused.ageMs(wrapped));
    return wrapped;
  }

  // A cache hit is as good as an unwrap: the candidates come from this keyring's configuration, and the commitment is checked again.
  #cached(candidates: Candidates, record: KeyRecord, operation: Operation): SharedDataKey | undefined {
    const store = this.#store;
    if (store === undefined) return undefined;
    for (const candidate of candidates) {
      const stored = store.find(this.#identityOf(candidate, record));
      if (stored === undefined || !engine.timingSafeEqual(commitmentOf(stored.key.dataKey), record.keyCommit)) continue;
      stored.key.hold();
      this.#observer?.emit({ type: "cache", result: "hit" });
      if (operation.report !== undefined) note(operation, stored.key, "cached", store.ageMs(stored));
      return stored.key;
    }
    this.#observer?.emit({ type: "cache", result: "miss" });
    return undefined;
  }

  async #unwrapped(candidates: Candidates, record: KeyRecord, operation: Operation): Promise<SharedDataKey> {
    const key = await this.#flights.join(
      record,
      this.#keyContext,
      operation,
      () => this.operation(undefined),
      (flight) => this.#fly(candidates, record, flight),
    );
    note(operation, key, "unwrapped", 0);
    return key;
  }

  async #fly(candidates: Candidates, record: KeyRecord, operation: Operation): Promise<SharedDataKey> {
    const store = this.#store;
    const pending = new Map(store && candidates.map((candidate) => [candidate, store.begin(this.#identityOf(candidate, record))]));
    try {
      const onFailure = (candidate: Candidate, error: unknown): void => {
        if (!operation.aborted && isDeliberateRefusal(error)) this.#revoke(candidate);
      };
      const unwrapped = await unwrapAny(candidates, record, this.#keyContext, operation, onFailure);
      const { recipient } = unwrapped.candidate;
      const key = new SharedDataKey(unwrapped.dataKey, [recipient]);
      const begun = pending.get(unwrapped.candidate);
      if (begun !== undefined) store?.keep(begun, key, this.#onEvict(recipient));
      return key;
    } finally {
      for (const begun of pending.values()) store?.end(begun);
    }
  }

  /**
   * Drops what a key had unwrapped or wrapped, once its provider has refused the key. The refusal counts only for entries under the same
   * algorithm. Any writer can put another algorithm into a header, and its refusal tells what the mechanism allows, not what became of the
   * key.
   */
  #revoke({ provider, recipient }: Candidate): void {
    this.#store?.revoke(provider.provider, recipient);
    if (!this.wrapWith.includes(provider)) return;
    this.#reused?.forget(({ record }) => record.recipients.some((own) => isSameKey(own, recipient)));
  }

  #identityOf({ provider, recipient }: Candidate, { suite }: KeyRecord): UnwrapIdentity {
    return { provider: provider.provider, recipient, keyContext: this.#keyContext, suite, tenant: this.#policy.tenant };
  }

  #onEvict({ provider, keyId }: Recipient): StoredKey["onEvict"] {
    const observer = this.#observer;
    return (reason) => observer?.emit({ type: "eviction", reason, provider, keyId });
  }

  #supply(): ConstructorParameters<typeof ReusedDataKey>[1] {
    return {
      clock: this.#policy.clock,
      fetch: () => this.fresh(this.operation(undefined)),
      onRefresh: (error, dataKeyAgeMs) => {
        const outcome = error === undefined ? "ok" : errorCodeOf(error);
        this.#observer?.emit({ type: "refresh", outcome, dataKeyAgeMs });
      },
    };
  }
}

function freshlyWrapped(dataKey: DataKey, recipients: readonly Recipient[]): WrappedDataKey {
  return { key: new SharedDataKey(dataKey, recipients), record: { suite: SUITE, keyCommit: commitmentOf(dataKey), recipients } };
}

function isSameKey(a: Recipient, b: Recipient): boolean {
  return a.provider === b.provider && a.keyId === b.keyId && a.alg === b.alg;
}

function note(operation: Operation, key: SharedDataKey, dataKey: DataKeyOrigin, dataKeyAgeMs: number): void {
  const { report } = operation;
  if (report === undefined) return;
  report.dataKey = dataKey;
  report.dataKeyAgeMs = dataKeyAgeMs;
  report.keys = key.keys.map(({ provider, keyId }) => ({ provider, keyId }));
}
