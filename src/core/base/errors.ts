/** The closed set of ways in which a call can fail. */
export type ErrorCode =
  /** The caller passed something that no key could make right. */
  | "invalid-argument"
  /** The bytes are not an envelope, key record or token, or are cut short, or break the profile. */
  | "malformed-envelope"
  /** A version or suite that this release does not read. */
  | "unsupported-version"
  /** No recipient names a key that is configured here. No provider was called. */
  | "no-matching-provider"
  /** Key, context, commitment or tag do not fit. One message for all, on purpose. */
  | "authentication-failed"
  /** A provider says that its key did not wrap this. Callers of `Keyring` see `authentication-failed`, with this as its cause. */
  | "unwrap-rejected"
  /** The backend has no such key or key version. */
  | "key-not-found"
  /** The key version exists and may not be used now. */
  | "key-disabled"
  /** The backend refuses this caller. */
  | "access-denied"
  /** The backend asks to be called less; `retryAfterMs` if it said when. */
  | "rate-limited"
  /** The backend cannot be reached or says that it cannot answer now. */
  | "unavailable"
  /** No answer in the time allowed. */
  | "timeout"
  /** Used after `close()` or `destroy()`. */
  | "closed"
  /** The backend broke its contract, or failed in a way that has no better code. */
  | "provider-failure"
  /** A stored data key that was destroyed for good. */
  | "key-shredded";

export interface EnvelockErrorOptions {
  /** The native error; an AggregateError where several providers failed. */
  readonly cause?: unknown;
  /** Defaults to true for `rate-limited`, `unavailable` and `timeout`, else false. */
  readonly retryable?: boolean;
  /** What the backend asked to wait, in milliseconds. */
  readonly retryAfterMs?: number;
  /** One sentence that says what to do. */
  readonly hint?: string;
  /** A closed, provider-specific word that tells apart causes with one code, such as `firewall`. */
  readonly detail?: string;
}

/**
 * The library's only error class. Beside it a call rejects only with what the caller brought: the reason of an abort, what a source
 * that is read threw, and in `envelock/node` an error of the file system. Messages say what was expected and found, never a secret.
 */
export class EnvelockError extends Error {
  override readonly name = "EnvelockError";
  readonly code: ErrorCode;
  readonly retryable: boolean;
  readonly retryAfterMs?: number;
  readonly hint?: string;
  readonly detail?: string;

  constructor(code: ErrorCode, message: string, options: EnvelockErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.retryable = options.retryable ?? RETRYABLE.has(code);
    if (options.retryAfterMs !== undefined) this.retryAfterMs = options.retryAfterMs;
    if (options.hint !== undefined) this.hint = options.hint;
    if (options.detail !== undefined) this.detail = options.detail;
  }
}

/** Every failure of key, context, commitment or tag. `cause` is only ever a provider's error, never the crypto's. */
export function authenticationFailed(cause?: unknown): EnvelockError {
  return new EnvelockError("authentication-failed", "the key or context does not fit, or the data was changed", { cause });
}

export function malformed(message: string): EnvelockError {
  return new EnvelockError("malformed-envelope", message);
}

export function invalidArgument(message: string, hint?: string): EnvelockError {
  return new EnvelockError("invalid-argument", message, hint === undefined ? {} : { hint });
}

const RETRYABLE: ReadonlySet<ErrorCode> = new Set<ErrorCode>(["rate-limited", "unavailable", "timeout"]);
