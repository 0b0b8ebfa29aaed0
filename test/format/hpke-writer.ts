import { gcm } from "@noble/ciphers/aes.js";
import { x25519 } from "@noble/curves/ed25519.js";
import { expand, extract } from "@noble/hashes/hkdf.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { sha3_256 } from "@noble/hashes/sha3.js";
import { concatBytes, utf8ToBytes } from "@noble/hashes/utils.js";
import { ml_kem768_x25519 } from "@noble/post-quantum/hybrid.js";
import { ml_kem768 } from "@noble/post-quantum/ml-kem.js";
import { uint } from "./writer.ts";

// The second writer's HPKE (RFC 9180): base mode, single shot, with its randomness as an argument. docs/format.md §10.5

export interface Encapsulated {
  readonly kem: number;
  readonly enc: Uint8Array;
  readonly sharedSecret: Uint8Array;
}

export interface HpkeKeys {
  readonly key: Uint8Array;
  readonly baseNonce: Uint8Array;
}

/** Algorithm 4: Encap of DHKEM(X25519, HKDF-SHA256), RFC 9180 §4.1, with `ephemeral` as the ephemeral secret key. */
export function encapsulateX25519(publicKey: Uint8Array, ephemeral: Uint8Array): Encapsulated {
  const kem = 0x0020;
  const enc = x25519.getPublicKey(ephemeral);
  const suite = concatBytes(utf8ToBytes("KEM"), uint(2, kem));
  const prk = labeledExtract(suite, NONE, "eae_prk", x25519.getSharedSecret(ephemeral, publicKey));
  return { kem, enc, sharedSecret: labeledExpand(suite, prk, "shared_secret", concatBytes(enc, publicKey), 32) };
}

/** What a sender reaches who takes a point of small order as `enc`: a secret of zeros, whatever the recipient's key. */
export function encapsulateZeroX25519(publicKey: Uint8Array, point: Uint8Array): Encapsulated {
  const kem = 0x0020;
  const suite = concatBytes(utf8ToBytes("KEM"), uint(2, kem));
  const prk = labeledExtract(suite, NONE, "eae_prk", new Uint8Array(32));
  return { kem, enc: point, sharedSecret: labeledExpand(suite, prk, "shared_secret", concatBytes(point, publicKey), 32) };
}

/** The same of algorithm 5, by the construction of docs/format.md §10.6: the half of ML-KEM-768 is honest. */
export function encapsulateZeroHybrid(publicKey: Uint8Array, point: Uint8Array, randomness: Uint8Array): Encapsulated {
  const { cipherText, sharedSecret } = ml_kem768.encapsulate(publicKey.subarray(0, 1184), randomness);
  const label = utf8ToBytes("\\.//^\\");
  const combined = sha3_256(concatBytes(sharedSecret, new Uint8Array(32), point, publicKey.subarray(1184), label));
  return { kem: 0x647a, enc: concatBytes(cipherText, point), sharedSecret: combined };
}

/** Algorithm 5: MLKEM768-X25519 with 64 bytes of randomness. */
export function encapsulateHybrid(publicKey: Uint8Array, randomness: Uint8Array): Encapsulated {
  const { cipherText, sharedSecret } = ml_kem768_x25519.encapsulate(publicKey, randomness);
  return { kem: 0x647a, enc: cipherText, sharedSecret };
}

/** KeySchedule of RFC 9180 §5.1 in base mode, with HKDF-SHA256. */
export function hpkeKeys({ kem, sharedSecret }: Encapsulated, info: Uint8Array, aead = 0x0002): HpkeKeys {
  const suite = concatBytes(utf8ToBytes("HPKE"), uint(2, kem), uint(2, 0x0001), uint(2, aead));
  const context = concatBytes(uint(1, 0), labeledExtract(suite, NONE, "psk_id_hash", NONE), labeledExtract(suite, NONE, "info_hash", info));
  const secret = labeledExtract(suite, sharedSecret, "secret", NONE);
  return { key: labeledExpand(suite, secret, "key", context, 32), baseNonce: labeledExpand(suite, secret, "base_nonce", context, 12) };
}

export function hpkeWrap(
  encapsulated: Encapsulated,
  { key, baseNonce }: HpkeKeys,
  dataKey: Uint8Array,
  aad: Uint8Array = NONE,
): Uint8Array {
  return concatBytes(encapsulated.enc, gcm(key, baseNonce, aad).encrypt(dataKey));
}

function labeledExtract(suite: Uint8Array, salt: Uint8Array, label: string, keyMaterial: Uint8Array): Uint8Array {
  return extract(sha256, concatBytes(VERSION, suite, utf8ToBytes(label), keyMaterial), salt);
}

function labeledExpand(suite: Uint8Array, key: Uint8Array, label: string, info: Uint8Array, bytes: number): Uint8Array {
  return expand(sha256, key, concatBytes(uint(2, bytes), VERSION, suite, utf8ToBytes(label), info), bytes);
}

const VERSION: Uint8Array = utf8ToBytes("HPKE-v1");
const NONE: Uint8Array = new Uint8Array(0);
