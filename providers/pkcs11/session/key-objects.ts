import { byteAt, type OwnedBytes, textOf, toHex } from "../../../src/core/base/bytes.ts";
import { EnvelockError } from "../../../src/core/base/errors.ts";
import * as ck from "../cryptoki/constants.ts";
import type { Handle, Template } from "../cryptoki/cryptoki.ts";
import { isUnclear } from "../cryptoki/failures.ts";
import { selects } from "../key-id.ts";
import type { Pkcs11KeySelector } from "../options.ts";
import type { Session } from "./token-sessions.ts";

/** A KEK on the token: a secret AES key, or the private half of an RSA pair. */
export interface KeyObject {
  readonly kind: "aes" | "rsa";
  readonly handle: Handle;
  readonly label: string;
  readonly id: OwnedBytes;
  /** Days as `YYYYMMDD`; the token stores them and holds nobody to them. */
  readonly startDate: string | undefined;
  readonly endDate: string | undefined;
  /** What its attributes let it do. An RSA key's `encrypt` and `wrap` are its public half's, and not here. */
  readonly usage: KeyUsage;
  /** RSA alone. */
  readonly modulus: OwnedBytes | undefined;
}

export interface KeyUsage {
  readonly encrypt: boolean;
  readonly decrypt: boolean;
  readonly wrap: boolean;
  readonly unwrap: boolean;
}

export interface RsaPublicKey {
  readonly modulus: OwnedBytes;
  readonly exponent: OwnedBytes;
}

export interface PublicHalf {
  readonly handle: Handle;
  readonly encrypt: boolean;
}

/** Every KEK on the token that a selector means. */
export function findKeys(session: Session, selector: Pkcs11KeySelector): readonly KeyObject[] {
  return KINDS.flatMap(({ kind, objectClass, keyType }) => {
    const template = templateOf(selector, objectClass, keyType);
    return session.cryptoki.findObjects(session.session, template).flatMap((handle) => {
      const key = readKey(session, handle, kind);
      return selects(selector, key) ? [key] : []; // some modules compare loosely
    });
  });
}

/**
 * The one KEK of this label and id.
 *
 * @throws `key-not-found`, and `provider-failure` if there are several
 */
export function exactKey(session: Session, name: { readonly label: string; readonly id: OwnedBytes }): KeyObject {
  const selector = { ...(name.label !== "" && { label: name.label }), ...(name.id.length > 0 && { id: name.id }) };
  const keys = findKeys(session, selector).filter((key) => key.label === name.label && toHex(key.id) === toHex(name.id));
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
      cause: new Error(keys.map(({ startDate = "", endDate = "" }) => `${startDate}-${endDate}`).join(" ")),
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
    if (toHex(cryptoki.attribute(handle, object, ck.CKA_MODULUS) ?? new Uint8Array(0)) !== modulus) continue;
    return { handle: object, encrypt: flag(session, object, ck.CKA_ENCRYPT) };
  }
  throw new EnvelockError("key-not-found", "the token has the private key and not the public key to wrap with", {
    detail: "no-public-key",
    hint: 'put the public key beside it, with the same id, or use rsaWrap: "local"',
    cause: new Error("C_FindObjects found no CKO_PUBLIC_KEY with the modulus of the private key"),
  });
}

/** Modulus and exponent as the private key shows them. @throws `provider-failure` */
export function publicNumbers(session: Session, key: KeyObject): RsaPublicKey {
  const exponent = session.cryptoki.attribute(session.session, key.handle, ck.CKA_PUBLIC_EXPONENT);
  if (key.modulus !== undefined && exponent !== undefined && exponent.length > 0) return { modulus: key.modulus, exponent };
  throw new EnvelockError("provider-failure", "the private key shows no public numbers to wrap with", {
    detail: "no-public-key",
    hint: 'use rsaWrap: "token"',
    cause: new Error("C_GetAttributeValue gave no CKA_MODULUS or no CKA_PUBLIC_EXPONENT"),
  });
}

/** An object that is known to be of that kind. */
export function readKey(session: Session, handle: Handle, kind: KeyObject["kind"]): KeyObject {
  const { cryptoki, session: sessionHandle } = session;
  const isAes = kind === "aes";
  return {
    kind,
    handle,
    label: textOf(cryptoki.attribute(sessionHandle, handle, ck.CKA_LABEL) ?? new Uint8Array(0)) ?? "",
    id: cryptoki.attribute(sessionHandle, handle, ck.CKA_ID) ?? new Uint8Array(0),
    startDate: date(session, handle, ck.CKA_START_DATE),
    endDate: date(session, handle, ck.CKA_END_DATE),
    usage: {
      encrypt: isAes && flag(session, handle, ck.CKA_ENCRYPT),
      decrypt: flag(session, handle, ck.CKA_DECRYPT),
      wrap: isAes && flag(session, handle, ck.CKA_WRAP),
      unwrap: flag(session, handle, ck.CKA_UNWRAP),
    },
    modulus: isAes ? undefined : cryptoki.attribute(sessionHandle, handle, ck.CKA_MODULUS),
  };
}

function flag({ cryptoki, session }: Session, handle: Handle, type: number): boolean {
  const value = cryptoki.attribute(session, handle, type);
  return value !== undefined && byteAt(value, 0) !== 0;
}

/** pkcs11js reads the year of a date together with what stands behind it, so what it gives may be no date. */
function date(session: Session, handle: Handle, type: number): string | undefined {
  const text = textOf(readableAttribute(session, handle, type) ?? new Uint8Array(0));
  return text !== undefined && DATE.test(text) ? text : undefined;
}

/** SoftHSM 2.6 cannot read the dates of private keys and calls that a general error. If it were one, the next attribute would fail too. */
function readableAttribute({ cryptoki, session }: Session, handle: Handle, type: number): OwnedBytes | undefined {
  try {
    return cryptoki.attribute(session, handle, type);
  } catch (error) {
    if (isUnclear(error)) return undefined;
    throw error;
  }
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
    cause: new Error("C_FindObjects found none"),
  });
}

function ambiguous({ label, id }: { readonly label: string; readonly id: Uint8Array }): EnvelockError {
  return new EnvelockError("provider-failure", `the token has several keys ${described(label, id)}`, {
    detail: "ambiguous-key",
    hint: "give each version an id of its own",
    cause: new Error("C_FindObjects found several"),
  });
}

function described(label: string, id: Uint8Array): string {
  return [label === "" ? "" : `with label "${label}"`, id.length === 0 ? "" : `with id ${toHex(id)}`].filter(Boolean).join(" and ");
}

const KINDS = [
  { kind: "aes", objectClass: ck.CKO_SECRET_KEY, keyType: ck.CKK_AES },
  { kind: "rsa", objectClass: ck.CKO_PRIVATE_KEY, keyType: ck.CKK_RSA },
] as const;
const DATE = /^(19|20)\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])$/;
const MAX_ID_BYTES = 256;
