import { fromBase64, toBase64 } from "../../src/core/base/base64.ts";
import { copyOf, isBytes, isTextOfAtMost, type OwnedBytes, textOf, utf8, wipe } from "../../src/core/base/bytes.ts";
import { invalidArgument } from "../../src/core/base/errors.ts";
import { type OptionNames, refuseUnknown } from "../../src/core/base/options.ts";
import { SingleFlights } from "../../src/core/base/single-flight.ts";
import { WRAP_ALGORITHMS } from "../../src/core/contracts/algorithms.ts";
import type { KeyProvider, Recipient, WrapOptions } from "../../src/core/contracts/key-provider.ts";
import { DATA_KEY_BYTES } from "../../src/core/contracts/suite.ts";
import { fieldOf, textFieldOf } from "../http/fields.ts";
import { tryRoundTrip } from "../http/trial.ts";
import { VaultConnection } from "./connection.ts";
import { brokenAnswer, rejected } from "./failures.ts";
import { CONNECTION_OPTIONS, type VaultConnectionOptions } from "./options.ts";
import { checkedKeyName, checkedPath } from "./paths.ts";

export interface VaultTransitKeyOptions extends VaultConnectionOptions {
  /** The name of the key. */
  readonly key: string;
  /** Where the transit engine is mounted. Default `transit`. */
  readonly mount?: string;
  /**
   * What kind of key it is: `aead` (AES-GCM and ChaCha20-Poly1305 keys, which authenticate the key context) or `rsa`. The server does
   * not tell at a wrap. Default `aead`.
   */
  readonly keyType?: "aead" | "rsa";
  /**
   * What key ids begin with, such as `vault://corp/transit/orders`: set it where the address of a cluster may change. Default: the
   * address with its port, namespace, mount and key. 1 to 480 bytes.
   */
  readonly id?: string;
}

/**
 * A KEK in the transit engine of HashiCorp Vault or OpenBao. Needs the capability `update` on `<mount>/encrypt/<key>` and
 * `<mount>/decrypt/<key>`, and `read` on `<mount>/keys/<key>` for `current`. The capability `create` must not be granted: with it the
 * server makes a new key for a misspelt name.
 *
 * Before the first data key goes out the provider has it unwrapped, and tries another context: a server before 1.12 ignores the
 * associated data in silence. Both trials are skipped where the token may not decrypt.
 *
 * @throws `invalid-argument`
 * @see docs/providers/vault.md
 * @example
 * ```ts
 * import { Keyring } from "envelock";
 * import { vaultTransitKey } from "envelock/providers/vault";
 *
 * const key = vaultTransitKey({ address: "https://vault.example:8200", token: "hvs.…", key: "orders" });
 * const keyring = new Keyring({ wrapWith: [key], context: { tenant: "acme" } });
 * ```
 */
export function vaultTransitKey(options: VaultTransitKeyOptions): Required<KeyProvider> {
  refuseUnknown(options, TRANSIT_KEY_OPTIONS, "vaultTransitKey");
  const { key, mount = "transit", keyType = "aead", id, ...connectionOptions } = options;
  const name = checkedKeyName(key);
  const place = checkedPath("mount", mount);
  if (keyType !== "aead" && keyType !== "rsa") throw invalidArgument('keyType is "aead" or "rsa"');
  const connection = new VaultConnection(connectionOptions);
  const { namespace } = connectionOptions;
  const base = id === undefined ? `${connection.origin}/${namespace === undefined ? "" : `${namespace}/`}${place}/${name}` : checkedId(id);
  const alg = keyType === "rsa" ? WRAP_ALGORITHMS.opaque : WRAP_ALGORITHMS.opaqueWithContext;
  let isProven = false;
  const proofs = new SingleFlights<undefined, void>();

  /** The associated data of a context, in the field that the server takes it in. The version is the server's to bind, by its prefix. */
  const bound = ({ wrapAad }: WrapOptions): object => (keyType === "rsa" ? {} : { associated_data: toBase64(wrapAad(base)) });

  const post = (operation: "encrypt" | "decrypt", fields: object, signal: AbortSignal | undefined): Promise<object> => {
    const path = `/v1/${place}/${operation}/${name}`;
    return connection.call({ operation, of: base, method: "POST", path, body: JSON.stringify(fields) }, signal);
  };
  const encrypt = async (dek: Uint8Array, more: object, signal: AbortSignal | undefined): Promise<Wrapped> => {
    const data = await post("encrypt", { plaintext: toBase64(dek), ...more }, signal);
    const ciphertext = textFieldOf(data, "ciphertext") ?? "";
    const version = versionIn(ciphertext);
    if (version === undefined) throw brokenAnswer("encrypt", base, "holds no ciphertext of a version");
    if (fieldOf(data, "key_version") !== version) throw brokenAnswer("encrypt", base, "names another version than its ciphertext");
    return { ciphertext, version };
  };
  const decrypt = async (ciphertext: string, more: object, signal: AbortSignal | undefined): Promise<OwnedBytes> => {
    const text = textFieldOf(await post("decrypt", { ciphertext, ...more }, signal), "plaintext");
    const plaintext = text === undefined ? undefined : fromBase64(text);
    if (plaintext === undefined) throw brokenAnswer("decrypt", base, "holds no plaintext");
    return plaintext;
  };

  const prove = async (): Promise<void> => {
    const trial = (text: string): object => bound({ keyContext: {}, wrapAad: () => utf8(text) });
    const contexts = { right: trial("envelock/trial"), other: trial("envelock/other") };
    await tryRoundTrip({
      bindsContext: keyType === "aead",
      hints: {
        roundTrip: "nothing was encrypted under it; look at the key's minimum versions",
        context: "use a server of version 1.12 or later, or any OpenBao",
      },
      wrap: async (dek) => (await encrypt(dek, contexts.right, undefined)).ciphertext,
      unwrap: (ciphertext, which) => decrypt(ciphertext, contexts[which], undefined),
    });
    isProven = true;
  };

  return {
    name: NAME,
    owns: (keyId) => versionOf(keyId, base) !== undefined,
    async wrap(dek, wrapOptions) {
      const { signal } = wrapOptions;
      connection.requireOpen(signal);
      if (!isBytes(dek) || dek.length !== DATA_KEY_BYTES) throw invalidArgument(`a data key has ${DATA_KEY_BYTES} bytes`);
      const secret = copyOf(dek); // the caller may wipe its own once it stops waiting
      try {
        if (!isProven) await proofs.run(undefined, prove, { signal });
        const { ciphertext, version } = await encrypt(secret, bound(wrapOptions), signal);
        return { provider: NAME, keyId: `${base}#${version}`, alg, wrapped: utf8(ciphertext) };
      } finally {
        wipe(secret);
      }
    },
    async unwrap(recipient: Recipient, unwrapOptions) {
      const { signal } = unwrapOptions;
      connection.requireOpen(signal);
      const version = versionOf(recipient.keyId, base);
      if (recipient.provider !== NAME || recipient.alg !== alg || version === undefined) throw rejected();
      const ciphertext = recipient.wrapped.length <= MAX_WRAPPED_BYTES ? textOf(recipient.wrapped) : undefined;
      if (ciphertext === undefined || versionIn(ciphertext) !== version) throw rejected();
      const dek = await decrypt(ciphertext, bound(unwrapOptions), signal);
      if (dek.length === DATA_KEY_BYTES) return dek;
      wipe(dek);
      throw rejected();
    },
    async current({ signal } = {}) {
      const data = await connection.call({ operation: "read-key", of: base, method: "GET", path: `/v1/${place}/keys/${name}` }, signal);
      const latest = fieldOf(data, "latest_version");
      if (typeof latest !== "number" || !Number.isSafeInteger(latest) || latest < 1)
        throw brokenAnswer("read-key", base, "names no version");
      return `${base}#${latest}`;
    },
    async close() {
      connection.close();
    },
  };
}

interface Wrapped {
  readonly ciphertext: string;
  readonly version: number;
}

/** The version of a ciphertext by its prefix: the one spelling that the server itself writes. `v0`, which it takes for 1, is none. */
function versionIn(ciphertext: string): number | undefined {
  const [, digits] = /^vault:v([1-9]\d{0,8}):(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.exec(ciphertext) ?? [];
  return digits === undefined ? undefined : Number(digits);
}

/** The version that a key id names, if it is one of this key. */
function versionOf(keyId: string, base: string): number | undefined {
  if (!keyId.startsWith(`${base}#`)) return undefined;
  const [digits] = /^[1-9]\d{0,8}$/.exec(keyId.slice(base.length + 1)) ?? [];
  return digits === undefined ? undefined : Number(digits);
}

function checkedId(id: string): string {
  if (isTextOfAtMost(MAX_ID_BYTES, id) && !id.includes("#")) return id;
  throw invalidArgument(`id has 1 to ${MAX_ID_BYTES} bytes of well-formed text, without #`);
}

/** The names of {@link VaultTransitKeyOptions}, for the doctor too. */
export const TRANSIT_KEY_OPTIONS: OptionNames<VaultTransitKeyOptions> = {
  ...CONNECTION_OPTIONS,
  key: true,
  mount: true,
  keyType: true,
  id: true,
};
const NAME = "vault-transit";
const MAX_ID_BYTES = 480;
const MAX_WRAPPED_BYTES = 4096;
