import { invalidArgument } from "../../src/core/base/errors.ts";
import { refuseUnknown } from "../../src/core/base/options.ts";
import type { RandomSource } from "../../src/core/contracts/random-source.ts";
import { drawnRandom } from "../http/drawn-random.ts";
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
  return drawnRandom({
    name: "managed-hsm-random",
    mostAtOnce: 128,
    connection,
    draw: (count, signal) => hsm.randomBytes(count, signal),
  });
}
