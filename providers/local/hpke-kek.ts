import { copyOf, equalPublicBytes, isBytes, wipe } from "../../src/core/base/bytes.ts";
import { EnvelockError, invalidArgument } from "../../src/core/base/errors.ts";
import type { OptionNames } from "../../src/core/base/options.ts";
import { PUBLIC_HALF_ALONE } from "../../src/core/contracts/key-provider.ts";
import { DATA_KEY_BYTES, TAG_BYTES } from "../../src/core/contracts/suite.ts";
import { type HeldKey, type HeldKeyKind, heldKey } from "./held-keys.ts";
import { type HpkeSuite, hpkeOpen, hpkeOpenUnder, hpkeSeal } from "./hpke.ts";
import { type KeyBytes, type KeyShape, keyBytes, type LocalKeyMaterial } from "./key-forms.ts";
import { type Kek, type KekSource, lazyKek, readyKek } from "./local-provider.ts";

export interface LocalKeyPairOptions {
  /** Names this exact key pair for ever. 1 to 512 bytes of well-formed text. */
  readonly keyId: string;
  /** Wraps. */
  readonly publicKey: LocalKeyMaterial;
  /** Unwraps. Without it, `unwrap` throws `unwrap-rejected`. */
  readonly privateKey?: LocalKeyMaterial;
}

export interface LocalKeyPairsOptions {
  readonly keyPairs: readonly LocalKeyPairOptions[];
  /** The key id of the pair that wraps; the others only unwrap. */
  readonly primary: string;
}

/** A private key that WebCrypto holds and does not give away. */
export interface HeldKeyPair {
  readonly publicKey: Uint8Array;
  /** Returns the shared secret, the caller's to wipe, or undefined if `enc` is refused. */
  decapsulate(enc: Uint8Array): Promise<Uint8Array | undefined>;
}

/** What makes a key pair of a CryptoKey that is not extractable. */
export interface HeldKeyPairs {
  readonly kind: HeldKeyKind;
  pairOf(privateKey: HeldKey): Promise<HeldKeyPair>;
}

export interface KeyPairShapes {
  readonly publicKey: KeyShape;
  readonly privateKey: KeyShape;
  /** Left out if WebCrypto has no such keys. */
  readonly held?: HeldKeyPairs;
}

/** A key pair as a KEK: at once if its bytes and its suite are at hand, else at first use. */
export function hpkeKekSource(
  { publicKey, privateKey }: LocalKeyPairOptions,
  shapes: KeyPairShapes,
  suite: HpkeSuite | (() => Promise<HpkeSuite>),
): KekSource {
  const publicBytes = keyBytes(publicKey, shapes.publicKey);
  const held = privateKey === undefined ? undefined : heldKey(privateKey, shapes.privateKey, shapes.held?.kind);
  if (held !== undefined && shapes.held !== undefined && typeof suite !== "function") {
    const { held: pairs } = shapes;
    return lazyKek(async () => heldHpkeKek(suite, await loaded(publicBytes), await pairs.pairOf(held)));
  }
  const secret = privateKey === undefined ? undefined : keyBytes(privateKey, shapes.privateKey);
  if (typeof suite !== "function" && typeof publicBytes !== "function" && typeof secret !== "function") {
    return readyKek(hpkeKek(suite, publicBytes, secret));
  }
  const load = async (): Promise<Kek> => {
    const loadedSuite = typeof suite === "function" ? await suite() : suite;
    return hpkeKek(loadedSuite, await loaded(publicBytes), secret && (await loaded(secret)));
  };
  return lazyKek(load, isBytes(secret) ? secret : undefined);
}

// docs/format.md §3, alg 4 and 5: `enc | ct 48`, info = wrap AAD, HPKE's own aad empty
function hpkeKek(suite: HpkeSuite, publicKey: Uint8Array, secretKey: Uint8Array | undefined): Kek {
  const keyPair = secretKey && suite.kem.keyPair(secretKey);
  if (keyPair !== undefined) requireHalves(keyPair.publicKey, publicKey);
  return {
    isInstant: true,
    wrap: (dek, aad) => wrapped(suite, publicKey, aad, dek),
    unwrap(wrapped, aad) {
      if (keyPair === undefined) throw publicKeyAlone();
      if (wrapped.length !== suite.kem.encBytes + SEALED_DEK_BYTES) return undefined;
      return hpkeOpen(suite, keyPair, aad, wrapped);
    },
    destroy: () => wipe(secretKey),
  };
}

/** Does the same with a private key that only WebCrypto can use. */
function heldHpkeKek(suite: HpkeSuite, publicKey: Uint8Array, keyPair: HeldKeyPair): Kek {
  requireHalves(keyPair.publicKey, publicKey);
  const { encBytes } = suite.kem;
  return {
    isInstant: false,
    wrap: (dek, aad) => wrapped(suite, publicKey, aad, dek),
    async unwrap(given, aad) {
      if (given.length !== encBytes + SEALED_DEK_BYTES) return undefined;
      const sealed = copyOf(given);
      const sharedSecret = await keyPair.decapsulate(sealed.subarray(0, encBytes));
      return sharedSecret && hpkeOpenUnder(suite, sharedSecret, aad, sealed);
    },
    destroy: () => undefined,
  };
}

function wrapped(suite: HpkeSuite, publicKey: Uint8Array, aad: Uint8Array, dek: Uint8Array): Uint8Array {
  const sealed = hpkeSeal(suite, publicKey, aad, dek);
  if (sealed === undefined) throw invalidArgument("nothing can be wrapped under this public key: it is malformed or of small order");
  return sealed;
}

/** @throws `invalid-argument` */
function requireHalves(own: Uint8Array, publicKey: Uint8Array): void {
  if (!equalPublicBytes(own, publicKey)) throw invalidArgument("the private key does not belong to the public key");
}

function publicKeyAlone(): EnvelockError {
  return new EnvelockError("unwrap-rejected", "the key is configured by its public half alone, which only wraps", {
    detail: PUBLIC_HALF_ALONE,
    hint: "give privateKey where data is decrypted",
  });
}

async function loaded(bytes: KeyBytes): Promise<Uint8Array> {
  return typeof bytes === "function" ? await bytes() : bytes;
}

export const KEY_PAIR_OPTIONS: OptionNames<LocalKeyPairOptions> = { keyId: true, publicKey: true, privateKey: true };
export const KEY_PAIRS_OPTIONS: OptionNames<LocalKeyPairsOptions> = { keyPairs: true, primary: true };
const SEALED_DEK_BYTES: number = DATA_KEY_BYTES + TAG_BYTES;
