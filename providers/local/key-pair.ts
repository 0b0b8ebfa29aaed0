import { refuseUnknown } from "../../src/core/base/options.ts";
import { WRAP_ALGORITHMS } from "../../src/core/contracts/algorithms.ts";
import type { KeyProvider } from "../../src/core/contracts/key-provider.ts";
import { dhKem, X25519_GROUP } from "./dh-kem.ts";
import { HELD_X25519 } from "./held-x25519.ts";
import { AES_256_GCM, HKDF_SHA256, type HpkeSuite } from "./hpke.ts";
import {
  hpkeKekSource,
  KEY_PAIR_OPTIONS,
  KEY_PAIRS_OPTIONS,
  type KeyPairShapes,
  type LocalKeyPairOptions,
  type LocalKeyPairsOptions,
} from "./hpke-kek.ts";
import { keysOf, localProvider } from "./local-provider.ts";

/**
 * An X25519 key pair as KEK: HPKE in base mode. The public key alone wraps, so a writer need not be able to read.
 * A holder of the public key can wrap a data key of its own: an envelope says nothing about its writer.
 *
 * Keys are 32 bytes each, as JWK with kty `OKP` and crv `X25519`.
 *
 * @throws `invalid-argument` for a bad key id or key, or keys that do not belong together; from the first use if a key is a CryptoKey
 * @see docs/providers/local.md
 * @example
 * ```ts
 * import { Keyring } from "envelock";
 * import { localKeyPair } from "envelock/providers/local";
 *
 * // A writer that cannot read: the public key alone wraps.
 * export function writer(publicKey: Uint8Array): Keyring {
 *   return new Keyring(localKeyPair({ keyId: "inbox-1", publicKey }));
 * }
 * ```
 */
export function localKeyPair(options: LocalKeyPairOptions): Required<KeyProvider> {
  refuseUnknown(options, KEY_PAIR_OPTIONS, "localKeyPair");
  return localKeyPairs({ keyPairs: [options], primary: options.keyId });
}

/**
 * Like `localKeyPair`, with several versions: the primary's public key wraps, every private key that is there unwraps what names it.
 *
 * @throws as `localKeyPair`, and for equal key ids or a primary that is none of them
 * @example
 * ```ts
 * import { type LocalKeyPairOptions, localKeyPairs } from "envelock/providers/local";
 *
 * export function rotated(old: LocalKeyPairOptions, next: LocalKeyPairOptions) {
 *   return localKeyPairs({ primary: next.keyId, keyPairs: [old, next] });
 * }
 * ```
 */
export function localKeyPairs(options: LocalKeyPairsOptions): Required<KeyProvider> {
  refuseUnknown(options, KEY_PAIRS_OPTIONS, "localKeyPairs");
  const { keyPairs, primary } = options;
  const versions = keysOf(keyPairs, KEY_PAIR_OPTIONS, "localKeyPairs").map((pair) => ({
    keyId: pair.keyId,
    kek: hpkeKekSource(pair, HELD_KEYS, X25519_SUITE),
  }));
  return localProvider({ alg: WRAP_ALGORITHMS.hpkeX25519, versions, primary });
}

export const X25519_KEYS: KeyPairShapes = {
  publicKey: { what: "an X25519 public key", bytes: 32, kty: "OKP", kind: { member: "crv", value: "X25519" }, member: "x" },
  privateKey: { what: "an X25519 private key", bytes: 32, kty: "OKP", kind: { member: "crv", value: "X25519" }, member: "d" },
};

const HELD_KEYS: KeyPairShapes = { ...X25519_KEYS, held: HELD_X25519 };
const X25519_SUITE: HpkeSuite = { kem: dhKem(X25519_GROUP), kdf: HKDF_SHA256, aead: AES_256_GCM };
