import { engine } from "#engine";
import { ascii, concatBytes, type OwnedBytes, wipe } from "../../src/core/base/bytes.ts";
import { TAG_BYTES } from "../../src/core/contracts/suite.ts";
import type { HmacHash } from "../../src/core/crypto/engine/engine.ts";
import { hkdfExpand, hkdfExtract } from "../../src/core/crypto/hkdf.ts";

// HPKE, RFC 9180: base mode, single shot. Generic over KEM, KDF and AEAD so that public vectors of other suites run through it.

export interface HpkeSuite {
  readonly kem: Kem;
  readonly kdf: HpkeKdf;
  readonly aead: HpkeAead;
}

/** A KEM of RFC 9180 §4. Callers check the lengths of keys. */
export interface Kem {
  readonly id: number;
  readonly encBytes: number;
  /** @param secretKey stays the caller's. The caller wipes it once the pair is no longer used */
  keyPair(secretKey: Uint8Array): KemKeyPair;
  /** Returns undefined for a public key that must not be encrypted to, such as a point of small order. */
  encapsulate(publicKey: Uint8Array): Encapsulation | undefined;
}

export interface KemKeyPair {
  readonly publicKey: Uint8Array;
  /** Returns the shared secret, or undefined if `enc` is refused. A wrong `enc` may also give a wrong secret. */
  decapsulate(enc: Uint8Array): Uint8Array | undefined;
}

export interface Encapsulation {
  readonly sharedSecret: Uint8Array;
  readonly enc: Uint8Array;
}

export interface HpkeKdf {
  readonly id: number;
  readonly hash: HmacHash;
}

export interface HpkeAead {
  readonly id: number;
  readonly keyBytes: number;
  /** Ciphertext and tag. */
  seal(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, plaintext: Uint8Array): Uint8Array;
  open(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, sealed: Uint8Array): OwnedBytes | undefined;
}

/**
 * SealBase of RFC 9180 §6.1.
 *
 * @returns `enc | ciphertext`, or undefined if the KEM refuses the public key
 */
export function hpkeSeal(
  suite: HpkeSuite,
  publicKey: Uint8Array,
  info: Uint8Array,
  plaintext: Uint8Array,
  aad: Uint8Array = NOTHING,
): OwnedBytes | undefined {
  const encapsulation = suite.kem.encapsulate(publicKey);
  if (encapsulation === undefined) return undefined;
  const { key, baseNonce } = keySchedule(suite, encapsulation.sharedSecret, info);
  const ciphertext = suite.aead.seal(key, baseNonce, aad, plaintext);
  wipe(encapsulation.sharedSecret, key, baseNonce);
  return concatBytes(encapsulation.enc, ciphertext);
}

/**
 * OpenBase of RFC 9180 §6.1.
 *
 * @param keyPair one of the suite's KEM
 * @param sealed `enc | ciphertext`
 * @returns the plaintext in its own ArrayBuffer, or undefined if anything does not fit
 */
export function hpkeOpen(
  suite: HpkeSuite,
  keyPair: KemKeyPair,
  info: Uint8Array,
  sealed: Uint8Array,
  aad: Uint8Array = NOTHING,
): OwnedBytes | undefined {
  const { encBytes } = suite.kem;
  if (sealed.length < encBytes + TAG_BYTES) return undefined;
  const sharedSecret = keyPair.decapsulate(sealed.subarray(0, encBytes));
  return sharedSecret && hpkeOpenUnder(suite, sharedSecret, info, sealed, aad);
}

/** Opens like `hpkeOpen`, with the shared secret that `enc` gave, which it wipes. */
export function hpkeOpenUnder(
  suite: HpkeSuite,
  sharedSecret: Uint8Array,
  info: Uint8Array,
  sealed: Uint8Array,
  aad: Uint8Array = NOTHING,
): OwnedBytes | undefined {
  const { key, baseNonce } = keySchedule(suite, sharedSecret, info);
  const plaintext = suite.aead.open(key, baseNonce, aad, sealed.subarray(suite.kem.encBytes));
  wipe(sharedSecret, key, baseNonce);
  return plaintext;
}

/** KeySchedule of RFC 9180 §5.1 in base mode: psk and psk_id are empty. The nonce of the first message is the base nonce itself. */
export function keySchedule(
  { kem, kdf, aead }: HpkeSuite,
  sharedSecret: Uint8Array,
  info: Uint8Array,
): { readonly key: Uint8Array; readonly baseNonce: Uint8Array } {
  const label: LabelScope = { hash: kdf.hash, suiteId: concatBytes(ascii("HPKE"), uint16(kem.id), uint16(kdf.id), uint16(aead.id)) };
  const pskIdHash = labeledExtract(label, NOTHING, "psk_id_hash", NOTHING);
  const infoHash = labeledExtract(label, NOTHING, "info_hash", info);
  const context = concatBytes(MODE_BASE, pskIdHash, infoHash);
  const secret = labeledExtract(label, sharedSecret, "secret", NOTHING);
  const key = labeledExpand(label, secret, "key", context, aead.keyBytes);
  const baseNonce = labeledExpand(label, secret, "base_nonce", context, NONCE_BYTES);
  wipe(secret);
  return { key, baseNonce };
}

/** The hash, and what ties a label to its suite. */
export interface LabelScope {
  readonly hash: HmacHash;
  readonly suiteId: Uint8Array;
}

/** LabeledExtract of RFC 9180 §4. */
export function labeledExtract({ hash, suiteId }: LabelScope, salt: Uint8Array, label: string, keyMaterial: Uint8Array): Uint8Array {
  const labeled = concatBytes(VERSION, suiteId, ascii(label), keyMaterial);
  const extracted = hkdfExtract(hash, salt, labeled);
  wipe(labeled);
  return extracted;
}

/** LabeledExpand of RFC 9180 §4. */
export function labeledExpand({ hash, suiteId }: LabelScope, key: Uint8Array, label: string, info: Uint8Array, bytes: number): Uint8Array {
  return hkdfExpand(hash, key, [uint16(bytes), VERSION, suiteId, ascii(label), info], bytes);
}

export function uint16(value: number): OwnedBytes {
  return Uint8Array.of(value >> 8, value & 0xff);
}

/** AES-GCM of RFC 9180 §7.3. */
export function aesGcm(id: number, keyBytes: 16 | 32): HpkeAead {
  return {
    id,
    keyBytes,
    seal(key, nonce, aad, plaintext) {
      const sealed = new Uint8Array(plaintext.length + TAG_BYTES);
      engine.gcm.seal(key, nonce, aad, plaintext, sealed, 0);
      return sealed;
    },
    open: (key, nonce, aad, sealed) => engine.gcm.open(key, nonce, aad, sealed),
  };
}

const VERSION: Uint8Array = ascii("HPKE-v1");
const NOTHING: Uint8Array = new Uint8Array(0);
const MODE_BASE: Uint8Array = Uint8Array.of(0);
const NONCE_BYTES = 12;

// RFC 9180 §7.2, §7.3
export const HKDF_SHA256: HpkeKdf = { id: 0x0001, hash: "sha256" };
export const AES_256_GCM: HpkeAead = aesGcm(0x0002, 32);
