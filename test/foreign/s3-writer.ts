import { createCipheriv, hkdfSync, randomBytes } from "node:crypto";

/** An object as the S3 Encryption Client writes it under an AES key, by a writer that shares nothing with the library. */
export function writtenObject(
  format: 2 | 3,
  aesKey: Uint8Array,
  plaintext: Uint8Array,
  description: Readonly<Record<string, string>> = {},
): { readonly metadata: Readonly<Record<string, string>>; readonly body: Uint8Array<ArrayBuffer> } {
  const [key, start] = [randomBytes(32), randomBytes(12)];
  const algorithm = format === 2 ? "AES/GCM/NoPadding" : "115";
  const wrapped = Buffer.concat([start, sealedGcm(aesKey, start, Buffer.from(algorithm), key)]).toString("base64");
  const described = JSON.stringify(description);
  if (format === 2) {
    const nonce = randomBytes(12);
    const names = { "x-amz-cek-alg": algorithm, "x-amz-wrap-alg": "AES/GCM", "x-amz-tag-len": "128", "x-amz-matdesc": described };
    const length = { "x-amz-unencrypted-content-length": `${plaintext.length}` };
    return {
      metadata: { "x-amz-key-v2": wrapped, "x-amz-iv": nonce.toString("base64"), ...names, ...length },
      body: sealedGcm(key, nonce, Buffer.alloc(0), plaintext),
    };
  }
  const { ids, contentKey } = committed(key);
  return {
    metadata: { "x-amz-3": wrapped, "x-amz-w": "02", "x-amz-m": described, ...ids },
    body: sealedGcm(contentKey, Buffer.alloc(12, 1), SUITE, plaintext),
  };
}

/** The message id and commitment of format 3 for a data key, and its content key. */
export function committed(key: Uint8Array): { readonly ids: Readonly<Record<string, string>>; readonly contentKey: Uint8Array } {
  const messageId = randomBytes(28);
  const derived = (label: string, bytes: number): Buffer =>
    Buffer.from(hkdfSync("sha512", key, messageId, Buffer.concat([SUITE, Buffer.from(label)]), bytes));
  const ids = { "x-amz-c": "115", "x-amz-d": derived("COMMITKEY", 28).toString("base64"), "x-amz-i": messageId.toString("base64") };
  return { ids, contentKey: derived("DERIVEKEY", 32) };
}

/** Ciphertext and tag. */
export function sealedGcm(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, plaintext: Uint8Array): Uint8Array<ArrayBuffer> {
  const cipher = createCipheriv("aes-256-gcm", key, nonce);
  cipher.setAAD(aad);
  return new Uint8Array(Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]));
}

const SUITE: Buffer = Buffer.from([0, 115]);
