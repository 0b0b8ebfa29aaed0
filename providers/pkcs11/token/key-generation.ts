import { copyOf, isBytes, type OwnedBytes, toHex } from "../../../src/core/base/bytes.ts";
import { EnvelockError, invalidArgument } from "../../../src/core/base/errors.ts";
import { type OptionNames, refuseUnknown } from "../../../src/core/base/options.ts";
import * as ck from "../cryptoki/constants.ts";
import type { Handle, Template } from "../cryptoki/cryptoki.ts";
import { refusesTemplate, tokenFailure } from "../cryptoki/failures.ts";
import { keySelector } from "../options.ts";
import { exactKey, findKeys } from "../session/key-objects.ts";
import type { KeyObject, Session, UseSession } from "../session/session.ts";
import { mechanismFlags } from "../session/session-calls.ts";
import { describeKey, isExtractable, type Pkcs11KeyDescription } from "./key-description.ts";

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
 * Makes a KEK with no more rights than wrapping needs, and tries it. A key that does not pass is deleted again.
 *
 * @param use gives sessions that may write
 * @param prove wraps and unwraps under the key of this key id
 * @throws `invalid-argument` if the token has it already, or its start date does not fit its earlier versions; `access-denied` with
 *   detail `write-protected`; `provider-failure` with detail `mechanism`, `template` or `unusable-key`
 */
export async function generateKek(
  use: UseSession,
  key: NewPkcs11Key,
  prove: (keyId: string) => Promise<unknown>,
): Promise<Pkcs11KeyDescription> {
  refuseUnknown(key, NEW_KEY, "the new key");
  const { label = "" } = keySelector("the new key", { label: key.label, ...(key.id !== undefined && { id: key.id }) });
  if (!PKCS11_KEY_TYPES.includes(key.type)) throw invalidArgument(`a key is of type ${PKCS11_KEY_TYPES.join(", ")}`);
  if (key.startDate !== undefined && !START_DATE.test(key.startDate)) throw invalidArgument("a start date is a day as YYYYMMDD");
  const made = await use((session) => {
    requireWritable(session);
    const versions = findKeys(session, { label });
    const id = isBytes(key.id) ? copyOf(key.id) : nextId(session, versions);
    // NSS would replace the other key, whatever its label
    if (objectsOfId(session, id).length > 0)
      throw invalidArgument(`the token has something with id ${toHex(id)} already`, "ids are unique on a token");
    checkStartDate(key.startDate, versions);
    generate(session, { ...key, label, id });
    return { id, description: attempt(() => checked(session, exactKey(session, { label, id }, "with dates"), key)) };
  });
  try {
    if (made.description instanceof EnvelockError) throw made.description;
    await prove(made.description.keyId);
    return made.description;
  } catch (error) {
    const isGone = await use((session) => destroyAll(session, made.id)).then(
      () => true,
      () => false,
    );
    throw unusable(tokenFailure(error), isGone, made.id);
  }
}

interface Chosen extends NewPkcs11Key {
  readonly id: OwnedBytes;
}

function requireWritable({ info }: Session): void {
  if ((info.flags & ck.CKF_WRITE_PROTECTED) === 0) return;
  throw new EnvelockError("access-denied", `the token "${info.label}" is write-protected`, {
    detail: "write-protected",
    hint: "it takes no new objects; make keys with the vendor's tool, or lift the write protection",
  });
}

/** @throws `provider-failure` if the key may leave the token although it was not to */
function checked(session: Session, key: KeyObject, { isExtractable: mayLeave = false }: NewPkcs11Key): Pkcs11KeyDescription {
  if (mayLeave || !isExtractable(session, key)) return describeKey(session, key);
  throw new EnvelockError("provider-failure", "the token made a key that may leave it, although CKA_EXTRACTABLE was to be false", {
    detail: "template",
    hint: "make the key with the vendor's tool",
  });
}

function attempt<T>(work: () => T): T | EnvelockError {
  try {
    return work();
  } catch (error) {
    return tokenFailure(error);
  }
}

function destroyAll(session: Session, id: OwnedBytes): void {
  for (const object of objectsOfId(session, id)) session.cryptoki.destroyObject(session.session, object);
}

function unusable(error: EnvelockError, isGone: boolean, id: OwnedBytes): EnvelockError {
  const then = isGone ? "it was deleted again" : `delete it: it has the id ${toHex(id)}`;
  return new EnvelockError(error.code, `the new key cannot be used, so ${then}: ${error.message}`, {
    detail: error.detail === "template" ? "template" : "unusable-key",
    hint: error.hint ?? "try another type of key; `envelock hsm selftest` shows what works on this token",
    retryable: error.retryable,
    cause: error,
  });
}

function generate(session: Session, key: Chosen): void {
  const { cryptoki, session: handle } = session;
  if (key.type === "aes-256") {
    leaner(aesTemplate(session, key), (template) => cryptoki.generateKey(handle, { mechanism: ck.CKM_AES_KEY_GEN }, template));
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
  leaner(privateKey, (template) =>
    cryptoki.generateKeyPair(
      handle,
      { mechanism: ck.CKM_RSA_PKCS_KEY_PAIR_GEN },
      template === privateKey ? publicKey : withoutDenials(publicKey),
      template,
    ),
  );
}

/** Tries the template, and where the token refuses it, one without the rights that are denied: some know no attribute that is false. */
function leaner<T>(template: Template, make: (template: Template) => T): T {
  try {
    return make(template);
  } catch (error) {
    if (!refusesTemplate(error)) throw error;
    return make(withoutDenials(template));
  }
}

function withoutDenials(template: Template): Template {
  return new Map([...template].filter(([type, value]) => value !== false || !RIGHTS.has(type)));
}

/** For AES-GCM where the token has it, else for key wrap: never for both. @throws `provider-failure` if it has neither */
function aesTemplate(session: Session, key: Chosen): Template {
  const encrypts = (mechanismFlags(session, ck.CKM_AES_GCM) & ck.CKF_ENCRYPT) !== 0;
  const wraps = AES_WRAPS.some((mechanism) => (mechanismFlags(session, mechanism) & ck.CKF_WRAP) !== 0);
  if (!encrypts && !wraps) {
    throw new EnvelockError("provider-failure", "the token has no mechanism with which an AES key could wrap data keys", {
      detail: "mechanism",
      hint: "make an RSA key (--type rsa-3072); `envelock hsm mechanisms` shows what the token has",
    });
  }
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
    if (objectsOfId(session, id).length === 0) return id;
  }
}

function objectsOfId({ cryptoki, session }: Session, id: OwnedBytes): readonly Handle[] {
  const template = new Map<number, boolean | Uint8Array>([
    [ck.CKA_TOKEN, true],
    [ck.CKA_ID, id],
  ]);
  return cryptoki.findObjects(session, template);
}

function checkStartDate(startDate: string | undefined, versions: readonly KeyObject[]): void {
  const latest = versions.flatMap((version) => version.startDate ?? []).reduce((a, b) => (a > b ? a : b), "");
  if ((startDate ?? "") < latest) {
    throw invalidArgument(`a version of this key starts on ${latest}: without that or a later start date the new one would not be used`);
  }
}

/**
 * @example
 * ```ts
 * import { PKCS11_KEY_TYPES } from "envelock/providers/pkcs11";
 *
 * console.log(`a key is one of ${PKCS11_KEY_TYPES.join(", ")}`);
 * ```
 */
export const PKCS11_KEY_TYPES: readonly Pkcs11KeyType[] = ["aes-256", "rsa-2048", "rsa-3072", "rsa-4096"];

const START_DATE = /^(19|20)\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])$/;
const NEW_KEY: OptionNames<NewPkcs11Key> = { type: true, label: true, id: true, startDate: true, isExtractable: true };
const AES_WRAPS: readonly number[] = [ck.CKM_AES_KEY_WRAP, ck.CKM_AES_KEY_WRAP_KWP, ck.CKM_AES_KEY_WRAP_PAD];
const RIGHTS: ReadonlySet<number> = new Set([ck.CKA_ENCRYPT, ck.CKA_DECRYPT, ck.CKA_WRAP, ck.CKA_UNWRAP, ck.CKA_SIGN, ck.CKA_VERIFY]);
