import { chacha20poly1305 } from "@noble/ciphers/chacha.js";
import { p256, p521 } from "@noble/curves/nist.js";
import { ml_kem768_x25519 } from "@noble/post-quantum/hybrid.js";
import { describe, expect, test } from "vitest";
import { type DhGroup, dhKem, X25519_GROUP } from "../../../providers/local/dh-kem.ts";
import {
  AES_256_GCM,
  aesGcm,
  HKDF_SHA256,
  type HpkeAead,
  type HpkeKdf,
  type HpkeSuite,
  hpkeOpen,
  hpkeSeal,
  type Kem,
  keySchedule,
} from "../../../providers/local/hpke.ts";
import { hybridKem } from "../../../providers/local/hybrid-kem.ts";
import { ownedBytes, toHex } from "../../../src/core/base/bytes.ts";
import { describeVectors, hex, vectors } from "../../support/vectors.ts";

describeVectors("HPKE (RFC 9180 appendix A), base mode", () => {
  test("every suite with an AEAD", () => {
    const setups = vectors<readonly RfcSetup[]>("hpke/rfc9180-appendix-a.json").filter(
      ({ mode, aead_id }) => mode === "0" && aead_id !== EXPORT_ONLY,
    );
    for (const setup of setups) expectSetup(suiteOf(rfcKem(setup.kem_id, hex(setup.skEm)), setup), setup);
    const run = setups.map(({ kem_id, kdf_id, aead_id }) => `${kem_id}/${kdf_id}/${aead_id}`);
    expect(run).toEqual(["32/1/1", "32/1/3", "16/1/1", "16/3/1", "16/1/3", "18/3/2"]);
    expect(setups.flatMap(({ encryptions }) => encryptions)).toHaveLength(36);
  });
});

// The file has a second setup of this KEM under the KDF SHAKE256, whose key schedule is another one: HKDF's two steps become one.
// Format 1 wraps under HKDF-SHA256 alone, so that one is not ours. Neither is ChaCha20-Poly1305, but it reaches the same KEM and schedule.
describeVectors("HPKE with MLKEM768-X25519 (draft-ietf-hpke-pq)", () => {
  test("the setup of KEM 0x647a with HKDF-SHA256", () => {
    const ofKem = vectors<readonly PqSetup[]>("hpke/hpke-pq-test-vectors.json").filter(({ kem_id }) => kem_id === 0x647a);
    expect(ofKem.map(({ kdf_id }) => kdf_id)).toEqual([HKDF_SHA256.id, SHAKE256]);
    const setups = ofKem.filter(({ kdf_id }) => kdf_id === HKDF_SHA256.id);
    for (const setup of setups) {
      const kem = hybridKem({ ml_kem768_x25519 }, () => hex(setup.ikmE));
      expectSetup(suiteOf(kem, setup), setup);
    }
    expect(setups.flatMap(({ encryptions }) => encryptions)).toHaveLength(10);
  });
});

describe("HPKE", () => {
  // The CFRG's own file test-vectors.json has the suite of alg 4; the RFC prints it for none of its examples.
  test("X25519, HKDF-SHA256, AES-256-GCM", () => {
    const publicKey = hex("ac66bae9ffa270cf4a89ed9f274e30c0456babae2572aaaf002ff0d8884ab018");
    const secretKey = hex("28e212563a8b6f068af7ff17400ff1baf23612b7a738bbaf5dfb321b2b5b431a");
    const suite = { kem: dhKem(withEphemeral(X25519_GROUP, secretKey)), kdf: HKDF_SHA256, aead: AES_256_GCM };
    const info = hex("4f6465206f6e2061204772656369616e2055726e");
    const plaintext = hex("4265617574792069732074727574682c20747275746820626561757479");
    const sealed = hpkeSeal(suite, publicKey, info, plaintext, hex("436f756e742d30"));
    expect(sealed && toHex(sealed.subarray(32))).toBe(
      "23ded2d5d90ea89d975dac4792b297240f194952d7421aacbff0474100052b6bb8aa58d18ef6c42b6960e2e28f",
    );
  });

  const suite: HpkeSuite = { kem: dhKem(X25519_GROUP), kdf: HKDF_SHA256, aead: AES_256_GCM };
  const secretKey = new Uint8Array(32).fill(9);
  const keyPair = suite.kem.keyPair(secretKey);
  const { publicKey } = keyPair;
  const info = Uint8Array.of(1, 2, 3);
  const plaintext = new Uint8Array(32).fill(5);

  test("two seals of the same differ, and both open", () => {
    const first = sealed(suite, publicKey, info, plaintext);
    const second = sealed(suite, publicKey, info, plaintext);
    expect(first).not.toEqual(second);
    for (const each of [first, second]) expect(hpkeOpen(suite, keyPair, info, each)).toEqual(plaintext);
  });

  test("a flipped bit in any byte, other info, other aad, another key and every shorter length are refused", () => {
    const good = sealed(suite, publicKey, info, plaintext);
    const opened = (bytes: Uint8Array, key = keyPair, withInfo = info, aad?: Uint8Array) => hpkeOpen(suite, key, withInfo, bytes, aad);
    for (let at = 0; at < good.length; at++) {
      const flipped = good.slice();
      flipped[at] = (good[at] ?? 0) ^ (1 << (at & 7));
      expect(opened(flipped), `byte ${at}`).toBeUndefined();
    }
    for (let length = 0; length < good.length; length++) expect(opened(good.subarray(0, length)), `${length} bytes`).toBeUndefined();
    expect(opened(good, suite.kem.keyPair(new Uint8Array(32).fill(8)))).toBeUndefined();
    expect(opened(good, keyPair, Uint8Array.of(1, 2))).toBeUndefined();
    expect(opened(good, keyPair, info, Uint8Array.of(0))).toBeUndefined();
  });

  test("a public key of small order is refused on both sides", () => {
    const good = sealed(suite, publicKey, info, plaintext);
    for (const point of SMALL_ORDER) {
      expect(hpkeSeal(suite, hex(point), info, plaintext), point).toBeUndefined();
      const planted = good.slice();
      planted.set(hex(point));
      expect(hpkeOpen(suite, keyPair, info, planted), point).toBeUndefined();
    }
  });
});

interface Encryption {
  readonly pt: string;
  readonly aad: string;
  readonly nonce: string;
  readonly ct: string;
}

interface Setup {
  readonly info: string;
  readonly skRm: string;
  readonly pkRm: string;
  readonly enc: string;
  readonly shared_secret: string;
  readonly key: string;
  readonly base_nonce: string;
  readonly encryptions: readonly Encryption[];
}

interface RfcSetup extends Setup {
  readonly mode: string;
  readonly kem_id: string;
  readonly kdf_id: string;
  readonly aead_id: string;
  readonly skEm: string;
}

interface PqSetup extends Setup {
  readonly kem_id: number;
  readonly kdf_id: number;
  readonly aead_id: number;
  readonly ikmE: string;
}

/** Each step on its own, then the first message in one go: the only one that a single shot has. */
function expectSetup(suite: HpkeSuite, setup: Setup): void {
  const { kem, aead } = suite;
  const [publicKey, info] = [hex(setup.pkRm), hex(setup.info)];
  const keyPair = kem.keyPair(hex(setup.skRm));
  const { key, baseNonce } = keySchedule(suite, hex(setup.shared_secret), info);
  const encapsulated = kem.encapsulate(publicKey) ?? expect.unreachable();
  expect(toHex(encapsulated.enc)).toBe(setup.enc);
  expect(toHex(encapsulated.sharedSecret)).toBe(setup.shared_secret);
  expect(toHex(keyPair.publicKey)).toBe(setup.pkRm);
  expect(toHex(keyPair.decapsulate(hex(setup.enc)) ?? expect.unreachable())).toBe(setup.shared_secret);
  expect(toHex(key)).toBe(setup.key);
  expect(toHex(baseNonce)).toBe(setup.base_nonce);
  for (const { pt, aad, nonce, ct } of setup.encryptions) {
    expect(toHex(aead.seal(key, hex(nonce), hex(aad), hex(pt)))).toBe(ct);
    expect(aead.open(key, hex(nonce), hex(aad), hex(ct))).toEqual(hex(pt));
  }
  const first = setup.encryptions[0] ?? expect.unreachable();
  const shot = hex(setup.enc + first.ct);
  expect(hpkeSeal(suite, publicKey, info, hex(first.pt), hex(first.aad))).toEqual(shot);
  expect(hpkeOpen(suite, keyPair, info, shot, hex(first.aad))).toEqual(hex(first.pt));
}

function sealed(suite: HpkeSuite, publicKey: Uint8Array, info: Uint8Array, plaintext: Uint8Array): Uint8Array {
  return hpkeSeal(suite, publicKey, info, plaintext) ?? expect.unreachable();
}

function suiteOf(kem: Kem, { kdf_id, aead_id }: { readonly kdf_id: string | number; readonly aead_id: string | number }): HpkeSuite {
  const kdf = KDFS.find(({ id }) => id === Number(kdf_id)) ?? expect.unreachable();
  const aead = AEADS.find(({ id }) => id === Number(aead_id)) ?? expect.unreachable();
  return { kem, kdf, aead };
}

function rfcKem(id: string, ephemeral: Uint8Array): Kem {
  if (id === "32") return dhKem(withEphemeral(X25519_GROUP, ephemeral));
  if (id === "16")
    return dhKem(withEphemeral(nistGroup(p256, { id: 16, hash: "sha256", fieldBytes: 32, sharedSecretBytes: 32 }), ephemeral));
  return dhKem(withEphemeral(nistGroup(p521, { id: 18, hash: "sha512", fieldBytes: 66, sharedSecretBytes: 64 }), ephemeral));
}

function withEphemeral(group: DhGroup, secretKey: Uint8Array): DhGroup {
  return { ...group, keyPair: (given = secretKey) => group.keyPair(given) };
}

/** RFC 9180 §7.1: public keys are uncompressed points, the secret is the x-coordinate. */
function nistGroup(
  curve: typeof p256,
  { fieldBytes, ...facts }: Pick<DhGroup, "id" | "hash" | "sharedSecretBytes"> & { readonly fieldBytes: number },
): DhGroup {
  return {
    ...facts,
    publicKeyBytes: 1 + 2 * fieldBytes,
    keyPair: (secretKey = curve.utils.randomSecretKey()) => ({
      publicKey: curve.getPublicKey(secretKey, false),
      sharedSecret: (publicKey) => curve.getSharedSecret(secretKey, publicKey).slice(1, 1 + fieldBytes),
    }),
  };
}

const CHACHA20_POLY1305: HpkeAead = {
  id: 3,
  keyBytes: 32,
  seal: (key, nonce, aad, plaintext) => chacha20poly1305(key, nonce, aad).encrypt(plaintext),
  open: (key, nonce, aad, ciphertext) => ownedBytes(chacha20poly1305(key, nonce, aad).decrypt(ciphertext)),
};
const AEADS: readonly HpkeAead[] = [aesGcm(1, 16), AES_256_GCM, CHACHA20_POLY1305];
const KDFS: readonly HpkeKdf[] = [HKDF_SHA256, { id: 3, hash: "sha512" }];
const EXPORT_ONLY = "65535";
const SHAKE256 = 0x0011;

// RFC 7748 §6.1 asks for the check; these are the points of order 1, 2, 4 and 8, canonical and not.
const SMALL_ORDER: readonly string[] = [
  "0000000000000000000000000000000000000000000000000000000000000000",
  "0100000000000000000000000000000000000000000000000000000000000000",
  "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
  "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
];
