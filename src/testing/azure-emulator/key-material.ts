import { createPrivateKey, generateKeyPair, type KeyObject, randomBytes } from "node:crypto";
import { promisify } from "node:util";
import { badParameter } from "./answer.ts";
import type { JsonFields } from "./json-fields.ts";

export type KeyType = "RSA" | "RSA-HSM" | "EC" | "EC-HSM" | "oct" | "oct-HSM";
export type Curve = "P-256" | "P-384" | "P-521" | "P-256K";

/** Type and size of a key, which never change. */
export interface KeyKind {
  readonly type: KeyType;
  /** The bits of an RSA modulus or of an oct key; for an EC key the curve decides. */
  readonly bits: number;
  readonly curve?: Curve;
}

/** A private key, or the bytes of an oct key. */
export type KeyMaterial = KeyObject | Buffer;

/** @throws Answer for a kind of key that the service does not make */
export function keyKind(type: string, bits?: number, curve: string = "P-256"): KeyKind {
  if (isRsa(type)) return checkedKind({ type, bits: bits ?? 2048 }, RSA_BITS);
  if (isOct(type)) return checkedKind({ type, bits: bits ?? 256 }, OCT_BITS);
  if (isEc(type) && isCurve(curve)) return { type, bits: CURVES[curve].bits, curve };
  throw badParameter(`No key is of type ${type} ${curve}.`);
}

export async function newMaterial({ type, bits, curve }: KeyKind): Promise<KeyMaterial> {
  if (isOct(type)) return randomBytes(bits / 8);
  if (curve !== undefined) return (await promisify(generateKeyPair)("ec", { namedCurve: CURVES[curve].name })).privateKey;
  return (await promisify(generateKeyPair)("rsa", { modulusLength: bits })).privateKey;
}

/**
 * A key that a client brings in the clear, as a JWK with its private part.
 *
 * @param isHsm whether it is to be kept in hardware
 * @throws Answer
 */
export function importedKey(jwk: JsonFields, isHsm: boolean): { readonly kind: KeyKind; readonly material: KeyMaterial } {
  const given = jwk.text("kty") ?? "";
  const type = isHsm && !given.endsWith("-HSM") ? `${given}-HSM` : given;
  if (isOct(type)) {
    const material = jwk.bytes("k") ?? Buffer.alloc(0);
    return { kind: keyKind(type, material.length * 8), material };
  }
  const parts = ["n", "e", "d", "p", "q", "dp", "dq", "qi", "x", "y"].flatMap((name) => {
    const bytes = jwk.bytes(name);
    return bytes === undefined ? [] : [[name, bytes.toString("base64url")]];
  });
  const crv = jwk.text("crv");
  const key = { ...Object.fromEntries(parts), kty: given.replace("-HSM", ""), ...(crv !== undefined && { crv: jwkCurve(crv) }) };
  return privateKey(type, () => createPrivateKey({ key, format: "jwk" }));
}

/** Imports an unwrapped key: PKCS#8 for RSA and EC keys, the bytes themselves for an oct key. @throws Answer */
export function unwrappedKey(type: string, bytes: Buffer): { readonly kind: KeyKind; readonly material: KeyMaterial } {
  if (isOct(type)) return { kind: keyKind(type, bytes.length * 8), material: bytes };
  return privateKey(type, () => createPrivateKey({ key: bytes, format: "der", type: "pkcs8" }));
}

/** The public members of a JWK. The types of Node have named their own in several places. */
export interface PublicJwk {
  readonly crv?: string;
  readonly n?: string;
  readonly e?: string;
  readonly x?: string;
  readonly y?: string;
}

/** The key material that `GET /keys/{name}` shows: nothing for an oct key. */
export function publicJwk({ curve }: KeyKind, material: KeyMaterial): PublicJwk {
  if (Buffer.isBuffer(material)) return {};
  const { n, e, x, y } = material.export({ format: "jwk" });
  return curve === undefined ? { ...(n && { n }), ...(e && { e }) } : { crv: curve, ...(x && { x }), ...(y && { y }) };
}

export function isRsa(type: string): type is "RSA" | "RSA-HSM" {
  return type === "RSA" || type === "RSA-HSM";
}

export function isEc(type: string): type is "EC" | "EC-HSM" {
  return type === "EC" || type === "EC-HSM";
}

export function isOct(type: string): type is "oct" | "oct-HSM" {
  return type === "oct" || type === "oct-HSM";
}

function privateKey(type: string, read: () => KeyObject): { readonly kind: KeyKind; readonly material: KeyObject } {
  const material = readOrRefuse(read);
  const { modulusLength, namedCurve } = material.asymmetricKeyDetails ?? {};
  const isOfType = isRsa(type) ? material.asymmetricKeyType === "rsa" : isEc(type) && material.asymmetricKeyType === "ec";
  if (!isOfType) throw badParameter(`The key is not of type ${type}.`);
  const curve = Object.entries(CURVES).find(([, { name }]) => name === namedCurve)?.[0];
  return { kind: keyKind(type, modulusLength, curve), material };
}

function readOrRefuse(read: () => KeyObject): KeyObject {
  try {
    return read();
  } catch {
    throw badParameter("The key is not complete.");
  }
}

function checkedKind(kind: KeyKind, sizes: readonly number[]): KeyKind {
  if (sizes.includes(kind.bits)) return kind;
  throw badParameter(`A key of type ${kind.type} has ${sizes.join(", ")} bits.`);
}

function isCurve(curve: string): curve is Curve {
  return Object.hasOwn(CURVES, curve);
}

/** The JOSE name of a curve for which the service has its own name. */
function jwkCurve(curve: string): string {
  return curve === "P-256K" ? "secp256k1" : curve;
}

const RSA_BITS = [2048, 3072, 4096];
const OCT_BITS = [128, 192, 256];
const CURVES: Readonly<Record<Curve, { readonly name: string; readonly bits: number }>> = {
  "P-256": { name: "prime256v1", bits: 256 },
  "P-384": { name: "secp384r1", bits: 384 },
  "P-521": { name: "secp521r1", bits: 521 },
  "P-256K": { name: "secp256k1", bits: 256 },
};
