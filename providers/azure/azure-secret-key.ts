import { isBytes } from "../../src/core/base/bytes.ts";
import { systemClock } from "../../src/core/base/clock.ts";
import { EnvelockError, invalidArgument } from "../../src/core/base/errors.ts";
import { type OptionNames, refuseUnknown } from "../../src/core/base/options.ts";
import { WRAP_ALGORITHMS } from "../../src/core/contracts/algorithms.ts";
import type { KeyProvider, Recipient } from "../../src/core/contracts/key-provider.ts";
import { DATA_KEY_BYTES } from "../../src/core/contracts/suite.ts";
import { parseKeyUrl, versionMatcher } from "./key-url.ts";
import { KeyVersions } from "./key-versions.ts";
import { type AzureConnectionOptions, CONNECTION_OPTIONS, checkedMs, DEFAULT_VERSION_MS } from "./options.ts";
import { VaultConnection } from "./sdk/vault-connection.ts";
import { SecretKeks } from "./secret-keks.ts";

export interface AzureSecretKeyOptions extends AzureConnectionOptions {
  /**
   * The secret: `https://<vault>/secrets/<name>` wraps with the newest usable version and unwraps with any. With `/<version>` at its end it
   * uses that version alone. The value is 32 random bytes in base64, or a JWK with kty `oct`.
   */
  readonly secretUrl: string;
  /** Further versions that unwrap, 32 hex digits each, beside a `secretUrl` that names a version. */
  readonly unwrapVersions?: readonly string[];
  /** The time for which a version that was read is kept in memory and used, in milliseconds. Default 600,000. */
  readonly versionCacheMs?: number;
  /** The age that a new version must reach before it wraps, so that every reader finds it, in milliseconds. Default 600,000. */
  readonly minVersionAgeMs?: number;
}

/**
 * An AES-256 KEK that lies in Azure Key Vault as a secret and is used in this process, through `@azure/keyvault-secrets`, which must
 * be installed: XAES-256-GCM, which authenticates the key context.
 *
 * **Not backed by an HSM.** A caller that may read the secret has the KEK and can take it away. The vault's log shows reads but no wraps
 * and unwraps. A disabled version goes on working here for `versionCacheMs`. If the vault can hold a key, use `azureKey`.
 *
 * @throws `invalid-argument`
 * @see docs/providers/azure.md
 * @example
 * ```ts
 * import { ManagedIdentityCredential } from "@azure/identity";
 * import { azureSecretKey } from "envelock/providers/azure";
 *
 * const credential = new ManagedIdentityCredential();
 * const key = azureSecretKey({ secretUrl: "https://acme.vault.azure.net/secrets/orders-kek", credential });
 * ```
 */
export function azureSecretKey(options: AzureSecretKeyOptions): Required<KeyProvider> {
  refuseUnknown(options, AZURE_SECRET_KEY_OPTIONS, "azureSecretKey");
  const { clock = systemClock } = options;
  const secret = parseKeyUrl(options.secretUrl, "secrets", options);
  const versionOf = versionMatcher(secret, options.unwrapVersions);
  const cacheMs = checkedMs("versionCacheMs", options.versionCacheMs ?? DEFAULT_VERSION_MS, 0);
  const minAgeMs = checkedMs("minVersionAgeMs", options.minVersionAgeMs ?? DEFAULT_VERSION_MS, 0);
  const connection = new VaultConnection(secret, options);
  const keks = new SecretKeks(connection, secret, clock, cacheMs);
  const versions = new KeyVersions({ source: keks, clock, cacheMs, minAgeMs });

  const current = async (signal: AbortSignal | undefined): Promise<string> => {
    connection.requireOpen(signal);
    return (await versions.current(signal)).version;
  };

  return {
    name: NAME,
    owns: (keyId) => versionOf(keyId) !== undefined,
    async wrap(dek, wrapOptions) {
      connection.requireOpen();
      if (!isBytes(dek) || dek.length !== DATA_KEY_BYTES) throw invalidArgument(`a data key has ${DATA_KEY_BYTES} bytes`);
      const version = await current(wrapOptions.signal);
      const recipient = await keks.use(version, wrapOptions.signal, (kek) => kek.wrap(dek, wrapOptions));
      return { ...recipient, provider: NAME };
    },
    async unwrap(recipient: Recipient, unwrapOptions) {
      connection.requireOpen(unwrapOptions.signal);
      const { provider, keyId, alg, wrapped } = recipient;
      const version = versionOf(keyId);
      if (provider !== NAME || version === undefined || alg !== WRAP_ALGORITHMS.xaes256Gcm || wrapped.length !== WRAPPED_BYTES)
        throw new EnvelockError("unwrap-rejected", "this Azure secret did not wrap this data key");
      return await keks.use(version, unwrapOptions.signal, (kek) => kek.unwrap({ ...recipient, provider: kek.name }, unwrapOptions));
    },
    async current({ signal } = {}) {
      return keks.idOf(await current(signal));
    },
    close: () => keks.close(),
  };
}

const AZURE_SECRET_KEY_OPTIONS: OptionNames<AzureSecretKeyOptions> = {
  ...CONNECTION_OPTIONS,
  secretUrl: true,
  unwrapVersions: true,
  versionCacheMs: true,
  minVersionAgeMs: true,
};
const NAME = "azure-key-vault-secret";
/** docs/format.md §3, alg 1 */
const WRAPPED_BYTES = 72;
