import { concatBytes, type OwnedBytes, wipe } from "../../src/core/base/bytes.ts";
import { invalidArgument } from "../../src/core/base/errors.ts";
import { refuseUnknown } from "../../src/core/base/options.ts";
import type { RandomSource } from "../../src/core/contracts/random-source.ts";
import { parseVaultUrl } from "./key-url.ts";
import { type AzureConnectionOptions, CONNECTION_OPTIONS } from "./options.ts";
import { KeyVault } from "./sdk/key-vault.ts";
import { VaultConnection } from "./sdk/vault-connection.ts";

export interface ManagedHsmRandomOptions extends AzureConnectionOptions {
  /** The HSM: `https://<name>.managedhsm.azure.net`, or the like in another cloud. Key vaults have no generator. */
  readonly hsmUrl: string;
}

/**
 * Offers the generator of a Managed HSM as a keyring's `randomness`. Its bytes are returned unchanged, 128 a call at most. Needs a local
 * role of the HSM that may use it.
 *
 * @throws `invalid-argument`
 * @example
 * ```ts
 * import { ManagedIdentityCredential } from "@azure/identity";
 * import { managedHsmRandom } from "envelock/providers/azure";
 *
 * const credential = new ManagedIdentityCredential();
 * const randomness = managedHsmRandom({ hsmUrl: "https://acme.managedhsm.azure.net", credential });
 * ```
 */
export function managedHsmRandom(options: ManagedHsmRandomOptions): Required<RandomSource> {
  refuseUnknown(options, { ...CONNECTION_OPTIONS, hsmUrl: true }, "managedHsmRandom");
  const location = parseVaultUrl(options.hsmUrl, options);
  if (location.isKnownCloud && !location.isManagedHsm) throw invalidArgument("a key vault has no random generator; a Managed HSM has");
  const connection = new VaultConnection(location, options);
  const hsm = new KeyVault(connection);
  return {
    name: "managed-hsm-random",
    async randomBytes(count, { signal } = {}) {
      connection.requireOpen();
      signal?.throwIfAborted();
      if (!Number.isInteger(count) || count < 1 || count > MAX_BYTES)
        throw invalidArgument(`count is ${count}, expected 1 to ${MAX_BYTES}`);
      const parts: OwnedBytes[] = [];
      try {
        for (let left = count; left > 0; left -= MAX_BYTES_A_CALL) {
          parts.push(await hsm.randomBytes(Math.min(left, MAX_BYTES_A_CALL), signal));
        }
        return concatBytes(...parts);
      } finally {
        wipe(...parts);
      }
    },
    async close() {
      hsm.close();
    },
  };
}

const MAX_BYTES_A_CALL = 128;
const MAX_BYTES = 4096;
