import { copyOf, fromBase64Url, isBytes, type OwnedBytes } from "../../src/core/base/bytes.ts";
import { EnvelockError, invalidArgument } from "../../src/core/base/errors.ts";
import { hintOnForm, hintOnLength } from "./key-hints.ts";

/**
 * A key as raw bytes, as a KeyObject of node:crypto, as a CryptoKey of WebCrypto, or as a JWK. Bytes are copied at once, an extractable
 * CryptoKey at the first use. A CryptoKey that is not extractable is used where it is: docs/providers/local.md says which ones serve.
 */
export type LocalKeyMaterial = Uint8Array | KeyObjectLike | CryptoKeyLike | LocalJwk;

/** The members of a KeyObject that are read, so that no type of node:crypto is needed. */
export interface KeyObjectLike {
  readonly type: string;
  export(options: { readonly format: "jwk" }): LocalJwk;
}

/** The members that tell a CryptoKey, so that no type of the DOM is needed. */
export interface CryptoKeyLike {
  readonly type: string;
  readonly extractable: boolean;
}

/** The members of a JWK (RFC 7517) that are read; others are ignored. Bytes are base64url without padding. */
export interface LocalJwk {
  readonly kty?: string;
  readonly crv?: string;
  readonly alg?: string;
  readonly k?: string;
  readonly x?: string;
  readonly d?: string;
  readonly pub?: string;
  readonly priv?: string;
}

/** The bytes that are wanted, and where a JWK keeps them. */
export interface KeyShape {
  readonly what: string;
  readonly bytes: number;
  readonly kty: string;
  /** The member that says more than `kty`, and what it must say. */
  readonly kind?: { readonly member: "crv" | "alg"; readonly value: string };
  readonly member: "k" | "x" | "d" | "pub" | "priv";
}

/** Key bytes at hand, or a way to ask WebCrypto for them. */
export type KeyBytes = OwnedBytes | (() => Promise<OwnedBytes>);

/**
 * Returns the bytes of a key in any of its forms, always a copy.
 *
 * @throws `invalid-argument` for another form, kind or length, or a CryptoKey that is not extractable; the promise as well
 */
export function keyBytes(material: LocalKeyMaterial, shape: KeyShape): KeyBytes {
  if (isBytes(material)) return copyOf(checkedLength(material, shape));
  if (typeof material !== "object" || material === null || material instanceof ArrayBuffer) {
    const message = `${shape.what} must be ${shape.bytes} bytes, a KeyObject, a CryptoKey or a JWK`;
    throw invalidArgument(message, hintOnForm(material, shape.bytes));
  }
  if (isCryptoKey(material)) return extractable(material, shape);
  return jwkBytes(isKeyObject(material) ? exported(material, shape) : material, shape);
}

/** Returns the bytes that a JWK holds. @throws `invalid-argument` */
export function jwkBytes(jwk: LocalJwk, shape: KeyShape): OwnedBytes {
  const { what, kty, kind, member } = shape;
  if (jwk.kty !== kty) throw invalidArgument(`${what} as JWK has kty "${kty}"`);
  if (kind !== undefined && jwk[kind.member] !== kind.value) throw invalidArgument(`${what} as JWK has ${kind.member} "${kind.value}"`);
  const text = jwk[member];
  const bytes = typeof text === "string" ? fromBase64Url(text) : undefined;
  if (bytes === undefined) throw invalidArgument(`${what} as JWK has "${member}" in base64url without padding`);
  return checkedLength(bytes, shape);
}

export function isCryptoKey(material: unknown): material is CryptoKeyLike {
  return typeof material === "object" && material !== null && "extractable" in material && "algorithm" in material;
}

function isKeyObject(material: object): material is KeyObjectLike {
  return "export" in material && typeof material.export === "function";
}

function extractable(key: CryptoKeyLike, shape: KeyShape): () => Promise<OwnedBytes> {
  if (!(key instanceof CryptoKey)) throw invalidArgument(`${shape.what} looks like a CryptoKey but is none of this runtime's`);
  if (!key.extractable) {
    throw invalidArgument(
      `${shape.what} came as a CryptoKey that is not extractable`,
      "import or generate it with extractable: true: it is no secret",
    );
  }
  return async () => {
    const jwk = await crypto.subtle.exportKey("jwk", key).catch((cause: unknown) => {
      throw unusable(shape, cause);
    });
    return jwkBytes(jwk, shape);
  };
}

function exported(key: KeyObjectLike, shape: KeyShape): LocalJwk {
  try {
    return key.export({ format: "jwk" });
  } catch (cause) {
    throw unusable(shape, cause);
  }
}

function unusable({ what }: KeyShape, cause: unknown): EnvelockError {
  return new EnvelockError("invalid-argument", `${what} could not be exported`, { cause });
}

function checkedLength<Bytes extends Uint8Array>(bytes: Bytes, { what, bytes: expected }: KeyShape): Bytes {
  if (bytes.length !== expected)
    throw invalidArgument(`${what} has ${expected} bytes, ${bytes.length} were given`, hintOnLength(bytes, expected));
  return bytes;
}
