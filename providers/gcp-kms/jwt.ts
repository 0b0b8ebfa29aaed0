import { toBase64Url, utf8 } from "../../src/core/base/bytes.ts";
import { invalidArgument } from "../../src/core/base/errors.ts";

/** A JWT signed by RS256. RFC 7519, RFC 7518 §3.3 @throws `invalid-argument` if the key is no RSA key */
export async function signedJwt(pkcs8: Uint8Array<ArrayBuffer>, header: object, claims: object): Promise<string> {
  const signed = [{ alg: "RS256", typ: "JWT", ...header }, claims].map((part) => toBase64Url(utf8(JSON.stringify(part)))).join(".");
  const signature = await crypto.subtle.sign(RS256.name, await signingKey(pkcs8), utf8(signed));
  return `${signed}.${toBase64Url(new Uint8Array(signature))}`;
}

async function signingKey(pkcs8: Uint8Array<ArrayBuffer>): ReturnType<typeof crypto.subtle.importKey> {
  try {
    return await crypto.subtle.importKey("pkcs8", pkcs8, RS256, false, ["sign"]);
  } catch {
    throw invalidArgument("the private key of the service account is no RSA key");
  }
}

const RS256 = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" };
