import type { KeyProvider } from "./key-provider.ts";

/** A wrapped key of a format other than Envelock's, of any length that the algorithm takes. */
export interface WrappedKey {
  /** The name of the exact version that wrapped, in any case if the service is case-insensitive. */
  readonly keyId: string;
  /** The name in JOSE, such as `RSA-OAEP-256` or `A256KW`. */
  readonly algorithm: string;
  readonly wrapped: Uint8Array;
}

/**
 * A provider whose KEK serves other formats too: it also wraps keys of their lengths, in their algorithms, bound to no context.
 */
export interface KeyWrapper extends KeyProvider {
  /** Returns the version that `wrapKey` would use now, and its algorithm. @throws the codes of `wrap` */
  currentKey(options?: { readonly signal?: AbortSignal }): Promise<Omit<WrappedKey, "wrapped">>;

  /**
   * Wraps a key under the newest usable version.
   *
   * @param key 16 to 128 bytes in multiples of 8 that belong to the caller: neither kept nor changed
   * @throws the codes of `wrap`
   */
  wrapKey(key: Uint8Array, options?: { readonly signal?: AbortSignal }): Promise<WrappedKey>;

  /**
   * Unwraps a key. The argument is not trusted, as in `unwrap`.
   *
   * @returns bytes in their own ArrayBuffer; the caller wipes them
   * @throws the codes of `unwrap`
   */
  unwrapKey(key: WrappedKey, options?: { readonly signal?: AbortSignal }): Promise<Uint8Array>;
}
