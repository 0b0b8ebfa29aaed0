/**
 * A generator of random bytes outside this machine, such as an HSM's. A keyring mixes what it gives with as many bytes of this
 * machine's own, so a source gives its bytes as they are. Like a provider it makes one attempt and never retries.
 */
export interface RandomSource {
  /** What stands in events: `[a-z0-9-]{1,32}`, such as `managed-hsm-random`. */
  readonly name: string;

  /**
   * @param count 1 to 4096
   * @returns that many bytes in their own ArrayBuffer; the caller wipes them
   * @throws `access-denied`, `rate-limited`, `unavailable`, `timeout`, `closed`, `provider-failure`, and `invalid-argument` for the count
   */
  randomBytes(count: number, options?: { readonly signal?: AbortSignal }): Promise<Uint8Array>;

  /** Lets go of connections. Twice is fine; any later call throws `closed`. */
  close?(): Promise<void>;
}
