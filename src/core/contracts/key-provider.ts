/**
 * A KEK kept by a key service, an HSM or a file: all versions of one key, behind two calls.
 *
 * Envelope format, data keys, caching, retry, choice among recipients and wiping belong to the core. A provider never retries.
 * It throws `EnvelockError` with the native error as `cause`.
 *
 * @see providers/README.md for how to write one
 */
export interface KeyProvider {
  /** The name in recipients: `[a-z0-9-]{1,32}`, such as `local` or `azure-key-vault`. */
  readonly name: string;

  /** Whether `keyId` is a version of this KEK. Compares with configuration alone: no I/O, and no exception for any string. */
  owns(keyId: string): boolean;

  /**
   * Wraps a data key under the newest usable version and reports exactly that version.
   *
   * @param dek 32 bytes that belong to the caller: neither kept nor changed.
   * @throws `key-disabled`, `key-not-found`, `access-denied`, `rate-limited`, `unavailable`, `timeout`, `closed`, `provider-failure`
   */
  wrap(dek: Uint8Array, options: WrapOptions): Promise<Recipient>;

  /**
   * Unwraps with exactly the version that `recipient` names. The recipient is not trusted: algorithm and key id are checked against
   * configuration before any backend call.
   *
   * @returns 32 bytes in their own ArrayBuffer; the caller wipes them.
   * @throws `unwrap-rejected` if this KEK did not wrap it, and the codes of `wrap`. With the `detail` `public-half` it says that
   *   configuration holds the public half of the key alone
   */
  unwrap(recipient: Recipient, options: WrapOptions): Promise<Uint8Array>;

  /**
   * Returns the key id that `wrap` would use now, which tells which envelopes need a rewrap. Without this method every version passes as
   * current.
   *
   * @throws the codes of `wrap`
   */
  current?(options?: { readonly signal?: AbortSignal }): Promise<string>;

  /** Releases connections and key material. A second call does nothing; any other call after it throws `closed`. */
  close?(): Promise<void>;
}

/** One entry of a key record: provider, key version, algorithm, and the wrapped data key. Read only. docs/format.md §3 */
export interface Recipient {
  readonly provider: string;
  /** The absolute name of the exact key version that wrapped. 1 to 512 bytes of UTF-8. */
  readonly keyId: string;
  /** A wrapping algorithm of docs/format.md §3. */
  readonly alg: number;
  /** 1 to 4096 bytes. */
  readonly wrapped: Uint8Array;
}

export interface WrapOptions {
  /** The part of the context that is fixed for the data key, for services that take a map. It may be logged in clear there. */
  readonly keyContext: Readonly<Record<string, string>>;
  /** Makes the AAD of docs/format.md §3 for the version that wraps. Returns a fresh array each time. */
  readonly wrapAad: (keyId: string) => Uint8Array;
  /** Makes the call reject once it is aborted. Whatever the call rejects with, the caller of the core gets the signal's own reason. */
  readonly signal?: AbortSignal;
}

/** The `detail` of an `unwrap-rejected` that follows from configuration: there is nothing that could unwrap. */
export const PUBLIC_HALF_ALONE = "public-half";
