/**
 * A generator of random bytes outside this machine, such as an HSM's. A keyring mixes its bytes with as many of this machine's own, so a
 * source returns its bytes unchanged. Like a provider it makes one attempt and never retries.
 */
export interface RandomSource {
  /** The name in events: `[a-z0-9-]{1,32}`, such as `managed-hsm-random`. */
  readonly name: string;

  /**
   * Returns random bytes.
   *
   * @param count 1 to 4096
   * @returns that many bytes in their own ArrayBuffer; the caller wipes them
   * @throws `access-denied`, `rate-limited`, `unavailable`, `timeout`, `closed`, `provider-failure`, and `invalid-argument` for the count
   */
  randomBytes(count: number, options?: { readonly signal?: AbortSignal }): Promise<Uint8Array>;

  /** Releases connections. A second call does nothing; any other call after it throws `closed`. */
  close?(): Promise<void>;
}
