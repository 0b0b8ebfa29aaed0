import { concatBytes, copyOf } from "../../src/core/base/bytes.ts";
import { invalidArgument } from "../../src/core/base/errors.ts";
import { dhKemSecret, X25519_GROUP } from "./dh-kem.ts";
import type { HeldKeyPairs } from "./hpke-kek.ts";

/** X25519 private keys that WebCrypto holds: it agrees with them, and gives nothing else. */
export const HELD_X25519: HeldKeyPairs = {
  kind: {
    algorithm: "X25519",
    type: "private",
    usages: ["deriveBits"],
    hint: 'crypto.subtle.importKey("jwk", jwk, "X25519", false, ["deriveBits"]), or generateKey("X25519", false, ["deriveBits"])',
  },
  async pairOf(privateKey) {
    const publicKey = await agreed(privateKey, BASE_POINT);
    if (publicKey === undefined) throw invalidArgument("the private key has no public key");
    return {
      publicKey,
      async decapsulate(enc) {
        const dh = await agreed(privateKey, enc);
        return dh && dhKemSecret(X25519_GROUP, dh, concatBytes(enc, publicKey));
      },
    };
  },
};

/** Returns the shared secret, or undefined for a public key of small order, which gives zeros (RFC 7748 §6.1). */
async function agreed(privateKey: CryptoKey, publicBytes: Uint8Array): Promise<Uint8Array | undefined> {
  const publicKey = await crypto.subtle.importKey("raw", copyOf(publicBytes), "X25519", true, []);
  const secret = await crypto.subtle.deriveBits({ name: "X25519", public: publicKey }, privateKey, 256).catch((error: unknown) => {
    if (error instanceof DOMException && error.name === "OperationError") return undefined;
    throw error;
  });
  if (secret === undefined) return undefined;
  const bytes = new Uint8Array(secret);
  let any = 0;
  for (const byte of bytes) any |= byte; // no branch on the secret
  return any === 0 ? undefined : bytes;
}

const BASE_POINT: Uint8Array = Uint8Array.of(9, ...new Uint8Array(31));
