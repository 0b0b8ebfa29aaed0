import { x25519 } from "@noble/curves/ed25519.js";
import { hexToBytes } from "@noble/hashes/utils.js";
import { ml_kem768_x25519 } from "@noble/post-quantum/hybrid.js";
import {
  type Encapsulated,
  encapsulateHybrid,
  encapsulateX25519,
  encapsulateZeroHybrid,
  encapsulateZeroX25519,
  hpkeKeys,
  hpkeWrap,
} from "./hpke-writer.ts";
import { DATA_KEY, flip, OTHER_TENANT, run, TENANT } from "./material.ts";
import { hex, type Vector, type VectorFile } from "./vector-file.ts";
import { encodeContext, join, type Pair, wrapAadParts } from "./writer.ts";

/** Algorithms 4 and 5 of docs/format.md §3.1 */
export interface HpkeWrapVector {
  readonly alg: 4 | 5;
  readonly keyId: string;
  readonly keyContext: readonly Pair[];
  readonly dataKey: string;
  readonly wrapped: string;
  /** The ephemeral secret key of algorithm 4, or the 64 random bytes of algorithm 5. */
  readonly randomness?: string;
  readonly wrapAad?: string;
  readonly sharedSecret?: string;
  readonly aeadKey?: string;
  readonly baseNonce?: string;
}

export interface SharedKeyPairs {
  /** By key id. */
  readonly keyPairs: Readonly<Record<string, { readonly publicKey: string; readonly secretKey: string }>>;
}

export function hpkeWrapVectors(): VectorFile<HpkeWrapVector, SharedKeyPairs> {
  const keys = [X25519_KEY, HYBRID_KEY];
  return {
    about: "docs/format.md §3.1 and §10.5: HPKE wraps under X25519 (alg 4) and MLKEM768-X25519 (alg 5), both of provider local.",
    shared: {
      keyPairs: Object.fromEntries(
        keys.map(({ keyId, publicKey, secretKey }) => [keyId, { publicKey: hex(publicKey), secretKey: hex(secretKey) }]),
      ),
    },
    vectors: keys.flatMap((key) => [...good(key), ...broken(key)]),
  };
}

interface RecipientKey {
  readonly alg: 4 | 5;
  readonly name: string;
  readonly keyId: string;
  readonly secretKey: Uint8Array;
  readonly publicKey: Uint8Array;
  readonly randomnessBytes: number;
  readonly encBytes: number;
  readonly encapsulate: (publicKey: Uint8Array, randomness: Uint8Array) => Encapsulated;
  /** With a point of small order in place of the ephemeral public key. */
  readonly encapsulateZero: (publicKey: Uint8Array, point: Uint8Array, randomness: Uint8Array) => Encapsulated;
}

function good(key: RecipientKey): readonly Vector<HpkeWrapVector>[] {
  return [
    opens(key, "example", TENANT),
    opens(key, "no key context", []),
    opens(key, "another randomness", TENANT, run(0x11, key.randomnessBytes)),
  ];
}

function opens(
  key: RecipientKey,
  name: string,
  keyContext: readonly Pair[],
  randomness = run(0x90, key.randomnessBytes),
): Vector<HpkeWrapVector> {
  const wrapAad = wrapAadOf(key, keyContext);
  const encapsulated = key.encapsulate(key.publicKey, randomness);
  const keys = hpkeKeys(encapsulated, wrapAad);
  return {
    ...reader(key, name, hpkeWrap(encapsulated, keys, DATA_KEY)),
    keyContext,
    randomness: hex(randomness),
    wrapAad: hex(wrapAad),
    sharedSecret: hex(encapsulated.sharedSecret),
    aeadKey: hex(keys.key),
    baseNonce: hex(keys.baseNonce),
  };
}

function broken(key: RecipientKey): readonly Vector<HpkeWrapVector>[] {
  const encapsulated = key.encapsulate(key.publicKey, run(0x90, key.randomnessBytes));
  const info = wrapAadOf(key, TENANT);
  const sealed = (other: Uint8Array): Uint8Array => hpkeWrap(encapsulated, hpkeKeys(encapsulated, other), DATA_KEY);
  const wrapped = sealed(info);
  const refused = (name: string, breaks: string, note: string, bytes: Uint8Array): Vector<HpkeWrapVector> => {
    return { ...reader(key, name, bytes), error: "authentication-failed", breaks, note };
  };
  return [
    refused("enc flipped", "M-24", "first byte", flip(wrapped, 0)),
    refused("ciphertext flipped", "M-24", "first byte", flip(wrapped, key.encBytes)),
    refused("tag flipped", "M-65", "last byte", flip(wrapped, wrapped.length - 1)),
    refused("a byte short", "M-23", "the tag has 15 bytes", wrapped.subarray(0, -1)),
    refused("a byte long", "M-23", "one after the tag", Uint8Array.of(...wrapped, 0)),
    refused("ciphertext alone", "M-23", "48 bytes without enc", wrapped.subarray(key.encBytes)),
    refused(
      "enc of zeros",
      "M-24",
      "nothing that was encapsulated",
      Uint8Array.of(...new Uint8Array(key.encBytes), ...wrapped.subarray(key.encBytes)),
    ),
    refused("info of another key context", "M-24", "the other tenant", sealed(wrapAadOf(key, OTHER_TENANT))),
    refused("info of another key id", "M-24", "a suffix more", sealed(wrapAadOf({ ...key, keyId: `${key.keyId}-2` }, TENANT))),
    refused("empty info", "M-24", "the wrap AAD is left out", sealed(new Uint8Array(0))),
    refused(
      "wrap AAD as aad",
      "M-24",
      "and not as info",
      hpkeWrap(encapsulated, hpkeKeys(encapsulated, new Uint8Array(0)), DATA_KEY, info),
    ),
    refused(
      "AEAD of another id",
      "M-24",
      "key schedule of AES-128-GCM",
      hpkeWrap(encapsulated, hpkeKeys(encapsulated, info, 0x0001), DATA_KEY),
    ),
    ...SMALL_ORDER.map(([order, point]) => {
      const zero = key.encapsulateZero(key.publicKey, hexToBytes(point), run(0x90, 32));
      const note = "the X25519 secret is all zero, and the rest is sealed to fit";
      return refused(`point of order ${order}`, "M-70", note, hpkeWrap(zero, hpkeKeys(zero, info), DATA_KEY));
    }),
  ];
}

/** Points of X25519 with which every secret key agrees on zero. RFC 7748 §6.1 */
const SMALL_ORDER: readonly (readonly [order: string, point: string])[] = [
  ["4: zero", "00".repeat(32)],
  ["1: one", `01${"00".repeat(31)}`],
  ["8", "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"],
  ["2: p - 1", `ec${"ff".repeat(30)}7f`],
];

function wrapAadOf({ keyId }: RecipientKey, keyContext: readonly Pair[]): Uint8Array {
  return join(wrapAadParts("local", keyId, encodeContext(keyContext)));
}

function reader({ alg, keyId, name: keyName }: RecipientKey, name: string, wrapped: Uint8Array): Vector<HpkeWrapVector> {
  return {
    name: `${keyName}: ${name}`,
    alg,
    keyId,
    keyContext: TENANT,
    dataKey: hex(DATA_KEY),
    wrapped: hex(wrapped),
  };
}

const X25519_KEY: RecipientKey = {
  alg: 4,
  name: "X25519",
  keyId: "pair-2026-11",
  secretKey: run(0x30, 32),
  publicKey: x25519.getPublicKey(run(0x30, 32)),
  randomnessBytes: 32,
  encBytes: 32,
  encapsulate: encapsulateX25519,
  encapsulateZero: encapsulateZeroX25519,
};

const HYBRID_KEY: RecipientKey = {
  alg: 5,
  name: "MLKEM768-X25519",
  keyId: "hybrid-2026-11",
  secretKey: run(0x70, 32),
  publicKey: ml_kem768_x25519.getPublicKey(run(0x70, 32)),
  randomnessBytes: 64,
  encBytes: 1120,
  encapsulate: encapsulateHybrid,
  encapsulateZero: encapsulateZeroHybrid,
};
