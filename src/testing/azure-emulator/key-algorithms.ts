import { constants, createCipheriv, createDecipheriv, type KeyObject, privateDecrypt, publicEncrypt, randomBytes } from "node:crypto";
import { badParameter } from "./answer.ts";
import { isRsa, type KeyKind, type KeyMaterial } from "./key-material.ts";

/** The input of a request to encrypt or decrypt. */
export interface CipherInput {
  readonly algorithm: string;
  readonly value: Buffer;
  readonly start: Buffer | undefined;
  readonly aad: Buffer | undefined;
  readonly tag: Buffer | undefined;
}

export interface CipherOutput {
  readonly value: Buffer;
  /** The further inputs of a decryption with AES-GCM or AES-CBC. */
  readonly start?: Buffer;
  readonly aad?: Buffer | undefined;
  readonly tag?: Buffer;
}

/** @throws Answer for an algorithm that does not suit this key, or a value that the algorithm does not take */
export function wrapUnder(kind: KeyKind, material: KeyMaterial, algorithm: string, value: Buffer): Buffer {
  if (!Buffer.isBuffer(material)) return rsaEncrypt(kind, material, algorithm, value);
  if (value.length < 16 || value.length % 8 !== 0) throw badParameter();
  const cipher = createCipheriv(keyWrapFor(kind, algorithm), material, WRAP_START);
  return Buffer.concat([cipher.update(value), cipher.final()]);
}

/** @throws Answer also for bytes that this key did not wrap */
export function unwrapUnder(kind: KeyKind, material: KeyMaterial, algorithm: string, value: Buffer): Buffer {
  if (!Buffer.isBuffer(material)) return rsaDecrypt(kind, material, algorithm, value);
  const scheme = keyWrapFor(kind, algorithm);
  if (value.length < 24) throw badParameter();
  return orRefused(() => {
    const decipher = createDecipheriv(scheme, material, WRAP_START);
    return Buffer.concat([decipher.update(value), decipher.final()]);
  });
}

/** @throws Answer */
export function encryptUnder(kind: KeyKind, material: KeyMaterial, input: CipherInput): CipherOutput {
  const { algorithm, value, start, aad } = input;
  if (!Buffer.isBuffer(material)) return { value: rsaEncrypt(kind, material, algorithm, value) };
  const { mode, isPadded } = cipherFor(kind, algorithm);
  if (mode === "gcm") {
    if (start !== undefined) throw badParameter("The service makes the start value of AES-GCM itself.");
    const own = randomBytes(12);
    const cipher = createCipheriv(`aes-${gcmBits(kind.bits)}-gcm`, material, own).setAAD(aad ?? Buffer.alloc(0));
    const encrypted = Buffer.concat([cipher.update(value), cipher.final()]);
    return { value: encrypted, start: own, aad, tag: cipher.getAuthTag() };
  }
  if (start?.length !== 16 || (!isPadded && value.length % 16 !== 0)) throw badParameter();
  const cipher = createCipheriv(`aes-${kind.bits}-cbc`, material, start).setAutoPadding(isPadded);
  return { value: Buffer.concat([cipher.update(value), cipher.final()]), start };
}

/** @throws Answer also for bytes that this key did not encrypt */
export function decryptUnder(kind: KeyKind, material: KeyMaterial, input: CipherInput): Buffer {
  const { algorithm, value, start, aad, tag } = input;
  if (!Buffer.isBuffer(material)) return rsaDecrypt(kind, material, algorithm, value);
  const { mode, isPadded } = cipherFor(kind, algorithm);
  return orRefused(() => {
    if (mode === "gcm") {
      const decipher = createDecipheriv(`aes-${gcmBits(kind.bits)}-gcm`, material, start ?? Buffer.alloc(0));
      decipher.setAAD(aad ?? Buffer.alloc(0)).setAuthTag(tag ?? Buffer.alloc(0));
      return Buffer.concat([decipher.update(value), decipher.final()]);
    }
    const decipher = createDecipheriv(`aes-${kind.bits}-cbc`, material, start ?? Buffer.alloc(0)).setAutoPadding(isPadded);
    return Buffer.concat([decipher.update(value), decipher.final()]);
  });
}

function rsaEncrypt(kind: KeyKind, key: KeyObject, algorithm: string, value: Buffer): Buffer {
  const oaepHash = oaepHashFor(kind, algorithm);
  return orRefused(() => publicEncrypt({ key, oaepHash, padding: constants.RSA_PKCS1_OAEP_PADDING }, value));
}

function rsaDecrypt(kind: KeyKind, key: KeyObject, algorithm: string, value: Buffer): Buffer {
  const oaepHash = oaepHashFor(kind, algorithm);
  return orRefused(() => privateDecrypt({ key, oaepHash, padding: constants.RSA_PKCS1_OAEP_PADDING }, value));
}

function oaepHashFor({ type }: KeyKind, algorithm: string): "sha1" | "sha256" {
  if (isRsa(type) && algorithm === "RSA-OAEP-256") return "sha256";
  if (isRsa(type) && algorithm === "RSA-OAEP") return "sha1";
  throw badParameter("This key does not work with this algorithm.");
}

function keyWrapFor({ bits }: KeyKind, algorithm: string): string {
  if (algorithm !== `A${bits}KW` && algorithm !== "CKM_AES_KEY_WRAP") throw badParameter("This key does not work with this algorithm.");
  return `id-aes${bits}-wrap`;
}

function cipherFor({ bits }: KeyKind, algorithm: string): { readonly mode: "gcm" | "cbc"; readonly isPadded: boolean } {
  if (algorithm === `A${bits}GCM`) return { mode: "gcm", isPadded: false };
  if (algorithm === `A${bits}CBC`) return { mode: "cbc", isPadded: false };
  if (algorithm === `A${bits}CBCPAD`) return { mode: "cbc", isPadded: true };
  throw badParameter("This key does not work with this algorithm.");
}

/** Listed by name, since the types of node:crypto know GCM ciphers by name. */
function gcmBits(bits: number): 128 | 192 | 256 {
  return bits === 128 || bits === 192 ? bits : 256;
}

function orRefused(work: () => Buffer): Buffer {
  try {
    return work();
  } catch {
    throw badParameter();
  }
}

const WRAP_START = Buffer.from("a6a6a6a6a6a6a6a6", "hex"); // RFC 3394 §2.2.3.1
