import { copyOf, isBytes, wipe } from "../../src/core/base/bytes.ts";
import { invalidArgument } from "../../src/core/base/errors.ts";
import { type OptionNames, refuseUnknown } from "../../src/core/base/options.ts";
import type { KeyProvider } from "../../src/core/contracts/key-provider.ts";
import { DATA_KEY_BYTES } from "../../src/core/contracts/suite.ts";
import { GcpConnection } from "./connection.ts";
import { rejected } from "./failures.ts";
import { checkedKeyName, versionOf } from "./key-name.ts";
import { CONNECTION_OPTIONS, type GcpConnectionOptions } from "./options.ts";
import { rsaKey } from "./rsa-key.ts";
import { symmetricKey } from "./symmetric-key.ts";
import { requireUsable } from "./version-state.ts";

export interface GcpKmsKeyOptions extends GcpConnectionOptions {
  /**
   * The whole name of the key, `projects/<project>/locations/<location>/keyRings/<ring>/cryptoKeys/<key>`, without a version. Envelopes
   * name it as it stands here: keep to the project's id, or to its number.
   */
  readonly key: string;
  /**
   * What kind of key it is: `symmetric` for the purpose ENCRYPT_DECRYPT, which authenticates the key context, or `rsa` for
   * ASYMMETRIC_DECRYPT with RSA-OAEP and SHA-256, under whose public key data keys are wrapped in this process. Default `symmetric`.
   */
  readonly keyType?: "symmetric" | "rsa";
  /** The number of the version that wraps, for `rsa` alone: such keys have no primary version. Every version of the key unwraps. */
  readonly version?: number;
  /**
   * Whether the version that an envelope names is read before an unwrap, and must be enabled. The service chooses the version by the
   * ciphertext alone and does not tell which it was. Costs a read for each unwrap. Default false.
   */
  readonly verifyVersion?: boolean;
}

/**
 * A KEK in Google Cloud KMS. Needs the permissions `cloudkms.cryptoKeyVersions.useToEncrypt` and `useToDecrypt`, and
 * `cloudkms.cryptoKeys.get` for `current`; an `rsa` key `viewPublicKey` in place of `useToEncrypt`.
 *
 * Before the first data key goes out, the provider has a trial unwrapped, and tries another context. Both are skipped where the principal
 * may not decrypt.
 *
 * @throws `invalid-argument`
 * @see docs/providers/gcp-kms.md
 * @example
 * ```ts
 * import { Keyring } from "envelock";
 * import { gcpKmsKey, metadataServer } from "envelock/providers/gcp-kms";
 *
 * const name = "projects/acme/locations/europe-west3/keyRings/main/cryptoKeys/orders";
 * const key = gcpKmsKey({ key: name, token: metadataServer() });
 * const keyring = new Keyring({ wrapWith: [key], context: { tenant: "acme" } });
 * ```
 */
export function gcpKmsKey(options: GcpKmsKeyOptions): Required<KeyProvider> {
  refuseUnknown(options, KEY_OPTIONS, "gcpKmsKey");
  const { key, keyType = "symmetric", version, verifyVersion = false, ...connectionOptions } = options;
  const name = checkedKeyName(key);
  if (keyType !== "symmetric" && keyType !== "rsa") throw invalidArgument('keyType is "symmetric" or "rsa"');
  if (typeof verifyVersion !== "boolean") throw invalidArgument("verifyVersion is true or false");
  const connection = new GcpConnection(connectionOptions);
  const kind = keyType === "rsa" ? rsaKey(connection, name, checkedVersion(version)) : symmetricKey(connection, name);
  if (keyType === "symmetric" && version !== undefined)
    throw invalidArgument("version is for keyType rsa: the primary version of a symmetric key wraps");

  return {
    name: NAME,
    owns: (keyId) => versionOf(keyId, name) !== undefined,
    async wrap(dek, wrapOptions) {
      connection.requireOpen(wrapOptions.signal);
      if (!isBytes(dek) || dek.length !== DATA_KEY_BYTES) throw invalidArgument(`a data key has ${DATA_KEY_BYTES} bytes`);
      const secret = copyOf(dek); // the caller may wipe its own once it stops waiting
      try {
        return { provider: NAME, alg: kind.alg, ...(await kind.wrap(secret, wrapOptions)) };
      } finally {
        wipe(secret);
      }
    },
    async unwrap(recipient, unwrapOptions) {
      const { signal } = unwrapOptions;
      connection.requireOpen(signal);
      const { provider, keyId, alg, wrapped } = recipient;
      if (provider !== NAME || alg !== kind.alg || versionOf(keyId, name) === undefined || wrapped.length > MAX_WRAPPED_BYTES)
        throw rejected();
      const ciphertext = copyOf(wrapped); // it must not change while the version is looked at
      if (verifyVersion) await requireUsable(connection, keyId, signal);
      const dek = await kind.unwrap(keyId, ciphertext, unwrapOptions);
      if (dek.length === DATA_KEY_BYTES) return dek;
      wipe(dek);
      throw rejected();
    },
    async current({ signal } = {}) {
      connection.requireOpen(signal);
      return await kind.current(signal);
    },
    async close() {
      connection.close();
    },
  };
}

function checkedVersion(version: unknown): number {
  if (typeof version === "number" && Number.isInteger(version) && version >= 1 && version <= MAX_VERSION) return version;
  throw invalidArgument("version is the number of the version that wraps, which an rsa key needs: it has no primary version");
}

/** The names of {@link GcpKmsKeyOptions}, for the doctor too. */
export const KEY_OPTIONS: OptionNames<GcpKmsKeyOptions> = {
  ...CONNECTION_OPTIONS,
  key: true,
  keyType: true,
  version: true,
  verifyVersion: true,
};
const NAME = "gcp-kms";
const MAX_WRAPPED_BYTES = 4096;
const MAX_VERSION = 999_999_999;
