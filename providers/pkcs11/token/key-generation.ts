import { copyOf, isBytes, type OwnedBytes, toHex } from "../../../src/core/base/bytes.ts";
import { invalidArgument } from "../../../src/core/base/errors.ts";
import * as ck from "../cryptoki/constants.ts";
import type { Handle, Template } from "../cryptoki/cryptoki.ts";
import { keySelector } from "../options.ts";
import { exactKey, findKeys, type KeyObject } from "../session/key-objects.ts";
import { mechanismFlags } from "../session/session-calls.ts";
import type { Session } from "../session/token-sessions.ts";
import { describeKey, type Pkcs11KeyDescription } from "./key-description.ts";

export interface NewPkcs11Key {
  readonly type: Pkcs11KeyType;
  readonly label: string;
  /** CKA_ID; default: the next free number after the highest of the keys with this label, so that the new one is the version that wraps. */
  readonly id?: Uint8Array;
  /** CKA_START_DATE, a day as `YYYYMMDD`. Needed if earlier versions have one, or the new one would count as older. */
  readonly startDate?: string;
  /** Lets the key leave the token wrapped under another key, as a `.byok` file has it. Default false. */
  readonly isExtractable?: boolean;
}

export type Pkcs11KeyType = "aes-256" | "rsa-2048" | "rsa-3072" | "rsa-4096";

/**
 * Makes a KEK with no more rights than wrapping needs.
 *
 * @throws `invalid-argument` if the token has it already, or its start date does not fit its earlier versions
 */
export function generateKekOn(session: Session, key: NewPkcs11Key): Pkcs11KeyDescription {
  const { label = "" } = keySelector("the new key", { label: key.label, ...(key.id !== undefined && { id: key.id }) });
  if (!PKCS11_KEY_TYPES.includes(key.type)) throw invalidArgument(`a key is of type ${PKCS11_KEY_TYPES.join(", ")}`);
  const versions = findKeys(session, { label });
  const id = isBytes(key.id) ? copyOf(key.id) : nextId(session, versions);
  // NSS would replace the other key, whatever its label
  if (isTaken(session, id)) throw invalidArgument(`the token has something with id ${toHex(id)} already`, "ids are unique on a token");
  checkStartDate(key.startDate, versions);
  inWritableSession(session, (writable) => generate(session, writable, { ...key, label, id }));
  return describeKey(session, exactKey(session, { label, id }));
}

interface Chosen extends NewPkcs11Key {
  readonly id: OwnedBytes;
}

function generate(session: Session, writable: Handle, key: Chosen): void {
  const { cryptoki } = session;
  if (key.type === "aes-256") {
    cryptoki.generateKey(writable, { mechanism: ck.CKM_AES_KEY_GEN }, aesTemplate(session, key));
    return;
  }
  const name = nameAttributes(key);
  const publicKey: Template = new Map<number, boolean | number | string | Uint8Array>([
    ...name,
    [ck.CKA_PRIVATE, false],
    [ck.CKA_ENCRYPT, true],
    [ck.CKA_VERIFY, false],
    [ck.CKA_WRAP, false],
    [ck.CKA_MODULUS_BITS, Number(key.type.slice("rsa-".length))],
    [ck.CKA_PUBLIC_EXPONENT, Uint8Array.of(1, 0, 1)],
  ]);
  const privateKey: Template = new Map<number, boolean | number | string | Uint8Array>([
    ...name,
    ...secrecyAttributes(key),
    [ck.CKA_DECRYPT, true],
    [ck.CKA_SIGN, false],
    [ck.CKA_UNWRAP, false],
  ]);
  cryptoki.generateKeyPair(writable, { mechanism: ck.CKM_RSA_PKCS_KEY_PAIR_GEN }, publicKey, privateKey);
}

/** For AES-GCM where the token has it, else for key wrap: never for both. */
function aesTemplate(session: Session, key: Chosen): Template {
  const encrypts = (mechanismFlags(session, ck.CKM_AES_GCM) & ck.CKF_ENCRYPT) !== 0;
  return new Map<number, boolean | number | string | Uint8Array>([
    ...nameAttributes(key),
    ...secrecyAttributes(key),
    [ck.CKA_VALUE_LEN, 32],
    [ck.CKA_ENCRYPT, encrypts],
    [ck.CKA_DECRYPT, encrypts],
    [ck.CKA_WRAP, !encrypts],
    [ck.CKA_UNWRAP, !encrypts],
    [ck.CKA_SIGN, false],
    [ck.CKA_VERIFY, false],
  ]);
}

function nameAttributes({ label, id, startDate }: Chosen): readonly (readonly [number, boolean | string | Uint8Array])[] {
  const date = startDate === undefined ? [] : [[ck.CKA_START_DATE, Buffer.from(startDate)] as const];
  return [[ck.CKA_TOKEN, true], [ck.CKA_LABEL, label], [ck.CKA_ID, id], ...date];
}

function secrecyAttributes({ isExtractable = false }: NewPkcs11Key): readonly (readonly [number, boolean])[] {
  return [
    [ck.CKA_PRIVATE, true],
    [ck.CKA_SENSITIVE, true],
    [ck.CKA_EXTRACTABLE, isExtractable],
  ];
}

/** The next number that is free, as long as the longest of the versions, so that it counts as the newest; 01 for the first. */
function nextId(session: Session, versions: readonly KeyObject[]): OwnedBytes {
  const longest = Math.max(1, ...versions.map(({ id }) => id.length));
  let number = versions.map(({ id }) => BigInt(`0x0${toHex(id)}`)).reduce((a, b) => (a > b ? a : b), 0n);
  for (;;) {
    const digits = (++number).toString(16);
    const id = copyOf(Buffer.from(digits.padStart(Math.max(2 * longest, digits.length + (digits.length % 2)), "0"), "hex"));
    if (!isTaken(session, id)) return id;
  }
}

function isTaken({ cryptoki, session }: Session, id: OwnedBytes): boolean {
  const template = new Map<number, boolean | Uint8Array>([
    [ck.CKA_TOKEN, true],
    [ck.CKA_ID, id],
  ]);
  return cryptoki.findObjects(session, template).length > 0;
}

function checkStartDate(startDate: string | undefined, versions: readonly KeyObject[]): void {
  if (startDate !== undefined && !START_DATE.test(startDate)) throw invalidArgument("a start date is a day as YYYYMMDD");
  const latest = versions.flatMap((version) => version.startDate ?? []).reduce((a, b) => (a > b ? a : b), "");
  if ((startDate ?? "") < latest) {
    throw invalidArgument(`a version of this key starts on ${latest}: without that or a later start date the new one would not be used`);
  }
}

/** The sessions that wrap may only read. */
function inWritableSession({ cryptoki, slot }: Session, work: (session: Handle) => void): void {
  const writable = cryptoki.openSession(slot, true);
  try {
    work(writable);
  } finally {
    cryptoki.closeSession(writable);
  }
}

export const PKCS11_KEY_TYPES: readonly Pkcs11KeyType[] = ["aes-256", "rsa-2048", "rsa-3072", "rsa-4096"];

const START_DATE = /^(19|20)\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])$/;
