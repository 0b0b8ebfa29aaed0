import { constants, createDecipheriv, type KeyObject, privateDecrypt } from "node:crypto";
import { badParameter } from "./answer.ts";
import { JsonFields } from "./json-fields.ts";

/** The content of a `.byok` file, which carries a wrapped key into a vault or Managed HSM. */
export interface TransferFile {
  /** The id of the key in the vault that the file was made for. */
  readonly kid: string;
  readonly ciphertext: Buffer;
}

/** @throws Answer */
export function parseTransferFile(bytes: Buffer): TransferFile {
  const file = JsonFields.parse(bytes.toString("utf8"));
  const header = file.object("header");
  const ciphertext = file.bytes("ciphertext");
  const kid = header.text("kid");
  const isKnown = file.text("schema_version") === "1.0.0" && header.text("alg") === "dir" && header.text("enc") === "CKM_RSA_AES_KEY_WRAP";
  if (!isKnown || kid === undefined || ciphertext === undefined) throw badParameter("The transfer file is not what it should be.");
  return { kid, ciphertext };
}

/**
 * CKM_RSA_AES_KEY_WRAP: an AES key for this transfer alone under RSA-OAEP with SHA-1, then the target key wrapped under that AES key
 * by RFC 5649.
 *
 * @throws Answer
 */
export function openTransfer(keyExchangeKey: KeyObject, ciphertext: Buffer): Buffer {
  const modulusBytes = (keyExchangeKey.asymmetricKeyDetails?.modulusLength ?? 0) / 8;
  const padding = { oaepHash: "sha1", padding: constants.RSA_PKCS1_OAEP_PADDING };
  try {
    const transferKey = privateDecrypt({ key: keyExchangeKey, ...padding }, ciphertext.subarray(0, modulusBytes));
    const unwrap = createDecipheriv(`id-aes${transferKey.length * 8}-wrap-pad`, transferKey, Buffer.from("a65959a6", "hex"));
    return Buffer.concat([unwrap.update(ciphertext.subarray(modulusBytes)), unwrap.final()]);
  } catch {
    throw badParameter("The transfer file is not for this key, or was changed.");
  }
}
