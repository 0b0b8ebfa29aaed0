import { invalidArgument } from "../../src/core/base/errors.ts";
import { type OptionNames, refuseUnknown } from "../../src/core/base/options.ts";
import { RecentMap } from "../../src/core/base/recent-map.ts";
import { waitFor } from "../../src/core/base/wait.ts";
import type { TenantKeyIdentity, TenantKeyOpener, TenantKeyRef } from "../../src/core/contracts/tenant-keys.ts";
import { notAllowed, TenantSettings, textList } from "../../src/core/contracts/tenant-settings.ts";
import { type AzureKeyOptions, azureKey } from "./azure-key.ts";
import { diagnoseAzureKey } from "./doctor/diagnose.ts";
import { parseKeyUrl } from "./key-url.ts";
import { type AzureConnectionOptions, type AzureCredential, CONNECTION_OPTIONS, checkedCredential } from "./options.ts";

export interface AzureTenantKeysOptions extends Omit<AzureConnectionOptions, "credential"> {
  /**
   * Gives the credential of the vendor's multi-tenant application in the tenant's directory, such as a `ClientAssertionCredential` of
   * `@azure/identity` whose assertion is a token of the vendor's managed identity. The opener calls it once for a directory and keeps the
   * credential with its tokens.
   */
  readonly credential: (directoryId: string) => AzureCredential;
  /** The directories of the vendor. No tenant may name one, or the probe of a key would use the vendor's own rights. */
  readonly vendorDirectories: readonly string[];
  /**
   * The hosts of vaults and Managed HSMs that tenants may name, such as `acme.vault.azure.net`. Default: any host below Azure's own
   * domains, and those of `allowedHosts`.
   */
  readonly vaults?: readonly string[];
}

/**
 * Opens keys of tenants in Azure Key Vault and Managed HSM.
 *
 * A key is described by its URL without a version. Its setting `aesKeyBits` (`128`, `192` or `256`) is for an oct-HSM key. The identity
 * has the setting `directoryId`: the tenant's own Entra directory.
 *
 * @throws `invalid-argument`
 * @see docs/tenants.md
 * @example
 * ```ts
 * import { ClientAssertionCredential, ManagedIdentityCredential } from "@azure/identity";
 * import { azureTenantKeys } from "envelock/providers/azure";
 *
 * const own = new ManagedIdentityCredential();
 * const assertion = async () => (await own.getToken("api://AzureADTokenExchange/.default")).token;
 * const opener = azureTenantKeys({
 *   credential: (directoryId) => new ClientAssertionCredential(directoryId, "11111111-2222-3333-4444-555555555555", assertion),
 *   vendorDirectories: ["99999999-8888-7777-6666-555555555555"],
 * });
 * ```
 */
export function azureTenantKeys(options: AzureTenantKeysOptions): TenantKeyOpener {
  refuseUnknown(options, TENANT_KEYS_OPTIONS, "azureTenantKeys");
  const { credential, vendorDirectories, vaults, ...connection } = options;
  if (typeof credential !== "function") throw invalidArgument("credential must be a function of a directory's id");
  const own = new Set(textList(vendorDirectories, "vendorDirectories").map((id) => checkedDirectory("vendorDirectories", id)));
  const allowed = vaults === undefined ? undefined : new Set(textList(vaults, "vaults").map((host) => host.toLowerCase()));
  const credentials = new RecentMap<string, AzureCredential>({ maxEntries: MAX_CREDENTIALS });

  const accepted = (ref: TenantKeyRef, identity: TenantKeyIdentity): Accepted => {
    const key = parseKeyUrl(ref.key, "keys", connection);
    if (key.version !== undefined)
      throw invalidArgument("the URL of a tenant's key names a version", "leave the version out, so that the tenant can rotate the key");
    const host = key.vaultUrl.slice("https://".length);
    if (allowed !== undefined && !allowed.has(host)) throw notAllowed(`${host} is none of the vaults that tenants may name`);
    const directoryId = checkedDirectory(
      "directoryId",
      new TenantSettings("the identity", identity.settings, ["directoryId"]).required("directoryId"),
    );
    if (own.has(directoryId)) throw notAllowed("a tenant's identity must not be of the vendor's own directory");
    const aesKeyBits = AES_KEY_BITS[new TenantSettings("the key", ref.settings, ["aesKeyBits"]).oneOf("aesKeyBits", ["256", "192", "128"])];
    return { keyUrl: `${key.vaultUrl}/keys/${key.name}`, host, directoryId, aesKeyBits };
  };

  const credentialOf = (directoryId: string): AzureCredential => {
    const known = credentials.get(directoryId);
    if (known !== undefined) return known;
    const made = checkedCredential(credential(directoryId));
    credentials.set(directoryId, made);
    return made;
  };

  return {
    kind: "azure-key-vault",
    accept(ref, identity) {
      const { keyUrl, host } = accepted(ref, identity);
      return { name: keyUrl, payer: host };
    },
    open(ref, identity) {
      const { keyUrl, directoryId, aesKeyBits } = accepted(ref, identity);
      return azureKey({ ...connection, keyUrl, aesKeyBits, credential: credentialOf(directoryId) });
    },
    diagnose(ref, identity, { signal }) {
      const { keyUrl, directoryId, aesKeyBits } = accepted(ref, identity);
      return waitFor(diagnoseAzureKey({ ...connection, keyUrl, aesKeyBits, credential: credentialOf(directoryId) }), { signal });
    },
  };
}

interface Accepted {
  readonly keyUrl: string;
  readonly host: string;
  readonly directoryId: string;
  readonly aesKeyBits: NonNullable<AzureKeyOptions["aesKeyBits"]>;
}

/** The one spelling of a directory's id. Names of domains are refused: a tenant can move one to another directory. */
function checkedDirectory(what: string, id: unknown): string {
  if (typeof id === "string" && DIRECTORY_ID.test(id)) return id.toLowerCase();
  throw invalidArgument(`${what} must be the id of an Entra directory, such as 11111111-2222-3333-4444-555555555555`);
}

const { credential: _, ...SHARED_OPTIONS } = CONNECTION_OPTIONS;
const TENANT_KEYS_OPTIONS: OptionNames<AzureTenantKeysOptions> = {
  ...SHARED_OPTIONS,
  credential: true,
  vendorDirectories: true,
  vaults: true,
};
const AES_KEY_BITS = { "128": 128, "192": 192, "256": 256 } as const;
const DIRECTORY_ID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const MAX_CREDENTIALS = 2000;
