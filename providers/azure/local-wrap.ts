import { copyOf, type OwnedBytes, toBase64Url, wipe } from "../../src/core/base/bytes.ts";
import { EnvelockError } from "../../src/core/base/errors.ts";
import type { KeyVersion } from "./sdk/key-vault.ts";

/** Wraps under the public half of a version, with RSA-OAEP-256, which only the service can undo. */
export class LocalWrap {
  readonly #keys: WeakMap<KeyVersion, Promise<CryptoKey>> = new WeakMap();

  /** @throws `provider-failure` if the service shows no usable public key */
  async wrap(version: KeyVersion, dek: Uint8Array): Promise<OwnedBytes> {
    const secret = copyOf(dek); // a copy, because the caller may wipe its own once it stops waiting
    try {
      const key = this.#keys.get(version) ?? importKey(version);
      this.#keys.set(version, key);
      return new Uint8Array(await crypto.subtle.encrypt("RSA-OAEP", await key, secret));
    } finally {
      wipe(secret);
    }
  }
}

async function importKey({ publicKey, keyType }: KeyVersion): Promise<CryptoKey> {
  if (publicKey === undefined) throw noPublicKey(keyType);
  const jwk = { kty: "RSA", alg: "RSA-OAEP-256", n: toBase64Url(publicKey.n), e: toBase64Url(publicKey.e), ext: true };
  try {
    return await crypto.subtle.importKey("jwk", jwk, { name: "RSA-OAEP", hash: "SHA-256" }, false, ["encrypt"]);
  } catch (cause) {
    throw noPublicKey(keyType, cause);
  }
}

function noPublicKey(keyType: string, cause?: unknown): EnvelockError {
  return new EnvelockError("provider-failure", `a key of type ${keyType} shows no public key to wrap with`, {
    detail: "no-public-key",
    hint: 'use wrap: "remote"',
    cause,
  });
}
