import { byteAt, type OwnedBytes, textOf, toHex } from "../../../src/core/base/bytes.ts";
import { EnvelockError } from "../../../src/core/base/errors.ts";
import * as ck from "../cryptoki/constants.ts";
import type { Handle, Template } from "../cryptoki/cryptoki.ts";
import { isUnclear, returns } from "../cryptoki/failures.ts";
import { selects } from "../key-id.ts";
import type { Pkcs11KeySelector } from "../options.ts";
import type { KeyObject, PublicHalf, RsaPublicKey, Session } from "./session.ts";

/** Every KEK on the token that a selector means. */
export function findKeys(
  session: Session,
  selector: Pkcs11KeySelector,
  dates: "with dates" | "without dates" = "with dates",
): readonly KeyObject[] {
  return KINDS.flatMap(({ kind, objectClass, keyType }) => {
    const template = templateOf(selector, objectClass, keyType);
    return session.cryptoki.findObjects(session.session, template).flatMap((handle) => {
      const key = readKey(session, handle, kind, dates);
      return selects(selector, key) ? [key] : []; // some modules compare loosely
    });
  });
}

/**
 * The one KEK of this label and id.
 *
 * @throws `key-not-found`, and `provider-failure` if there are several
 */
export function exactKey(
  session: Session,
  name: { readonly label: string; readonly id: OwnedBytes },
  dates: "with dates" | "without dates" = "without dates",
): KeyObject {
  const selector = { ...(name.label !== "" && { label: name.label }), ...(name.id.length > 0 && { id: name.id }) };
  const keys = findKeys(session, selector, dates).filter((key) => key.label === name.label && toHex(key.id) === toHex(name.id));
  const [key, ...others] = keys;
  if (key === undefined) throw keyMissing(name);
  if (others.length > 0) throw ambiguous(name);
  return key;
}

/** The newest key that may wrap at `now`: by start date, then by id as a number. @throws `key-not-found`, `key-disabled`, `provider-failure` */
export function newestKey(session: Session, selector: Pkcs11KeySelector, nowMs: number): KeyObject {
  const keys = findKeys(session, selector);
  if (keys.length === 0) throw keyMissing({ label: selector.label ?? "", id: selector.id ?? new Uint8Array(0) });
  const today = new Date(nowMs).toISOString().slice(0, 10).replaceAll("-", "");
  const usable = keys.filter(({ startDate = today, endDate = today }) => startDate <= today && today <= endDate);
  const [newest, next] = usable.toSorted((a, b) => byAge(b, a));
  if (newest === undefined) {
    throw new EnvelockError("key-disabled", "no version of this key may wrap today by its start and end dates", {
      detail: "dates",
      hint: "generate a new version; what was wrapped before can still be unwrapped",
    });
  }
  if (next !== undefined && byAge(newest, next) === 0 && newest.label === next.label) throw ambiguous(newest);
  return newest;
}

/**
 * The public half of an RSA pair as an object on the token: of the same id, or of the same label if there is no id.
 *
 * @throws `key-not-found`
 */
export function publicHalf(session: Session, key: KeyObject): PublicHalf {
  const known = session.found.publicHalves.get(key);
  if (known !== undefined) return known;
  const half = findPublicHalf(session, key);
  session.found.publicHalves.set(key, half);
  return half;
}

function findPublicHalf(session: Session, key: KeyObject): PublicHalf {
  const { cryptoki, session: handle } = session;
  const selector = key.id.length > 0 ? { id: key.id } : { label: key.label };
  const modulus = toHex(key.modulus ?? new Uint8Array(0));
  for (const object of cryptoki.findObjects(handle, templateOf(selector, ck.CKO_PUBLIC_KEY, ck.CKK_RSA))) {
    if (toHex(withoutZeros(cryptoki.attribute(handle, object, ck.CKA_MODULUS)) ?? new Uint8Array(0)) !== modulus) continue;
    const rights = readAttributes(session, object, [ck.CKA_ENCRYPT, ck.CKA_WRAP]);
    return { handle: object, encrypt: isSet(rights, ck.CKA_ENCRYPT), wrap: isSet(rights, ck.CKA_WRAP) };
  }
  throw new EnvelockError("key-not-found", "the token has the private key and not the public key to wrap with", {
    detail: "no-public-key",
    hint: 'put the public key beside it, with the same id, or use rsaWrap: "local"',
  });
}

/** Modulus and exponent as the private key shows them. @throws `provider-failure` */
export function publicNumbers(session: Session, key: KeyObject): RsaPublicKey {
  const exponent = session.cryptoki.attribute(session.session, key.handle, ck.CKA_PUBLIC_EXPONENT);
  if (key.modulus !== undefined && exponent !== undefined && exponent.length > 0) return { modulus: key.modulus, exponent };
  throw new EnvelockError("provider-failure", "the private key shows no public numbers to wrap with", {
    detail: "no-public-key",
    hint: 'use rsaWrap: "token"',
  });
}

/** Reads an object that is known to be of that kind, in one call where the token allows it. The dates take two more. */
export function readKey(session: Session, handle: Handle, kind: KeyObject["kind"], dates: "with dates" | "without dates"): KeyObject {
  const isAes = kind === "aes";
  const read = readAttributes(session, handle, isAes ? AES_ATTRIBUTES : RSA_ATTRIBUTES);
  const [startDate, endDate] =
    dates === "with dates" ? [ck.CKA_START_DATE, ck.CKA_END_DATE].map((type) => dateOf(session, handle, type)) : [];
  return {
    kind,
    handle,
    label: textOf(read.get(ck.CKA_LABEL) ?? NONE) ?? "",
    id: read.get(ck.CKA_ID) ?? NONE,
    startDate,
    endDate,
    usage: {
      encrypt: isAes && isSet(read, ck.CKA_ENCRYPT),
      decrypt: isSet(read, ck.CKA_DECRYPT),
      wrap: isAes && isSet(read, ck.CKA_WRAP),
      unwrap: isSet(read, ck.CKA_UNWRAP),
    },
    aesBytes: isAes ? ulongIn(read.get(ck.CKA_VALUE_LEN)) : undefined,
    modulus: isAes ? undefined : withoutZeros(read.get(ck.CKA_MODULUS)),
    needsLoginPerUse: isSet(read, ck.CKA_ALWAYS_AUTHENTICATE),
  };
}

/**
 * Refuses a key that could wrap and never unwrap, or neither.
 *
 * @throws `provider-failure` with detail `key-size` or `always-authenticate`
 */
export function requireUsable({ kind, aesBytes, modulus, needsLoginPerUse }: KeyObject): void {
  if (aesBytes !== undefined && !AES_BYTES.includes(aesBytes)) {
    throw unusable(
      "key-size",
      `the AES key has ${aesBytes} bytes, and AES takes 16, 24 or 32`,
      "make a new key: this one cannot be used at all",
    );
  }
  const modulusBytes = modulus?.length ?? 0;
  if (kind === "rsa" && (modulusBytes < MIN_MODULUS_BYTES || modulusBytes > MAX_MODULUS_BYTES)) {
    throw unusable(
      "key-size",
      modulusBytes === 0 ? "the RSA key does not show its modulus" : `the RSA key has ${modulusBytes * 8} bits, expected 2048 to 8192`,
      "make a new pair of 2048 bits or more",
    );
  }
  if (needsLoginPerUse) {
    throw unusable(
      "always-authenticate",
      "the key asks for a login at each use (CKA_ALWAYS_AUTHENTICATE), which is not supported",
      "make a key without this attribute, as `envelock hsm keygen` does",
    );
  }
}

function unusable(detail: string, message: string, hint: string): EnvelockError {
  return new EnvelockError("provider-failure", message, { detail, hint });
}

/** Reads attributes in one call, or one by one if the object lacks some of them or the token cannot read them. */
function readAttributes(session: Session, handle: Handle, types: readonly number[]): ReadonlyMap<number, OwnedBytes> {
  const { cryptoki, session: own, found } = session;
  const known = types.filter((type) => !found.unknownAttributes.has(type));
  try {
    return cryptoki.attributes(own, handle, known);
  } catch (error) {
    if (!isUnclear(error) && !returns(error, ck.CKR_ATTRIBUTE_TYPE_INVALID)) throw error;
  }
  const values = new Map<number, OwnedBytes>();
  for (const type of known) {
    const isOptional = OPTIONAL_ATTRIBUTES.has(type);
    const value = isOptional ? readableAttribute(session, handle, type) : cryptoki.attribute(own, handle, type);
    if (value !== undefined) values.set(type, value);
    else if (isOptional) found.unknownAttributes.add(type); // or each key would cost these calls
  }
  return values;
}

/** SoftHSM 2.6 cannot read the dates of private keys and calls that a general error. Had the token failed, the next call would fail too. */
function readableAttribute({ cryptoki, session }: Session, handle: Handle, type: number): OwnedBytes | undefined {
  try {
    return cryptoki.attribute(session, handle, type);
  } catch (error) {
    if (isUnclear(error)) return undefined;
    throw error;
  }
}

/** pkcs11js reads the year of a date together with the bytes behind it, which are some others in a call of its own, and the next time. */
function dateOf(session: Session, handle: Handle, type: number): string | undefined {
  for (let attempt = 0; attempt < DATE_ATTEMPTS; attempt++) {
    const value = readableAttribute(session, handle, type);
    if (value === undefined) return undefined;
    const text = textOf(value);
    if (text !== undefined && DATE.test(text)) return text;
  }
  return undefined;
}

function isSet(values: ReadonlyMap<number, OwnedBytes>, type: number): boolean {
  const value = values.get(type);
  return value !== undefined && byteAt(value, 0) !== 0;
}

/** A CK_ULONG in the byte order of this machine, which is little endian wherever Node runs. */
function ulongIn(value: OwnedBytes | undefined): number | undefined {
  return value === undefined || value.length < 4 ? undefined : byteAt(value, 0) | (byteAt(value, 1) << 8);
}

function withoutZeros(number: OwnedBytes | undefined): OwnedBytes | undefined {
  const start = number?.findIndex((byte) => byte !== 0) ?? -1;
  return start > 0 ? number?.slice(start) : number;
}

function templateOf({ label, id }: Pkcs11KeySelector, objectClass: number, keyType: number): Template {
  const template = new Map<number, boolean | number | string | Uint8Array>([
    [ck.CKA_CLASS, objectClass],
    [ck.CKA_KEY_TYPE, keyType],
    [ck.CKA_TOKEN, true],
  ]);
  if (label !== undefined) template.set(ck.CKA_LABEL, label);
  if (id !== undefined) template.set(ck.CKA_ID, id);
  return template;
}

function byAge(a: KeyObject, b: KeyObject): number {
  const [left, right] = [a, b].map(({ startDate = "", id }) => startDate.padEnd(8) + toHex(id).padStart(2 * MAX_ID_BYTES, "0"));
  if (left === undefined || right === undefined || left === right) return 0;
  return left < right ? -1 : 1;
}

export function keyMissing({ label, id }: { readonly label: string; readonly id: Uint8Array }): EnvelockError {
  return new EnvelockError("key-not-found", `the token shows no AES or RSA key ${described(label, id)}`, {
    detail: "key-missing",
    hint: "look with `envelock hsm list`; private keys are shown after a login alone",
  });
}

function ambiguous({ label, id }: { readonly label: string; readonly id: Uint8Array }): EnvelockError {
  return new EnvelockError("provider-failure", `the token has several keys ${described(label, id)}`, {
    detail: "ambiguous-key",
    hint: "give each version an id of its own",
  });
}

function described(label: string, id: Uint8Array): string {
  return [label === "" ? "" : `with label "${label}"`, id.length === 0 ? "" : `with id ${toHex(id)}`].filter(Boolean).join(" and ");
}

const KINDS = [
  { kind: "aes", objectClass: ck.CKO_SECRET_KEY, keyType: ck.CKK_AES },
  { kind: "rsa", objectClass: ck.CKO_PRIVATE_KEY, keyType: ck.CKK_RSA },
] as const;
const AES_ATTRIBUTES = [ck.CKA_LABEL, ck.CKA_ID, ck.CKA_ENCRYPT, ck.CKA_DECRYPT, ck.CKA_WRAP, ck.CKA_UNWRAP, ck.CKA_VALUE_LEN];
const RSA_ATTRIBUTES = [ck.CKA_LABEL, ck.CKA_ID, ck.CKA_DECRYPT, ck.CKA_UNWRAP, ck.CKA_MODULUS, ck.CKA_ALWAYS_AUTHENTICATE];
/** Unknown to some tokens. Nothing depends on them but a better message: a trial finds out too. */
const OPTIONAL_ATTRIBUTES: ReadonlySet<number> = new Set([ck.CKA_VALUE_LEN, ck.CKA_ALWAYS_AUTHENTICATE]);
const AES_BYTES: readonly number[] = [16, 24, 32];
const MIN_MODULUS_BYTES = 256;
const MAX_MODULUS_BYTES = 1024;
const NONE: OwnedBytes = new Uint8Array(0);
const DATE_ATTEMPTS = 3;
const DATE = /^(19|20)\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])$/;
const MAX_ID_BYTES = 256;
