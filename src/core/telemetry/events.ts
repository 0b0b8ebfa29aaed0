import type { ErrorCode } from "../base/errors.ts";
import type { EngineName } from "../crypto/engine/engine.ts";

/** An event that a keyring reports to `onEvent`, for audit logs and metrics. Holds no secret, no plaintext and no value context. */
export type KeyringEvent = OperationEvent | ProviderCallEvent | RetryEvent | BreakerEvent | CacheEvent | EvictionEvent | RefreshEvent;

/** The end of a call: success, an abort by the caller's signal, or an error with this code. */
export type Outcome = "ok" | "aborted" | ErrorCode;

/** The name of a call. Events of streams report their beginning: the data key has been wrapped or unwrapped, and no byte has passed. */
export type OperationName =
  | "encrypt"
  | "decrypt"
  | "encrypt-stream"
  | "decrypt-stream"
  | "rewrap"
  | "needs-rewrap"
  | "create-data-key"
  | "unwrap-data-key";

/** A call of a provider. `random` is a call of the keyring's `randomness`, whose name then takes the provider's place. */
export type ProviderCall = "wrap" | "unwrap" | "current" | "random";

/** The label of the keyring that reports an event: its option `tenant`. Absent without that option. */
export interface TenantEvent {
  readonly tenant?: string;
  readonly generation?: number;
}

/** Reports that a call of a keyring's method has ended. */
export interface OperationEvent extends TenantEvent {
  readonly type: "operation";
  readonly operation: OperationName;
  readonly outcome: Outcome;
  readonly durationMs: number;
  /** Bytes of plaintext that went in or came out; 0 where there is no body, or no success. */
  readonly bytes: number;
  /** The key versions that wrapped or unwrapped the data key. Empty if the call ended before. */
  readonly keys: readonly KeyVersion[];
  /** The origin of the data key. Undefined if the call ended before. */
  readonly dataKey: DataKeyOrigin | undefined;
  /** The time since the data key was made or unwrapped; 0 for a fresh one. */
  readonly dataKeyAgeMs: number;
  /** The keyring's context. */
  readonly keyContext: Readonly<Record<string, string>>;
  /** What does the cryptography in this thread: `engineInfo().name`. */
  readonly engine: EngineName;
}

/** `reused` from an earlier encrypt, `cached` from an earlier unwrap. */
export type DataKeyOrigin = "new" | "reused" | "unwrapped" | "cached";

export interface KeyVersion {
  readonly provider: string;
  readonly keyId: string;
}

/** Reports that one attempt at one provider has ended. */
export interface ProviderCallEvent extends TenantEvent {
  readonly type: "provider-call";
  readonly call: ProviderCall;
  readonly provider: string;
  /** The key version. Undefined for `random`, and if a wrap failed before it had one. */
  readonly keyId: string | undefined;
  readonly outcome: Outcome;
  readonly durationMs: number;
  /** Counts from 1. */
  readonly attempt: number;
  /** The key context of the data key. For `current` and `random` the keyring's context. */
  readonly keyContext: Readonly<Record<string, string>>;
}

/** Reports that an attempt has failed in a retryable way, and that another one follows after `delayMs`. */
export interface RetryEvent extends TenantEvent {
  readonly type: "retry";
  readonly call: ProviderCall;
  readonly provider: string;
  /** The code of the failure. */
  readonly code: ErrorCode;
  /** The number of the coming attempt, from 2. */
  readonly attempt: number;
  readonly delayMs: number;
}

/** The state of a breaker. `open` refuses every call; `half-open` lets one through as a probe. */
export type BreakerState = "closed" | "open" | "half-open";

export interface BreakerEvent extends TenantEvent {
  readonly type: "breaker";
  readonly provider: string;
  readonly state: BreakerState;
  /** The service host whose connections the breaker counts. Absent for the breaker of one key. */
  readonly host?: string;
}

/** Reports that a data key was looked up in the cache. */
export interface CacheEvent extends TenantEvent {
  readonly type: "cache";
  readonly result: "hit" | "miss";
}

/** Reports that a data key left the cache and was wiped. */
export interface EvictionEvent extends KeyVersion, TenantEvent {
  readonly type: "eviction";
  readonly reason: EvictionReason;
}

/**
 * The reason of an eviction. `size` and `age` are the bounds; `revoked` is a provider's refusal of its key; `forgotten` is `forget` or
 * `close`.
 */
export type EvictionReason = "size" | "age" | "revoked" | "forgotten";

/** Reports that the data key for reuse was fetched anew in the background, or could not be. */
export interface RefreshEvent extends TenantEvent {
  readonly type: "refresh";
  readonly outcome: Outcome;
  /** The age of the key in use. */
  readonly dataKeyAgeMs: number;
}
