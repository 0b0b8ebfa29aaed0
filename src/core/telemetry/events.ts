import type { ErrorCode } from "../base/errors.ts";

/** What a keyring tells `onEvent`, for audit logs and metrics. Never a secret, a plaintext or a value context. */
export type KeyringEvent = OperationEvent | ProviderCallEvent | RetryEvent | BreakerEvent | CacheEvent | EvictionEvent | RefreshEvent;

/** How a call ended: `aborted` by the caller's signal, or with an error of this code. */
export type Outcome = "ok" | "aborted" | ErrorCode;

/** The streams' are of their beginning: the data key has been wrapped or unwrapped, and no byte has passed. */
export type OperationName =
  | "encrypt"
  | "decrypt"
  | "encrypt-stream"
  | "decrypt-stream"
  | "rewrap"
  | "needs-rewrap"
  | "create-data-key"
  | "unwrap-data-key";

/** `random` is a call of the keyring's `randomness`, whose name then stands for the provider's. */
export type ProviderCall = "wrap" | "unwrap" | "current" | "random";

/** One call of a keyring's method has ended. */
export interface OperationEvent {
  readonly type: "operation";
  readonly operation: OperationName;
  readonly outcome: Outcome;
  readonly durationMs: number;
  /** Bytes of plaintext that went in or came out; 0 where there is no body, or no success. */
  readonly bytes: number;
  /** The key versions that wrapped or unwrapped the data key; empty if it did not come to that. */
  readonly keys: readonly KeyVersion[];
  /** Where the data key came from; undefined if it did not come to that. */
  readonly dataKey: DataKeyOrigin | undefined;
  /** How long ago the data key was made or unwrapped; 0 for a fresh one. */
  readonly dataKeyAgeMs: number;
  /** The keyring's context. */
  readonly keyContext: Readonly<Record<string, string>>;
}

/** `reused` from an earlier encrypt, `cached` from an earlier unwrap. */
export type DataKeyOrigin = "new" | "reused" | "unwrapped" | "cached";

export interface KeyVersion {
  readonly provider: string;
  readonly keyId: string;
}

/** One attempt at one provider has ended. */
export interface ProviderCallEvent {
  readonly type: "provider-call";
  readonly call: ProviderCall;
  readonly provider: string;
  /** Which version; undefined for `random`, and if a wrap failed before it had one. */
  readonly keyId: string | undefined;
  readonly outcome: Outcome;
  readonly durationMs: number;
  /** From 1. */
  readonly attempt: number;
}

/** An attempt has failed in a way that may pass, and another one comes after `delayMs`. */
export interface RetryEvent {
  readonly type: "retry";
  readonly call: ProviderCall;
  readonly provider: string;
  /** Of the failure. */
  readonly code: ErrorCode;
  /** The coming attempt, from 2. */
  readonly attempt: number;
  readonly delayMs: number;
}

/** `open` refuses every call; `half-open` lets one through to see. */
export type BreakerState = "closed" | "open" | "half-open";

export interface BreakerEvent {
  readonly type: "breaker";
  readonly provider: string;
  readonly state: BreakerState;
}

/** A data key was looked for in the cache. */
export interface CacheEvent {
  readonly type: "cache";
  readonly result: "hit" | "miss";
}

/** A data key left the cache and was wiped. */
export interface EvictionEvent extends KeyVersion {
  readonly type: "eviction";
  readonly reason: EvictionReason;
}

/** `size` and `age` are the bounds; `revoked` is a provider's refusal of its key; `forgotten` is `forget` or `close`. */
export type EvictionReason = "size" | "age" | "revoked" | "forgotten";

/** The data key that encrypt reuses was fetched anew in the background, or could not be. */
export interface RefreshEvent {
  readonly type: "refresh";
  readonly outcome: Outcome;
  /** Age of the one in use. */
  readonly dataKeyAgeMs: number;
}
