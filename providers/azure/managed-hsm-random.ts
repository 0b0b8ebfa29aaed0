import { concatBytes, type OwnedBytes, wipe } from "../../src/bytes.ts";
import { invalidArgument } from "../../src/errors.ts";
import { parseVaultUrl } from "./key-url.ts";
import { KeyVault } from "./key-vault.ts";
import type { AzureConnectionOptions } from "./options.ts";

export interface ManagedHsmRandomOptions extends AzureConnectionOptions {
  /** `https://<name>.managedhsm.azure.net`, or what stands for it in another cloud. Key vaults have no generator. */
  readonly hsmUrl: string;
}

export interface ManagedHsmRandom {
  /**
   * Random bytes of the HSM's generator, exclusive-or as many of this machine's: as good as the better of the two.
   *
   * @param count 1 to 4096; the HSM gives 128 a call
   * @returns bytes in their own ArrayBuffer; the caller wipes them
   * @throws `invalid-argument`, `access-denied`, `rate-limited`, `unavailable`, `timeout`, `closed`, `provider-failure`
   */
  randomBytes(count: number, options?: { readonly signal?: AbortSignal }): Promise<OwnedBytes>;
  /** Twice is fine; later calls throw `closed`. */
  close(): Promise<void>;
}

/**
 * The generator of a Managed HSM. Needs a local role of the HSM that may use it.
 *
 * @throws `invalid-argument`
 */
export function managedHsmRandom(options: ManagedHsmRandomOptions): ManagedHsmRandom {
  const location = parseVaultUrl(options.hsmUrl, options);
  if (location.isKnownCloud && !location.isManagedHsm) throw invalidArgument("a key vault has no random generator; a Managed HSM has");
  const hsm = new KeyVault(location, options);
  return {
    async randomBytes(count, { signal } = {}) {
      hsm.requireOpen();
      signal?.throwIfAborted();
      if (!Number.isInteger(count) || count < 1 || count > MAX_BYTES)
        throw invalidArgument(`count is ${count}, expected 1 to ${MAX_BYTES}`);
      const parts: OwnedBytes[] = [];
      try {
        for (let left = count; left > 0; left -= MAX_BYTES_A_CALL) {
          parts.push(await hsm.randomBytes(Math.min(left, MAX_BYTES_A_CALL), signal));
        }
        return mixed(concatBytes(...parts));
      } finally {
        wipe(...parts);
      }
    },
    async close() {
      hsm.close();
    },
  };
}

function mixed(bytes: OwnedBytes): OwnedBytes {
  const own = crypto.getRandomValues(new Uint8Array(bytes.length));
  for (const [at, byte] of own.entries()) bytes[at] = (bytes[at] ?? 0) ^ byte;
  wipe(own);
  return bytes;
}

const MAX_BYTES_A_CALL = 128;
const MAX_BYTES = 4096;
