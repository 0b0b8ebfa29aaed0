import { ecb } from "@noble/ciphers/aes.js";
import { sha1 } from "@noble/hashes/legacy.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex, concatBytes } from "@noble/hashes/utils.js";
import type { RsaKey } from "./rsa-keys.ts";
import { uint } from "./writer.ts";

// The second writer's AES-KW, AES-KWP and RSA-OAEP, with all that is random or may be wrong as an argument. docs/format.md §3.1

export const KW_INITIAL_VALUE: Uint8Array = new Uint8Array(8).fill(0xa6);

/** RFC 3394 §2.2.1, the index-based form. `data` is at least two blocks of 8 bytes. */
export function aesKwWrap(kek: Uint8Array, initialValue: Uint8Array, data: Uint8Array): Uint8Array {
  let a = initialValue;
  const blocks = Array.from({ length: data.length / 8 }, (_, at) => data.subarray(8 * at, 8 * at + 8));
  for (let round = 0; round < 6; round++) {
    for (const [at, block] of blocks.entries()) {
      const sealed = ecb(kek, { disablePadding: true }).encrypt(concatBytes(a, block));
      const counter = uint(8, round * blocks.length + at + 1);
      a = sealed.subarray(0, 8).map((byte, place) => byte ^ (counter[place] ?? 0));
      blocks[at] = sealed.subarray(8);
    }
  }
  return concatBytes(a, ...blocks);
}

/** RFC 5649 §4.1, for more than 8 bytes. */
export function aesKwpWrap(kek: Uint8Array, data: Uint8Array): Uint8Array {
  const padded = concatBytes(data, new Uint8Array((8 - (data.length % 8)) % 8));
  return aesKwWrap(kek, concatBytes(Uint8Array.of(0xa6, 0x59, 0x59, 0xa6), uint(4, data.length)), padded);
}

export interface OaepOptions {
  readonly hash: "sha1" | "sha256";
  readonly mask: "sha1" | "sha256";
  readonly label?: Uint8Array;
  /** The first byte of the seed, whose others count up from it. */
  readonly seed?: number;
}

/** RFC 8017 §7.1.1 */
export function oaepWrap(key: RsaKey, { hash, mask, label = NONE, seed = 1 }: OaepOptions, message: Uint8Array): Uint8Array {
  const modulus = numberOf(Buffer.from(key.n, "base64url"));
  const bytes = Math.ceil(modulus.toString(2).length / 8);
  const labelHash = HASHES[hash](label);
  const padding = new Uint8Array(bytes - message.length - 2 * labelHash.length - 2);
  const block = concatBytes(labelHash, padding, uint(1, 1), message);
  const seedBytes = Uint8Array.from({ length: labelHash.length }, (_, at) => seed + at);
  const maskedBlock = xored(block, mgf1(mask, seedBytes, block.length));
  const maskedSeed = xored(seedBytes, mgf1(mask, maskedBlock, seedBytes.length));
  return uint(bytes, power(numberOf(concatBytes(uint(1, 0), maskedSeed, maskedBlock)), 65537n, modulus));
}

/** RFC 8017 §B.2.1 */
function mgf1(hash: OaepOptions["mask"], seed: Uint8Array, bytes: number): Uint8Array {
  let output: Uint8Array = NONE;
  for (let counter = 0; output.length < bytes; counter++) output = concatBytes(output, HASHES[hash](concatBytes(seed, uint(4, counter))));
  return output.subarray(0, bytes);
}

function xored(a: Uint8Array, b: Uint8Array): Uint8Array {
  return a.map((byte, at) => byte ^ (b[at] ?? 0));
}

function power(base: bigint, exponent: bigint, modulus: bigint): bigint {
  let result = 1n;
  for (let square = base, left = exponent; left > 0n; square = (square * square) % modulus, left >>= 1n) {
    if (left & 1n) result = (result * square) % modulus;
  }
  return result;
}

function numberOf(bytes: Uint8Array): bigint {
  return BigInt(`0x${bytesToHex(Uint8Array.from(bytes))}`);
}

const HASHES = { sha1, sha256 } as const;
const NONE: Uint8Array = new Uint8Array(0);
