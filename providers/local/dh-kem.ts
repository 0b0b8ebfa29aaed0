import { engine } from "#engine";
import { ascii, concatBytes, wipe } from "../../src/core/base/bytes.ts";
import type { HmacHash } from "../../src/core/crypto/engine/engine.ts";
import { type Kem, type LabelScope, labeledExpand, labeledExtract, uint16 } from "./hpke.ts";

/** The parts of a Diffie-Hellman group that DHKEM needs: RFC 9180 §4.1, §7.1. */
export interface DhGroup {
  readonly id: number;
  readonly hash: HmacHash;
  readonly publicKeyBytes: number;
  readonly sharedSecretBytes: number;
  /** Returns the pair of a secret key, or a new one. */
  keyPair(secretKey?: Uint8Array): DhKeyPair;
}

export interface DhKeyPair {
  readonly publicKey: Uint8Array;
  /** Returns undefined for a malformed public key, or one that gives an all-zero secret (RFC 9180 §7.1.4). */
  sharedSecret(publicKey: Uint8Array): Uint8Array | undefined;
}

/** DHKEM of RFC 9180 §4.1 over a group. */
export function dhKem(group: DhGroup): Kem {
  const agree = (own: DhKeyPair, peer: Uint8Array, context: Uint8Array): Uint8Array | undefined => {
    const dh = own.sharedSecret(peer);
    return dh && dhKemSecret(group, dh, context);
  };

  return {
    id: group.id,
    encBytes: group.publicKeyBytes,
    encapsulate(publicKey) {
      const ephemeral = group.keyPair();
      const enc = ephemeral.publicKey;
      const sharedSecret = agree(ephemeral, publicKey, concatBytes(enc, publicKey));
      return sharedSecret && { sharedSecret, enc };
    },
    keyPair(secretKey) {
      const own = group.keyPair(secretKey);
      const { publicKey } = own;
      return { publicKey, decapsulate: (enc) => agree(own, enc, concatBytes(enc, publicKey)) };
    },
  };
}

/** ExtractAndExpand of RFC 9180 §4.1. @param dh the result of the group, which it wipes @param context `enc | public key` */
export function dhKemSecret({ id, hash, sharedSecretBytes }: DhGroup, dh: Uint8Array, context: Uint8Array): Uint8Array {
  const label: LabelScope = { hash, suiteId: concatBytes(ascii("KEM"), uint16(id)) };
  const prk = labeledExtract(label, NOTHING, "eae_prk", dh);
  const sharedSecret = labeledExpand(label, prk, "shared_secret", context, sharedSecretBytes);
  wipe(dh, prk);
  return sharedSecret;
}

const NOTHING: Uint8Array = new Uint8Array(0);

export const X25519_GROUP: DhGroup = {
  id: 0x0020,
  hash: "sha256",
  publicKeyBytes: 32,
  sharedSecretBytes: 32,
  keyPair: (secretKey) => engine.x25519.keyPair(secretKey),
};
