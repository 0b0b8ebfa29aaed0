import { concatBytes, type OwnedBytes } from "../../../src/core/base/bytes.ts";
import { EnvelockError } from "../../../src/core/base/errors.ts";
import { WRAP_ALGORITHMS } from "../../../src/core/contracts/algorithms.ts";
import { DATA_KEY_BYTES, TAG_BYTES } from "../../../src/core/contracts/suite.ts";
import * as ck from "../cryptoki/constants.ts";
import type { Handle, Mechanism, Template } from "../cryptoki/cryptoki.ts";
import { publicHalf, publicNumbers } from "../session/key-objects.ts";
import type { KeyObject, Session } from "../session/session.ts";
import { mechanismFlags, withMadeObject, withObject } from "../session/session-calls.ts";
import { kwpMechanism, requiredKwp } from "./kwp.ts";
import { wrapWithRsa } from "./rsa-wrap.ts";

/** The mechanisms with which a KEK on a token wraps. */
export type Pkcs11Mechanism = "aes-gcm" | "aes-kw" | "aes-kwp" | "rsa-oaep-256" | "rsa-oaep-sha1";

export interface Wrapping {
  readonly name: Pkcs11Mechanism;
  readonly kind: KeyObject["kind"];
  readonly alg: number;
}

/** The best first: the order in which a mechanism is chosen. */
export const WRAPPINGS: readonly Wrapping[] = [
  { name: "aes-gcm", kind: "aes", alg: WRAP_ALGORITHMS.aesGcm },
  { name: "aes-kw", kind: "aes", alg: WRAP_ALGORITHMS.aesKw },
  { name: "aes-kwp", kind: "aes", alg: WRAP_ALGORITHMS.aesKwp },
  { name: "rsa-oaep-256", kind: "rsa", alg: WRAP_ALGORITHMS.rsaOaep256 },
  { name: "rsa-oaep-sha1", kind: "rsa", alg: WRAP_ALGORITHMS.rsaOaepSha1 },
];

/** The wrappings that could be possible by the token's mechanisms and the key's attributes, the best first. A trial shows which are. */
export function* possibleWrappings(session: Session, key: KeyObject): Generator<Wrapping> {
  for (const wrapping of WRAPPINGS) if (wrapping.kind === key.kind && isPossible(session, key, wrapping)) yield wrapping;
}

/** The best wrapping that a key which may no longer wrap could have wrapped with, or undefined. */
export function pastWrapping(session: Session, key: KeyObject): Wrapping | undefined {
  return WRAPPINGS.find((wrapping) => wrapping.kind === key.kind && mayOpen(session, key, wrapping));
}

/** @param tried what a trial said to each that was possible */
export function noWrapping(key: KeyObject, tried: readonly string[]): EnvelockError {
  return new EnvelockError(
    "provider-failure",
    `the token has no mechanism with which this ${key.kind.toUpperCase()} key may wrap and unwrap${tried.length === 0 ? "" : `: ${tried.join("; ")}`}`,
    {
      detail: "mechanism",
      hint: "the key needs CKA_ENCRYPT and CKA_DECRYPT, or CKA_WRAP and CKA_UNWRAP; look with `envelock hsm mechanisms`",
    },
  );
}

/** The length of a wrapped data key in bytes. */
export function wrappedBytes({ alg }: Wrapping, key: KeyObject): number {
  if (alg === WRAP_ALGORITHMS.aesGcm) return NONCE_BYTES + DATA_KEY_BYTES + TAG_BYTES;
  return key.kind === "aes" ? DATA_KEY_BYTES + 8 : (key.modulus?.length ?? 0);
}

/** @param isLocal for RSA: with the public key in this process */
export async function wrapUnder(
  session: Session,
  key: KeyObject,
  wrapping: Wrapping,
  dek: Uint8Array,
  aad: Uint8Array,
  isLocal: boolean,
): Promise<OwnedBytes> {
  if (wrapping.name === "aes-gcm") return await wrapGcm(session, key, dek, aad);
  if (key.kind === "rsa" && isLocal)
    return await wrapWithRsa(publicNumbers(session, key), wrapping.alg === WRAP_ALGORITHMS.rsaOaep256, dek);
  const { handle, encrypt } = key.kind === "rsa" ? publicHalf(session, key) : { handle: key.handle, encrypt: key.usage.encrypt };
  const mechanism = mechanismOf(session, wrapping);
  const outputBytes = wrappedBytes(wrapping, key);
  if (isCipher(session, mechanism, encrypt, ck.CKF_ENCRYPT)) {
    return await session.cryptoki.encrypt(session.session, mechanism, handle, dek, outputBytes);
  }
  return wrapObject(session, mechanism, handle, dek, outputBytes);
}

/** @returns what was wrapped, of whatever length */
export async function unwrapUnder(
  session: Session,
  key: KeyObject,
  wrapping: Wrapping,
  wrapped: Uint8Array,
  aad: Uint8Array,
): Promise<OwnedBytes> {
  if (wrapping.name === "aes-gcm") return await unwrapGcm(session, key, wrapped, aad);
  const mechanism = mechanismOf(session, wrapping);
  if (isCipher(session, mechanism, key.usage.decrypt, ck.CKF_DECRYPT)) {
    return await session.cryptoki.decrypt(session.session, mechanism, key.handle, wrapped, Math.max(wrapped.length, DATA_KEY_BYTES));
  }
  return unwrapObject(session, mechanism, key.handle, wrapped);
}

async function wrapGcm({ cryptoki, session }: Session, key: KeyObject, dek: Uint8Array, aad: Uint8Array): Promise<OwnedBytes> {
  const nonce = Buffer.alloc(NONCE_BYTES);
  crypto.getRandomValues(nonce);
  const sealed = await cryptoki.encrypt(session, gcm(nonce, aad), key.handle, dek, DATA_KEY_BYTES + TAG_BYTES);
  return concatBytes(nonce, sealed); // read afterwards: some tokens insist on a nonce of their own, and write it there
}

async function unwrapGcm({ cryptoki, session }: Session, key: KeyObject, wrapped: Uint8Array, aad: Uint8Array): Promise<OwnedBytes> {
  const nonce = Buffer.from(wrapped.subarray(0, NONCE_BYTES));
  return await cryptoki.decrypt(session, gcm(nonce, aad), key.handle, wrapped.subarray(NONCE_BYTES), wrapped.length);
}

/** The struct of PKCS#11 v2.40 and later, which has a place for the nonce's length in bits. */
function gcm(nonce: Buffer, aad: Uint8Array): Mechanism {
  const parameter = { type: CK_PARAMS_GCM, iv: nonce, ivBits: NONCE_BYTES * 8, aad: Buffer.from(aad), tagBits: TAG_BYTES * 8 };
  return { mechanism: ck.CKM_AES_GCM, parameter };
}

function mechanismOf(session: Session, { name }: Wrapping): Mechanism {
  if (name === "aes-gcm") return { mechanism: ck.CKM_AES_GCM };
  if (name === "aes-kwp") return { mechanism: requiredKwp(session) };
  if (name === "aes-kw") return { mechanism: ck.CKM_AES_KEY_WRAP };
  return oaep(name === "rsa-oaep-256");
}

/** The numbers of the mechanisms that a wrapping could use. */
export function mechanismNumbers({ name }: Wrapping): readonly number[] {
  if (name === "aes-gcm") return [ck.CKM_AES_GCM];
  if (name === "aes-kwp") return [ck.CKM_AES_KEY_WRAP_KWP, ck.CKM_AES_KEY_WRAP_PAD];
  return name === "aes-kw" ? [ck.CKM_AES_KEY_WRAP] : [ck.CKM_RSA_PKCS_OAEP];
}

/** RSA-OAEP with one hash for label and mask, SHA-1 if not SHA-256. */
export function oaep(isSha256: boolean): Mechanism {
  const [hashAlg, mgf] = isSha256 ? [ck.CKM_SHA256, ck.CKG_MGF1_SHA256] : [ck.CKM_SHA_1, ck.CKG_MGF1_SHA1];
  const parameter = { type: CK_PARAMS_RSA_OAEP, hashAlg, mgf, source: ck.CKZ_DATA_SPECIFIED };
  return { mechanism: ck.CKM_RSA_PKCS_OAEP, parameter };
}

/** Encrypting makes no object that could be read, so it comes first where key and token have it. */
function isCipher(session: Session, { mechanism }: Mechanism, mayUse: boolean, flag: number): boolean {
  return mayUse && (mechanismFlags(session, mechanism) & flag) !== 0;
}

/** Wraps the data key as an object of the session, which exists only during the call. */
function wrapObject(session: Session, mechanism: Mechanism, wrappingKey: Handle, dek: Uint8Array, outputBytes: number): OwnedBytes {
  const template = new Map([...dataKeyTemplate(session), [ck.CKA_VALUE, dek]]);
  return withObject(session, template, (object) => session.cryptoki.wrapKey(session.session, mechanism, wrappingKey, object, outputBytes));
}

function unwrapObject(session: Session, mechanism: Mechanism, unwrappingKey: Handle, wrapped: Uint8Array): OwnedBytes {
  const { cryptoki, session: handle } = session;
  const object = cryptoki.unwrapKey(handle, mechanism, unwrappingKey, wrapped, dataKeyTemplate(session));
  return withMadeObject(session, object, () => cryptoki.attribute(handle, object, ck.CKA_VALUE) ?? new Uint8Array(0));
}

/** A key that can be read, or it could not be handed out, and used for nothing. */
function dataKeyTemplate({ info }: Session): Template {
  return new Map<number, boolean | number | Uint8Array>([
    [ck.CKA_CLASS, ck.CKO_SECRET_KEY],
    [ck.CKA_KEY_TYPE, ck.CKK_AES],
    [ck.CKA_TOKEN, false],
    [ck.CKA_PRIVATE, (info.flags & ck.CKF_LOGIN_REQUIRED) !== 0],
    [ck.CKA_SENSITIVE, false],
    [ck.CKA_EXTRACTABLE, true],
    [ck.CKA_ENCRYPT, false],
    [ck.CKA_DECRYPT, false],
    [ck.CKA_WRAP, false],
    [ck.CKA_UNWRAP, false],
  ]);
}

function isPossible(session: Session, key: KeyObject, wrapping: Wrapping): boolean {
  if (!mayOpen(session, key, wrapping)) return false;
  if (key.kind === "rsa") return true; // another object wraps
  const flags = mechanismFlags(session, mechanismOf(session, wrapping).mechanism);
  const asCipher = key.usage.encrypt && (flags & ck.CKF_ENCRYPT) !== 0 && key.usage.decrypt && (flags & ck.CKF_DECRYPT) !== 0;
  const asWrap = key.usage.wrap && (flags & ck.CKF_WRAP) !== 0 && key.usage.unwrap && (flags & ck.CKF_UNWRAP) !== 0;
  return asCipher || (asWrap && wrapping.name !== "aes-gcm");
}

function mayOpen(session: Session, key: KeyObject, wrapping: Wrapping): boolean {
  if (wrapping.name === "aes-kwp" && kwpMechanism(session) === undefined) return false;
  const flags = mechanismFlags(session, mechanismOf(session, wrapping).mechanism);
  const canDecrypt = key.usage.decrypt && (flags & ck.CKF_DECRYPT) !== 0;
  return canDecrypt || (wrapping.name !== "aes-gcm" && key.usage.unwrap && (flags & ck.CKF_UNWRAP) !== 0);
}

const NONCE_BYTES = 12;
const CK_PARAMS_RSA_OAEP = 4; // these two are pkcs11js's numbers, not the standard's
const CK_PARAMS_GCM = 25;
