import { engine } from "#engine";
import { ascii, concatBytes, type OwnedBytes, wipe } from "../../src/bytes.ts";
import type { HmacHash } from "../../src/crypto/engine/engine.ts";
import { type Kem, type LabelScope, labeledExpand, labeledExtract, uint16 } from "./hpke.ts";

/** What DHKEM needs of a Diffie-Hellman group: RFC 9180 §4.1, §7.1. */
export interface DhGroup {
  readonly id: number;
  readonly hash: HmacHash;
  readonly publicKeyBytes: number;
  readonly sharedSecretBytes: number;
  ephemeralSecretKey(): Uint8Array;
  publicKey(secretKey: Uint8Array): OwnedBytes;
  /** Undefined for a public key that is no good, or gives an all-zero secret (RFC 9180 §7.1.4). */
  sharedSecret(secretKey: Uint8Array, publicKey: Uint8Array): Uint8Array | undefined;
}

/** DHKEM of RFC 9180 §4.1 over a group. */
export function dhKem(group: DhGroup): Kem {
  const label: LabelScope = { hash: group.hash, suiteId: concatBytes(ascii("KEM"), uint16(group.id)) };

  const agree = (secretKey: Uint8Array, peer: Uint8Array, enc: Uint8Array, recipient: Uint8Array): Uint8Array | undefined => {
    const dh = group.sharedSecret(secretKey, peer);
    if (dh === undefined) return undefined;
    const prk = labeledExtract(label, NOTHING, "eae_prk", dh);
    const sharedSecret = labeledExpand(label, prk, "shared_secret", concatBytes(enc, recipient), group.sharedSecretBytes);
    wipe(dh, prk);
    return sharedSecret;
  };

  return {
    id: group.id,
    encBytes: group.publicKeyBytes,
    publicKey: group.publicKey,
    encapsulate(publicKey) {
      const secretKey = group.ephemeralSecretKey();
      const enc = group.publicKey(secretKey);
      const sharedSecret = agree(secretKey, publicKey, enc, publicKey);
      wipe(secretKey);
      return sharedSecret && { sharedSecret, enc };
    },
    decapsulate: (enc, secretKey, publicKey) => agree(secretKey, enc, enc, publicKey),
  };
}

const NOTHING: Uint8Array = new Uint8Array(0);

export const X25519_GROUP: DhGroup = {
  id: 0x0020,
  hash: "sha256",
  publicKeyBytes: 32,
  sharedSecretBytes: 32,
  ephemeralSecretKey: () => engine.randomKey(32),
  publicKey: (secretKey) => engine.x25519.publicKey(secretKey),
  sharedSecret: (secretKey, publicKey) => engine.x25519.sharedSecret(secretKey, publicKey),
};
