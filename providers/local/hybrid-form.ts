import type { KeyPairShapes } from "./hpke-kek.ts";

/** The keys of MLKEM768-X25519, as bytes and as JWK. Apart from the code that needs the optional package. */
export const HYBRID_KEYS: KeyPairShapes = {
  publicKey: {
    what: "an MLKEM768-X25519 public key",
    bytes: 1216,
    kty: "AKP",
    kind: { member: "alg", value: "MLKEM768-X25519" },
    member: "pub",
  },
  privateKey: {
    what: "an MLKEM768-X25519 private key",
    bytes: 32,
    kty: "AKP",
    kind: { member: "alg", value: "MLKEM768-X25519" },
    member: "priv",
  },
};
