/**
 * A KEK kept by a key service, an HSM or a file: all versions of one key, behind two calls.
 *
 * Envelope format, data keys, caching, retry, choice among recipients and wiping belong to the core. A provider never retries.
 * It throws `EnvelockError` with the native error as `cause`.
 *
 * @see providers/README.md for how to write one
 */
export interface KeyProvider {
  /** What stands in a recipient: `[a-z0-9-]{1,32}`, such as `local` or `azure-key-vault`. */
  readonly name: string;

  /** Whether `keyId` is a version of this KEK. Compares with configuration alone: no I/O, no throw, whatever the string. */
  owns(keyId: string): boolean;

  /**
   * Wraps a data key under the newest usable version and reports exactly that version.
   *
   * @param dek 32 bytes, the caller's: neither kept nor changed.
   * @throws `key-disabled`, `key-not-found`, `access-denied`, `rate-limited`, `unavailable`, `timeout`, `closed`, `provider-failure`
   */
  wrap(dek: Uint8Array, options: WrapOptions): Promise<Recipient>;

  /**
   * Unwraps with exactly the version that `recipient` names. Hostile until proven otherwise: algorithm and key id are checked
   * against configuration before any backend call.
   *
   * @returns 32 bytes in their own ArrayBuffer; the caller wipes them.
   * @throws `unwrap-rejected` if this KEK did not wrap it, and the codes of `wrap`
   */
  unwrap(recipient: Recipient, options: WrapOptions): Promise<Uint8Array>;

  /**
   * The key id that `wrap` would use now: tells which envelopes need a rewrap. A provider without it passes every version as current.
   *
   * @throws the codes of `wrap`
   */
  current?(options?: { readonly signal?: AbortSignal }): Promise<string>;

  /** Lets go of connections and key material. Twice is fine; any later call throws `closed`. */
  close?(): Promise<void>;
}

/** One entry of a key record: provider, key version, algorithm, and the wrapped data key. Read only. docs/format.md §3 */
export interface Recipient {
  readonly provider: string;
  /** Absolute: names the exact key version that wrapped. 1 to 512 bytes of UTF-8. */
  readonly keyId: string;
  /** A wrapping algorithm of docs/format.md §3. */
  readonly alg: number;
  /** 1 to 4096 bytes. */
  readonly wrapped: Uint8Array;
}

export interface WrapOptions {
  /** The part of the context that is fixed for the data key, for services that take a map. It may be logged in clear there. */
  readonly keyContext: Readonly<Record<string, string>>;
  /** The AAD of docs/format.md §3 for the version that wraps; a fresh array each time. */
  readonly wrapAad: (keyId: string) => Uint8Array;
  /** Once it is aborted the call rejects; whatever it rejects with, the core's caller sees the signal's own reason. */
  readonly signal?: AbortSignal;
}
