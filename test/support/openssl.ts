import { createCipheriv, createHmac } from "node:crypto";
import { doubleBlock } from "../../src/core/crypto/double-block.ts";

// Constructions by the text of their specifications, over OpenSSL by way of node:crypto.

/** XAES-256-GCM: `ciphertext | tag`. */
export function opensslXaes(secret: Uint8Array, nonce: Uint8Array, associated: Uint8Array, plaintext: Uint8Array): Uint8Array {
  const aes = createCipheriv("aes-256-ecb", secret, null).setAutoPadding(false);
  const subkey = doubleBlock(aes.update(new Uint8Array(16)));
  const half = (counter: number): Buffer => {
    const block = Buffer.concat([Buffer.of(0, counter, 0x58, 0), nonce.subarray(0, 12)]);
    return aes.update(block.map((byte, at) => byte ^ (subkey[at] ?? 0)));
  };
  return opensslGcm(Buffer.concat([half(1), half(2)]), nonce.subarray(12), associated, plaintext);
}

/** AES-256-GCM: `ciphertext | tag`. */
export function opensslGcm(secret: Uint8Array, nonce: Uint8Array, associated: Uint8Array, plaintext: Uint8Array): Buffer {
  const gcm = createCipheriv("aes-256-gcm", secret, nonce);
  if (associated.length > 0) gcm.setAAD(associated);
  return Buffer.concat([gcm.update(plaintext), gcm.final(), gcm.getAuthTag()]);
}

/** HKDF-Expand, RFC 5869 §2.3. */
export function opensslExpand(hash: "sha256" | "sha512", secret: Uint8Array, info: Uint8Array, bytes: number): Buffer {
  let block = Buffer.alloc(0);
  let output = Buffer.alloc(0);
  for (let counter = 1; output.length < bytes; counter++) {
    block = createHmac(hash, secret).update(block).update(info).update(Buffer.of(counter)).digest();
    output = Buffer.concat([output, block]);
  }
  return output.subarray(0, bytes);
}

/** The chunks of a Cobblestone body, docs/format.md §6. */
export function opensslChunks(secret: Uint8Array, base: Uint8Array, first: number, plaintext: Uint8Array, isEnd: boolean): Buffer {
  const count = Math.floor(plaintext.length / 16384) + (isEnd ? 1 : 0);
  return Buffer.concat(
    Array.from({ length: count }, (_, index) => {
      const nonce = Buffer.from(base);
      nonce.writeBigUInt64BE(nonce.readBigUInt64BE(4) ^ BigInt(first + index), 4);
      return opensslGcm(secret, nonce, new Uint8Array(0), plaintext.subarray(index * 16384, (index + 1) * 16384));
    }),
  );
}
