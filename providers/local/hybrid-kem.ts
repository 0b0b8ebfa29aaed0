import { engine } from "#engine";
import { EnvelockError } from "../../src/core/base/errors.ts";
import type { Kem } from "./hpke.ts";

/** The functions of `@noble/post-quantum/hybrid.js` that are used. */
export interface HybridPeer {
  readonly ml_kem768_x25519: {
    getPublicKey(seed: Uint8Array): Uint8Array;
    encapsulate(publicKey: Uint8Array, randomness?: Uint8Array): { readonly cipherText: Uint8Array; readonly sharedSecret: Uint8Array };
    decapsulate(cipherText: Uint8Array, seed: Uint8Array): Uint8Array;
  };
}

/**
 * MLKEM768-X25519, KEM 0x647a of draft-ietf-hpke-pq: the secret key is a seed of 32 bytes, `enc` has 1120, the public key 1216.
 * Loads the optional peer when first asked.
 *
 * @throws `provider-failure` if the peer is not installed
 */
export async function loadHybridKem(): Promise<Kem> {
  return hybridKem(await loadPeer());
}

/** @param randomKey where the 64 bytes of each encapsulation come from */
export function hybridKem({ ml_kem768_x25519: peer }: HybridPeer, randomKey: (bytes: number) => Uint8Array = engine.randomKey): Kem {
  return {
    id: 0x647a,
    encBytes: 1120,
    keyPair: (seed) => ({
      publicKey: peer.getPublicKey(seed),
      decapsulate: (enc) => accepted(() => peer.decapsulate(enc, seed)),
    }),
    encapsulate(publicKey) {
      const encapsulated = accepted(() => peer.encapsulate(publicKey, randomKey(64)));
      return encapsulated && { sharedSecret: encapsulated.sharedSecret, enc: encapsulated.cipherText };
    },
  };
}

async function loadPeer(): Promise<HybridPeer> {
  try {
    return await import("@noble/post-quantum/hybrid.js"); // inside `try`, or bundlers refuse a package that is not there
  } catch (cause) {
    throw new EnvelockError("provider-failure", "MLKEM768-X25519 needs the package @noble/post-quantum, which did not load", {
      cause,
      hint: "npm install @noble/post-quantum",
    });
  }
}

/** The peer throws for keys and ciphertexts outside the encoding; lengths were checked before. */
function accepted<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}
