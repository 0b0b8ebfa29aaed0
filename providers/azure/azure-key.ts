import type { KeyWrapAlgorithm } from "@azure/keyvault-keys";
import { isBytes, type OwnedBytes, wipe } from "../../src/core/base/bytes.ts";
import { systemClock } from "../../src/core/base/clock.ts";
import { EnvelockError, invalidArgument } from "../../src/core/base/errors.ts";
import { type OptionNames, refuseUnknown } from "../../src/core/base/options.ts";
import { WRAP_ALGORITHMS } from "../../src/core/contracts/algorithms.ts";
import type { Recipient } from "../../src/core/contracts/key-provider.ts";
import type { KeyWrapper } from "../../src/core/contracts/key-wrapper.ts";
import { DATA_KEY_BYTES } from "../../src/core/contracts/suite.ts";
import { keyIdOf, keyVersionUrl, parseKeyUrl, versionIn, versionMatcher } from "./key-url.ts";
import { KeyVersions, type VersionSource } from "./key-versions.ts";
import { LocalWrap } from "./local-wrap.ts";
import { type AzureConnectionOptions, CONNECTION_OPTIONS, checkedMs, DEFAULT_VERSION_MS } from "./options.ts";
import { KeyVault, type KeyVersion } from "./sdk/key-vault.ts";
import { VaultConnection } from "./sdk/vault-connection.ts";

export interface AzureKeyOptions extends AzureConnectionOptions {
  /**
   * The key: `https://<vault>/keys/<name>` wraps with the newest usable version and unwraps with any. With `/<version>` at its end it uses
   * that version alone.
   */
  readonly keyUrl: string;
  /** Further versions that unwrap, 32 hex digits each, beside a `keyUrl` that names a version. */
  readonly unwrapVersions?: readonly string[];
  /**
   * `remote` (default): the service wraps, and its log shows it. `local`: RSA-OAEP-256 under the public key that was read last, without a
   * call. Then there is no log entry, and a disabled version wraps until it is read again.
   */
  readonly wrap?: "remote" | "local";
  /** The size of an oct-HSM key, which the service does not tell. Default 256. */
  readonly aesKeyBits?: 128 | 192 | 256;
  /** Whether RSA-OAEP with SHA-1 (alg 8) unwraps too, for old data. It never wraps. Default false. */
  readonly unwrapRsaOaepSha1?: boolean;
  /** The time for which the current version is kept before it is read again, in milliseconds. Default 600,000. */
  readonly versionCacheMs?: number;
  /** The age that a new version must reach before it wraps, so that every replica has it, in milliseconds. Default 600,000. */
  readonly minVersionAgeMs?: number;
}

export interface AzureKey extends Required<KeyWrapper> {
  /**
   * Makes the next wrap look for the newest version, for instance upon an event of Event Grid. Does not shorten `minVersionAgeMs`.
   *
   * @returns whether `keyId` is one of this key; for others nothing is done
   */
  noteNewVersion(keyId: string): boolean;
}

/**
 * A KEK in Azure Key Vault or Managed HSM, through `@azure/keyvault-keys`, which must be installed.
 *
 * Needs keys/wrap and keys/read to wrap, keys/read alone to wrap locally, keys/unwrap alone to unwrap. The service always unwraps, with
 * exactly the version that a recipient names, even after that has expired.
 *
 * @throws `invalid-argument`
 * @see docs/providers/azure.md
 * @example
 * ```ts
 * import { ManagedIdentityCredential } from "@azure/identity";
 * import { Keyring } from "envelock";
 * import { azureKey } from "envelock/providers/azure";
 *
 * const credential = new ManagedIdentityCredential();
 * const key = azureKey({ keyUrl: "https://acme.vault.azure.net/keys/orders", credential });
 * const keyring = new Keyring({ wrapWith: [key], context: { tenant: "acme" } });
 * ```
 */
export function azureKey(options: AzureKeyOptions): AzureKey {
  refuseUnknown(options, AZURE_KEY_OPTIONS, "azureKey");
  const { wrap = "remote", unwrapRsaOaepSha1 = false, clock = systemClock } = options;
  const key = parseKeyUrl(options.keyUrl, "keys", options);
  const versionOf = versionMatcher(key, options.unwrapVersions);
  const aesAlgorithm = aesAlgorithmOf(options.aesKeyBits ?? 256);
  if (wrap !== "remote" && wrap !== "local") throw invalidArgument('wrap is "remote" or "local"');
  const cacheMs = checkedMs("versionCacheMs", options.versionCacheMs ?? DEFAULT_VERSION_MS, 0);
  const minAgeMs = checkedMs("minVersionAgeMs", options.minVersionAgeMs ?? DEFAULT_VERSION_MS, 0);
  const connection = new VaultConnection(key, options);
  const vault = new KeyVault(connection);
  const source: VersionSource<KeyVersion> = {
    pinned: key.version,
    idOf: (version) => keyIdOf(key, version),
    read: (version) => vault.readKey(key, version),
    list: () => vault.listVersions(key),
  };
  const versions = new KeyVersions({ source, clock, cacheMs, minAgeMs });
  const localWrap = new LocalWrap();

  const current = async (signal: AbortSignal | undefined): Promise<WrapVersion> => {
    connection.requireOpen(signal);
    const version = await versions.current(signal);
    const isAes = isAesType(version.keyType);
    return { version, alg: isAes ? WRAP_ALGORITHMS.aesKw : WRAP_ALGORITHMS.rsaOaep256, algorithm: isAes ? aesAlgorithm : "RSA-OAEP-256" };
  };
  /** Runs a call with a version. If the answer says that the version may not be used, the next wrap looks for another one. */
  const watched = async (call: Promise<OwnedBytes>): Promise<OwnedBytes> => {
    try {
      return await call;
    } catch (error) {
      if (error instanceof EnvelockError && STALE.has(error.code)) versions.forget();
      throw error;
    }
  };
  const wrapped = async ({ version, algorithm }: WrapVersion, secret: Uint8Array, signal: AbortSignal | undefined): Promise<OwnedBytes> => {
    if (wrap === "local") return await localWrap.wrap(version, secret);
    return await watched(vault.wrap(key, version.version, algorithm, secret, signal));
  };
  // The versions of one key may differ in type, so the recipient decides which algorithm unwraps.
  const unwrapAlgorithmOf = (alg: number): KeyWrapAlgorithm | undefined => {
    if (alg === WRAP_ALGORITHMS.aesKw) return aesAlgorithm;
    if (alg === WRAP_ALGORITHMS.rsaOaep256) return "RSA-OAEP-256";
    return alg === WRAP_ALGORITHMS.rsaOaepSha1 && unwrapRsaOaepSha1 ? "RSA-OAEP" : undefined;
  };

  return {
    name: NAME,
    owns: (keyId) => versionOf(keyId) !== undefined,
    async wrap(dek, { signal }) {
      connection.requireOpen();
      if (!isBytes(dek) || dek.length !== DATA_KEY_BYTES) throw invalidArgument(`a data key has ${DATA_KEY_BYTES} bytes`);
      const now = await current(signal);
      const bytes = await wrapped(now, dek, signal);
      signal?.throwIfAborted();
      if (!isWrappedLength(now.alg, bytes.length)) throw new EnvelockError("provider-failure", `a wrapped key has ${bytes.length} bytes`);
      return { provider: NAME, keyId: keyIdOf(key, now.version.version), alg: now.alg, wrapped: bytes };
    },
    async unwrap({ provider, keyId, alg, wrapped }: Recipient, { signal }) {
      connection.requireOpen(signal);
      const version = versionOf(keyId);
      const algorithm = unwrapAlgorithmOf(alg);
      if (provider !== NAME || version === undefined || algorithm === undefined || !isWrappedLength(alg, wrapped.length)) throw rejected();
      const dek = await watched(vault.unwrap(key, version, algorithm, wrapped, signal));
      if (dek.length === DATA_KEY_BYTES) return dek;
      wipe(dek);
      throw rejected();
    },
    async current({ signal } = {}) {
      return keyIdOf(key, (await current(signal)).version.version);
    },
    async currentKey({ signal } = {}) {
      const { version, algorithm } = await current(signal);
      return { keyId: keyIdOf(key, version.version), algorithm };
    },
    async wrapKey(secret, { signal } = {}) {
      connection.requireOpen();
      if (!isBytes(secret) || secret.length === 0) throw invalidArgument("a key to wrap must be a Uint8Array that is not empty");
      const now = await current(signal);
      const bytes = await wrapped(now, secret, signal);
      signal?.throwIfAborted();
      return { keyId: keyIdOf(key, now.version.version), algorithm: now.algorithm, wrapped: bytes };
    },
    async unwrapKey({ keyId, algorithm: name, wrapped }, { signal } = {}) {
      connection.requireOpen(signal);
      const version = versionOf(keyVersionUrl(keyId) ?? "");
      const algorithm = UNWRAP_ALGS.map(unwrapAlgorithmOf).find((known) => known !== undefined && known === name);
      if (version === undefined || algorithm === undefined || wrapped.length === 0 || wrapped.length > MAX_WRAPPED_BYTES) throw rejected();
      return await watched(vault.unwrap(key, version, algorithm, wrapped, signal));
    },
    async close() {
      vault.close();
    },
    noteNewVersion(keyId) {
      const isOwn = versionIn(keyId.toLowerCase(), key) !== undefined;
      if (isOwn) versions.forget();
      return isOwn;
    },
  };
}

/** The version that wraps now, and its algorithm. */
interface WrapVersion {
  readonly version: KeyVersion;
  /** The `alg` of its recipients. */
  readonly alg: number;
  /** The service's name for that algorithm. */
  readonly algorithm: KeyWrapAlgorithm;
}

/** @throws `invalid-argument` */
function aesAlgorithmOf(bits: number): KeyWrapAlgorithm {
  if (bits === 256) return "A256KW";
  if (bits === 192) return "A192KW";
  if (bits === 128) return "A128KW";
  throw invalidArgument("aesKeyBits is 128, 192 or 256");
}

/** @throws `provider-failure` for a key that cannot wrap */
function isAesType(keyType: string): boolean {
  if (keyType === "oct-HSM" || keyType === "oct") return true;
  if (keyType === "RSA" || keyType === "RSA-HSM") return false;
  throw new EnvelockError("provider-failure", `a key of type ${keyType} cannot wrap keys`, {
    detail: "key-type",
    hint: "use a key of type RSA, RSA-HSM or oct-HSM",
  });
}

function isWrappedLength(alg: number, bytes: number): boolean {
  return alg === WRAP_ALGORITHMS.aesKw ? bytes === DATA_KEY_BYTES + 8 : RSA_BYTES.has(bytes);
}

function rejected(): EnvelockError {
  return new EnvelockError("unwrap-rejected", "this Azure key did not wrap this data key");
}

const AZURE_KEY_OPTIONS: OptionNames<AzureKeyOptions> = {
  ...CONNECTION_OPTIONS,
  keyUrl: true,
  unwrapVersions: true,
  wrap: true,
  aesKeyBits: true,
  unwrapRsaOaepSha1: true,
  versionCacheMs: true,
  minVersionAgeMs: true,
};
const NAME = "azure-key-vault";
const RSA_BYTES: ReadonlySet<number> = new Set([256, 384, 512]);
const UNWRAP_ALGS: readonly number[] = [WRAP_ALGORITHMS.rsaOaep256, WRAP_ALGORITHMS.rsaOaepSha1, WRAP_ALGORITHMS.aesKw];
/** The length of a key wrapped under an RSA key of 4096 bits. */
const MAX_WRAPPED_BYTES = 512;
/** The failures after which another version must be looked for: at this service a disabled version goes on wrapping. */
const STALE: ReadonlySet<string> = new Set(["key-disabled", "key-not-found"]);
