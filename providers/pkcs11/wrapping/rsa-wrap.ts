import { copyOf, type OwnedBytes, toBase64Url, wipe } from "../../../src/core/base/bytes.ts";
import { EnvelockError } from "../../../src/core/base/errors.ts";
import type { RsaPublicKey } from "../session/session.ts";

/** RSA-OAEP in this process, with SHA-256 or SHA-1 for hash and mask alike, which the token alone can undo. */
export async function wrapWithRsa({ modulus, exponent }: RsaPublicKey, isSha256: boolean, dek: Uint8Array): Promise<OwnedBytes> {
  const secret = copyOf(dek); // the caller may wipe its own once it stops waiting
  const hash = isSha256 ? "SHA-256" : "SHA-1";
  const jwk = { kty: "RSA", n: toBase64Url(modulus), e: toBase64Url(exponent), ext: true };
  try {
    const key = await crypto.subtle.importKey("jwk", jwk, { name: "RSA-OAEP", hash }, false, ["encrypt"]);
    return new Uint8Array(await crypto.subtle.encrypt("RSA-OAEP", key, secret));
  } catch (cause) {
    throw new EnvelockError("provider-failure", "the token's public key could not be used in this process", {
      cause,
      detail: "no-public-key",
    });
  } finally {
    wipe(secret);
  }
}
