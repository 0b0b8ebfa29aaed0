import type { KeyProvider } from "./key-provider.ts";

/** A key of another format than Envelock's, wrapped: of any length that the algorithm takes. */
export interface WrappedKey {
  /** Names the exact version that wrapped; in any case where the service does not tell cases apart. */
  readonly keyId: string;
  /** The name in JOSE, such as `RSA-OAEP-256` or `A256KW`. */
  readonly algorithm: string;
  readonly wrapped: Uint8Array;
}

/**
 * What a provider can do beside its contract if other formats use its KEK too: wrap keys of their lengths, in their algorithms, bound
 * to no context.
 */
export interface KeyWrapper extends KeyProvider {
  /** The version that `wrapKey` would use now, and how. @throws the codes of `wrap` */
  currentKey(options?: { readonly signal?: AbortSignal }): Promise<Omit<WrappedKey, "wrapped">>;

  /**
   * @param key 16 to 128 bytes in multiples of 8, the caller's: neither kept nor changed
   * @throws the codes of `wrap`
   */
  wrapKey(key: Uint8Array, options?: { readonly signal?: AbortSignal }): Promise<WrappedKey>;

  /**
   * Hostile until proven otherwise, as what `unwrap` gets.
   *
   * @returns bytes in their own ArrayBuffer; the caller wipes them
   * @throws the codes of `unwrap`
   */
  unwrapKey(key: WrappedKey, options?: { readonly signal?: AbortSignal }): Promise<Uint8Array>;
}
