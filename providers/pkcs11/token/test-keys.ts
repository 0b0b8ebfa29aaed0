import type { OwnedBytes } from "../../../src/core/base/bytes.ts";
import * as ck from "../cryptoki/constants.ts";
import type { Handle, Template } from "../cryptoki/cryptoki.ts";
import { readKey } from "../session/key-objects.ts";
import type { KeyObject, Session } from "../session/session.ts";
import { mechanismFlags } from "../session/session-calls.ts";
import { mechanismNumbers, type Wrapping } from "../wrapping/wrappings.ts";

/** An object of the session, an object on the token that is deleted again, or a key that was there. */
export type Pkcs11TestKey = "session" | "token" | "named";

/** Whether the token lists a mechanism that the wrapping could use. */
export function isListed(session: Session, wrapping: Wrapping): boolean {
  return mechanismNumbers(wrapping).some((mechanism) => mechanismFlags(session, mechanism) !== 0);
}

/**
 * Makes a key for the time of a test: an object of the session, or where the token makes none such, an object on the token of this id,
 * which may stay behind if the test leaves the session unusable. Some tokens take few attributes, so it tries again with fewer.
 */
export async function withTestKey<T>(
  session: Session,
  kind: KeyObject["kind"],
  id: OwnedBytes,
  { made, notMade }: { made(key: KeyObject, origin: Pkcs11TestKey): Promise<T>; notMade(error: unknown): Promise<T> },
): Promise<T> {
  let failure: unknown;
  for (const isOnToken of [false, true]) {
    const idOnToken = isOnToken ? id : undefined;
    for (const isFull of [true, false]) {
      let objects: TestObjects;
      try {
        objects = kind === "aes" ? makeAesKey(session, idOnToken, isFull) : makeRsaKey(session, idOnToken, isFull);
      } catch (error) {
        failure ??= error;
        continue;
      }
      try {
        return await made(keyOf(session, kind, objects), isOnToken ? "token" : "session");
      } finally {
        destroyQuietly(session, objects);
      }
    }
  }
  return await notMade(failure);
}

interface TestObjects {
  readonly kek: Handle;
  readonly publicKey?: Handle;
}

/** Deletes what a test has left on the token. */
export function removeTestKeys({ cryptoki, session }: Session, id: OwnedBytes): void {
  const template = new Map<number, boolean | string | Uint8Array>([
    [ck.CKA_TOKEN, true],
    [ck.CKA_LABEL, LABEL],
    [ck.CKA_ID, id],
  ]);
  for (const object of cryptoki.findObjects(session, template)) cryptoki.destroyObject(session, object);
}

function keyOf(session: Session, kind: KeyObject["kind"], { kek, publicKey }: TestObjects): KeyObject {
  const key = readKey(session, kek, kind, "without dates");
  if (publicKey !== undefined) session.found.publicHalves.set(key, { handle: publicKey, encrypt: true, wrap: false });
  return key;
}

function makeAesKey({ cryptoki, session }: Session, idOnToken: OwnedBytes | undefined, isFull: boolean): TestObjects {
  const rights = [ck.CKA_ENCRYPT, ck.CKA_DECRYPT, ...(isFull ? [ck.CKA_WRAP, ck.CKA_UNWRAP] : [])];
  const template = templateOf(idOnToken, [ck.CKA_VALUE_LEN, 32], ...rights.map((right) => [right, true] as const), ...SECRET);
  return { kek: cryptoki.generateKey(session, { mechanism: ck.CKM_AES_KEY_GEN }, template) };
}

function makeRsaKey({ cryptoki, session }: Session, idOnToken: OwnedBytes | undefined, isFull: boolean): TestObjects {
  const publicTemplate = templateOf(
    idOnToken,
    [ck.CKA_MODULUS_BITS, 2048],
    [ck.CKA_PUBLIC_EXPONENT, Uint8Array.of(1, 0, 1)],
    [ck.CKA_ENCRYPT, true],
  );
  const privateTemplate = templateOf(idOnToken, [ck.CKA_DECRYPT, true], ...(isFull ? SECRET : []));
  const mechanism = { mechanism: ck.CKM_RSA_PKCS_KEY_PAIR_GEN };
  const { publicKey, privateKey } = cryptoki.generateKeyPair(session, mechanism, publicTemplate, privateTemplate);
  return { kek: privateKey, publicKey };
}

/** A key on the token has a name, so that it can be told from others if it stays behind. */
function templateOf(
  idOnToken: OwnedBytes | undefined,
  ...attributes: readonly (readonly [number, boolean | number | Uint8Array])[]
): Template {
  const name =
    idOnToken === undefined
      ? []
      : ([
          [ck.CKA_LABEL, LABEL],
          [ck.CKA_ID, idOnToken],
        ] as const);
  return new Map<number, boolean | number | string | Uint8Array>([[ck.CKA_TOKEN, idOnToken !== undefined], ...name, ...attributes]);
}

function destroyQuietly({ cryptoki, session }: Session, { kek, publicKey }: TestObjects): void {
  for (const object of [kek, publicKey]) {
    try {
      if (object !== undefined) cryptoki.destroyObject(session, object);
    } catch {
      // an object of the session ends with it; one on the token has a name that tells what it is
    }
  }
}

const SECRET = [
  [ck.CKA_SENSITIVE, true],
  [ck.CKA_EXTRACTABLE, false],
] as const;
const LABEL = "envelock-selftest";
