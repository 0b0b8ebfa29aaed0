import type { Context } from "../base/context.ts";
import { invalidArgument } from "../base/errors.ts";
import type { KeyProvider } from "../contracts/key-provider.ts";
import type { RandomSource } from "../contracts/random-source.ts";
import { MAX_RECIPIENTS, PROVIDER_NAME } from "../format/key-record.ts";
import type { CacheOptions, DataKeyCache } from "../key-source/data-key-cache.ts";
import type { ReuseOptions } from "../key-source/reused-data-key.ts";
import type { ProviderStatus } from "../resilience/guarded-backend.ts";
import type { ResilienceOptions } from "../resilience/policy.ts";
import type { KeyringEvent } from "../telemetry/events.ts";
import type { Telemetry } from "../telemetry/observer.ts";

export interface KeyringOptions extends ResilienceOptions {
  /** Every one of them becomes a recipient of what is encrypted, and can decrypt. At most 16; with none, the keyring only decrypts. */
  readonly wrapWith?: readonly KeyProvider[];
  /** Keys that only decrypt, tried after those of `wrapWith`: the old ones. */
  readonly unwrapWith?: readonly KeyProvider[];
  /**
   * The key context: what is fixed for every data key of this keyring, such as tenant and purpose. Part of every value's context.
   * A key service may be shown it in clear, and log it.
   */
  readonly context?: Context;
  /**
   * A second generator for data keys, such as an HSM's: each key is its bytes exclusive-or as many of this machine's. A data key then
   * costs a call, and is not made without it.
   */
  readonly randomness?: RandomSource;
  /** Encrypts many values under one data key, within these bounds. Without it every envelope has a data key of its own. */
  readonly reuse?: ReuseOptions;
  /** Keeps unwrapped data keys within these bounds; several keyrings may share one cache. Without it every decrypt unwraps. */
  readonly cache?: CacheOptions | DataKeyCache;
  /** Told of every call, attempt, retry and change, for audit logs. Called at once; what it throws is ignored. */
  readonly onEvent?: (event: KeyringEvent) => void;
  /** Spans and metrics, such as `openTelemetry()` of `envelock/open-telemetry`. */
  readonly telemetry?: Telemetry;
}

export interface KeyringStatus {
  /** One of each provider, those of `wrapWith` first. */
  readonly providers: readonly ProviderStatus[];
  /** Undefined without the option. */
  readonly randomness: ProviderStatus | undefined;
  /** In the cache, which may be shared. */
  readonly cachedDataKeys: number;
  /** Whether a data key is kept for reuse. */
  readonly hasReusedDataKey: boolean;
}

/** @throws `invalid-argument` for no provider at all, too many, a bad name, or a `randomness` that gives no bytes */
export function checkProviders({ wrapWith = [], unwrapWith = [], randomness }: KeyringOptions): void {
  if (wrapWith.length + unwrapWith.length === 0) throw invalidArgument("a keyring needs a provider in wrapWith or unwrapWith");
  if (wrapWith.length > MAX_RECIPIENTS) throw invalidArgument(`wrapWith takes at most ${MAX_RECIPIENTS} providers`);
  if (randomness !== undefined && typeof randomness.randomBytes !== "function") throw invalidArgument("randomness needs randomBytes");
  for (const { name } of [...wrapWith, ...unwrapWith, ...(randomness === undefined ? [] : [randomness])]) {
    if (!PROVIDER_NAME.test(name)) throw invalidArgument("a provider's name has 1 to 32 characters of a-z, 0-9 and -");
  }
}
