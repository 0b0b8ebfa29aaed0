import { constants, createPublicKey, type KeyObject, publicEncrypt, randomBytes } from "node:crypto";
import { concatBytes, toBase64Url, wipe } from "../../../src/core/base/bytes.ts";
import { invalidArgument } from "../../../src/core/base/errors.ts";
import { wrapPadded } from "../wrapping/rfc5649.ts";

/** The key exchange key of an Azure vault or Managed HSM, under which a key travels there: its only permitted operation is `import`. */
export interface ByokKek {
  /** The key id in Azure, with the version: `https://acme.vault.azure.net/keys/exchange/0123…`. Azure compares it. */
  readonly keyId: string;
  /** The public half in PEM, as `az keyvault key download --encoding PEM` writes it. RSA of 2048, 3072 or 4096 bits. */
  readonly publicKey: string;
}

/**
 * The `.byok` transfer file of a key that is known here: an AES key of its own wraps the key (RFC 5649), and the KEK that AES key
 * (RSA-OAEP, SHA-1, as Azure's specification fixes it). Upload it with `az keyvault key import --byok-file`.
 *
 * @param key PKCS #8 in DER for RSA and EC, the bytes themselves for a symmetric key; stays the caller's
 * @returns JSON
 * @throws `invalid-argument` for a KEK that is none
 * @example
 * ```ts
 * import { generateKeyPairSync, randomBytes } from "node:crypto";
 * import { byokFile } from "envelock/providers/pkcs11";
 *
 * // In truth the key exchange key of the vault, downloaded as PEM.
 * const { publicKey } = generateKeyPairSync("rsa", { modulusLength: 4096 });
 * const keyId = "https://acme.vault.azure.net/keys/exchange/0123456789abcdef0123456789abcdef";
 * const file = byokFile({ keyId, publicKey: publicKey.export({ type: "spki", format: "pem" }).toString() }, randomBytes(32));
 * ```
 */
export function byokFile(kek: ByokKek, key: Uint8Array): string {
  const exchangeKey = byokExchangeKey(kek);
  const transferKey = randomBytes(TRANSFER_KEY_BYTES);
  try {
    const padding = { key: exchangeKey, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: "sha1" };
    return formatByok(kek, publicEncrypt(padding, transferKey), wrapPadded(transferKey, key));
  } finally {
    wipe(transferKey);
  }
}

/** @param wrappedTransferKey under the KEK; `wrappedKey` under the transfer key */
export function formatByok({ keyId }: ByokKek, wrappedTransferKey: Uint8Array, wrappedKey: Uint8Array): string {
  const file = {
    schema_version: "1.0.0",
    header: { kid: keyId, alg: "dir", enc: "CKM_RSA_AES_KEY_WRAP" },
    ciphertext: toBase64Url(concatBytes(wrappedTransferKey, wrappedKey)),
    generator: "Envelock",
  };
  return `${JSON.stringify(file, undefined, 2)}\n`;
}

/** @throws `invalid-argument` */
export function byokExchangeKey({ keyId, publicKey }: ByokKek): KeyObject {
  if (!KEY_ID.test(keyId)) {
    throw invalidArgument("the key exchange key is named by its URL with its version", "https://acme.vault.azure.net/keys/exchange/0123…");
  }
  const key = publicKeyOf(publicKey);
  const bits = key?.asymmetricKeyDetails?.modulusLength;
  if (key?.asymmetricKeyType === "rsa" && bits !== undefined && KEK_BITS.has(bits)) return key;
  throw invalidArgument("the key exchange key is not the PEM of an RSA public key of 2048, 3072 or 4096 bits");
}

function publicKeyOf(pem: string): KeyObject | undefined {
  if (!pem.includes("PUBLIC KEY")) return undefined; // node:crypto would take a private key and use its public half
  try {
    return createPublicKey(pem);
  } catch {
    return undefined;
  }
}

export const TRANSFER_KEY_BYTES = 32;

const KEY_ID = /^https:\/\/[a-z0-9.-]+(?::\d+)?\/keys\/[A-Za-z0-9-]{1,127}\/[0-9a-f]{32}$/;
const KEK_BITS: ReadonlySet<number> = new Set([2048, 3072, 4096]);
