import { ecb, gcm } from "@noble/ciphers/aes.js";
import { hmac } from "@noble/hashes/hmac.js";
import { sha512 } from "@noble/hashes/sha2.js";
import { concatBytes, utf8ToBytes } from "@noble/hashes/utils.js";
import { unauthentic } from "./failure.ts";

// docs/format.md §1 and §10, over noble's AES and HMAC.

/** §10.1 */
export function hkdfExpand(prk: Uint8Array, info: Uint8Array, bytes: number): Uint8Array {
  const blocks: Uint8Array[] = [];
  let last: Uint8Array = new Uint8Array(0);
  for (let counter = 1; blocks.length * 64 < bytes; counter++) {
    last = hmac(sha512, prk, concatBytes(last, info, Uint8Array.of(counter)));
    blocks.push(last);
  }
  return concatBytes(...blocks).subarray(0, bytes);
}

/** `Expand` of §1 */
export function derived(dataKey: Uint8Array, name: string, rest: Uint8Array, bytes: number): Uint8Array {
  return hkdfExpand(dataKey, concatBytes(utf8ToBytes(`envelock/v1/${name}`), Uint8Array.of(0, 1), rest), bytes);
}

/** §10.2 */
export function openGcm(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, sealed: Uint8Array): Uint8Array {
  if (sealed.length < 16) throw unauthentic();
  try {
    return gcm(key, nonce, aad).decrypt(sealed);
  } catch {
    throw unauthentic();
  }
}

/** §10.3: `nonce 24 | ciphertext | tag` */
export function openXaes(key: Uint8Array, aad: Uint8Array, sealed: Uint8Array): Uint8Array {
  const aes = (block: Uint8Array): Uint8Array => ecb(key, { disablePadding: true }).encrypt(block);
  const l = aes(new Uint8Array(16));
  const k1 = l.map((byte, at) => (byte << 1) | ((l[at + 1] ?? 0) >> 7));
  if ((l[0] ?? 0) >= 0x80) k1[15] = (k1[15] ?? 0) ^ 0x87;
  const half = (counter: number): Uint8Array => {
    const m = concatBytes(Uint8Array.of(0, counter, 0x58, 0), sealed.subarray(0, 12));
    return aes(m.map((byte, at) => byte ^ (k1[at] ?? 0)));
  };
  return openGcm(concatBytes(half(1), half(2)), sealed.subarray(12, 24), aad, sealed.subarray(24));
}
