import {
  constants,
  createHash,
  createPublicKey,
  type KeyObject,
  privateDecrypt,
  privateEncrypt,
  publicDecrypt,
  publicEncrypt,
  randomBytes,
  timingSafeEqual,
} from "node:crypto";
import { p256, p384, p521 } from "@noble/curves/nist.js";
import { secp256k1 } from "@noble/curves/secp256k1.js";
import { badParameter } from "./answer.ts";
import type { KeyKind } from "./key-material.ts";

// The service signs digests, which node:crypto does not: it hashes what it signs.

/** @throws Answer unless `algorithm` suits this key and `digest` suits the algorithm */
export function signDigest(kind: KeyKind, key: KeyObject, algorithm: string, digest: Buffer): Buffer {
  const { family, hash } = schemeFor(kind, algorithm, digest);
  if (family === "ES") return Buffer.from(curveOf(kind).sign(digest, secretScalar(key), AS_GIVEN));
  if (family === "RS") return privateEncrypt({ key, padding: constants.RSA_PKCS1_PADDING }, digestInfo(hash, digest));
  return privateDecrypt({ key, padding: constants.RSA_NO_PADDING }, pssEncoded(hash, digest, kind.bits));
}

/** @throws Answer unless `algorithm` suits this key and `digest` suits the algorithm */
export function verifyDigest(kind: KeyKind, key: KeyObject, algorithm: string, digest: Buffer, signature: Buffer): boolean {
  const { family, hash } = schemeFor(kind, algorithm, digest);
  const publicKey = createPublicKey(key);
  try {
    if (family === "ES") return curveOf(kind).verify(signature, digest, publicPoint(publicKey), AS_GIVEN);
    if (family === "RS") {
      return publicDecrypt({ key: publicKey, padding: constants.RSA_PKCS1_PADDING }, signature).equals(digestInfo(hash, digest));
    }
    return isPssOf(publicEncrypt({ key: publicKey, padding: constants.RSA_NO_PADDING }, signature), hash, digest);
  } catch {
    return false; // the length is wrong, or it is no signature
  }
}

interface Scheme {
  readonly family: "RS" | "PS" | "ES";
  readonly hash: Hash;
}

type Hash = "sha256" | "sha384" | "sha512";

function schemeFor({ type, curve }: KeyKind, algorithm: string, digest: Buffer): Scheme {
  const [, family, bits = ""] = /^(RS|PS|ES)(256|384|512)K?$/.exec(algorithm) ?? [];
  const hash = HASHES.find((name) => name.endsWith(bits));
  const isForKey = curve === undefined ? type.startsWith("RSA") && family !== "ES" : ES_BY_CURVE[curve] === algorithm;
  if (hash === undefined || (family !== "RS" && family !== "PS" && family !== "ES") || !isForKey) {
    throw badParameter("This key does not sign with this algorithm.");
  }
  if (digest.length !== Number(bits) / 8) throw badParameter("The digest has another length than its algorithm gives.");
  return { family, hash };
}

function digestInfo(hash: Hash, digest: Buffer): Buffer {
  return Buffer.concat([Buffer.from(DIGEST_INFO[hash], "hex"), digest]);
}

// RFC 8017 §9.1.1, with a salt as long as the digest
function pssEncoded(hash: Hash, digest: Buffer, modulusBits: number): Buffer {
  const salt = randomBytes(digest.length);
  const tag = pssTag(hash, digest, salt);
  const block = Buffer.alloc(modulusBits / 8 - tag.length - 1);
  salt.copy(block, block.length - salt.length);
  block[block.length - salt.length - 1] = 1;
  const masked = xor(block, mask(hash, tag, block.length));
  masked[0] = (masked[0] ?? 0) & 0x7f;
  return Buffer.concat([masked, tag, Buffer.of(0xbc)]);
}

// RFC 8017 §9.1.2
function isPssOf(encoded: Buffer, hash: Hash, digest: Buffer): boolean {
  const tag = encoded.subarray(-1 - digest.length, -1);
  const masked = encoded.subarray(0, -1 - digest.length);
  const block = xor(masked, mask(hash, tag, masked.length));
  block[0] = (block[0] ?? 0) & 0x7f;
  const padding = block.subarray(0, -digest.length);
  const isPadded = padding.at(-1) === 1 && padding.subarray(0, -1).every((byte) => byte === 0);
  return isPadded && encoded.at(-1) === 0xbc && timingSafeEqual(tag, pssTag(hash, digest, block.subarray(-digest.length)));
}

function pssTag(hash: Hash, digest: Buffer, salt: Buffer): Buffer {
  return createHash(hash).update(Buffer.alloc(8)).update(digest).update(salt).digest();
}

// MGF1, RFC 8017 §B.2.1
function mask(hash: Hash, seed: Buffer, length: number): Buffer {
  const blocks: Buffer[] = [];
  for (let counter = 0; blocks.length * seed.length < length; counter++) {
    blocks.push(
      createHash(hash)
        .update(seed)
        .update(Buffer.of(0, 0, 0, counter))
        .digest(),
    );
  }
  return Buffer.concat(blocks).subarray(0, length);
}

function xor(a: Buffer, b: Buffer): Buffer {
  return Buffer.from(a.map((byte, at) => byte ^ (b[at] ?? 0)));
}

function curveOf({ curve = "P-256" }: KeyKind): typeof p256 {
  return { "P-256": p256, "P-384": p384, "P-521": p521, "P-256K": secp256k1 }[curve];
}

function secretScalar(key: KeyObject): Buffer {
  return Buffer.from(key.export({ format: "jwk" }).d ?? "", "base64url");
}

function publicPoint(key: KeyObject): Buffer {
  const { x = "", y = "" } = key.export({ format: "jwk" });
  return Buffer.concat([Buffer.of(4), Buffer.from(x, "base64url"), Buffer.from(y, "base64url")]);
}

const AS_GIVEN = { prehash: false, lowS: false } as const;
const HASHES = ["sha256", "sha384", "sha512"] as const;
const ES_BY_CURVE = { "P-256": "ES256", "P-384": "ES384", "P-521": "ES512", "P-256K": "ES256K" } as const;
// RFC 8017 §9.2, note 1
const DIGEST_INFO: Readonly<Record<Hash, string>> = {
  sha256: "3031300d060960864801650304020105000420",
  sha384: "3041300d060960864801650304020205000430",
  sha512: "3051300d060960864801650304020305000440",
};
