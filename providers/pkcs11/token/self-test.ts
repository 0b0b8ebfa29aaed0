import { byteAt, copyOf, equalPublicBytes, type OwnedBytes, wipe } from "../../../src/core/base/bytes.ts";
import * as ck from "../cryptoki/constants.ts";
import type { Template } from "../cryptoki/cryptoki.ts";
import { tokenFailure } from "../cryptoki/failures.ts";
import { type KeyObject, readKey } from "../session/key-objects.ts";
import type { Session } from "../session/token-sessions.ts";
import { type Pkcs11Mechanism, unwrapUnder, WRAPPINGS, type Wrapping, wrapUnder } from "../wrapping/wrappings.ts";

export interface Pkcs11TestResult {
  readonly mechanism: Pkcs11Mechanism;
  /** The medians of a few calls, one after the other; undefined if it does not work here. */
  readonly wrapMs: number | undefined;
  readonly unwrapMs: number | undefined;
  /** Why it does not work; undefined if it does. */
  readonly failure: string | undefined;
}

/** Wraps and unwraps with every mechanism, and checks that what was changed is refused. The keys are those of the session, and end with it. */
export async function selfTestOn(session: Session, nowMs: () => number): Promise<readonly Pkcs11TestResult[]> {
  const results: Pkcs11TestResult[] = [];
  for (const kind of ["aes", "rsa"] as const) {
    const own = { ...session, session: session.cryptoki.openSession(session.slot) };
    try {
      const key = attempt(() => (kind === "aes" ? makeAesKey(own) : makeRsaKey(own)));
      for (const wrapping of WRAPPINGS.filter((candidate) => candidate.kind === kind)) {
        results.push(
          typeof key === "string" ? failed(wrapping, key) : await inOwnSession(session, (inner) => trial(inner, key, wrapping, nowMs)),
        );
      }
    } finally {
      session.cryptoki.closeSession(own.session);
    }
  }
  return results;
}

async function trial(session: Session, key: KeyObject, wrapping: Wrapping, nowMs: () => number): Promise<Pkcs11TestResult> {
  const wrapTimes: number[] = [];
  const unwrapTimes: number[] = [];
  try {
    let wrapped: OwnedBytes = new Uint8Array(0);
    for (let round = 0; round < ROUNDS; round++) {
      const dek = crypto.getRandomValues(new Uint8Array(32));
      const startMs = nowMs();
      wrapped = await wrapUnder(session, key, wrapping, dek, AAD, false);
      const middleMs = nowMs();
      const opened = await unwrapUnder(session, key, wrapping, wrapped, AAD);
      unwrapTimes.push(nowMs() - middleMs);
      wrapTimes.push(middleMs - startMs);
      if (!equalPublicBytes(opened, dek)) return failed(wrapping, "another data key came back");
      wipe(opened, dek);
    }
    if (!(await inOwnSession(session, (inner) => refuses(inner, key, wrapping, wrapped))))
      return failed(wrapping, "what was changed is not refused");
    return { mechanism: wrapping.name, wrapMs: median(wrapTimes), unwrapMs: median(unwrapTimes), failure: undefined };
  } catch (error) {
    return failed(wrapping, tokenFailure(error).message);
  }
}

async function refuses(session: Session, key: KeyObject, wrapping: Wrapping, wrapped: OwnedBytes): Promise<boolean> {
  const changed = copyOf(wrapped);
  changed[changed.length - 1] = byteAt(changed, changed.length - 1) ^ 1;
  try {
    wipe(await unwrapUnder(session, key, wrapping, changed, AAD));
    return false;
  } catch {
    return true;
  }
}

function makeAesKey(session: Session): KeyObject {
  const handle = session.cryptoki.generateKey(
    session.session,
    { mechanism: ck.CKM_AES_KEY_GEN },
    template(
      [ck.CKA_VALUE_LEN, 32],
      ...[ck.CKA_ENCRYPT, ck.CKA_DECRYPT, ck.CKA_WRAP, ck.CKA_UNWRAP].map((use) => [use, true] as const),
      ...SECRET,
    ),
  );
  return readKey(session, handle, "aes");
}

function makeRsaKey(session: Session): KeyObject {
  const { publicKey, privateKey } = session.cryptoki.generateKeyPair(
    session.session,
    { mechanism: ck.CKM_RSA_PKCS_KEY_PAIR_GEN },
    template([ck.CKA_MODULUS_BITS, 2048], [ck.CKA_PUBLIC_EXPONENT, Uint8Array.of(1, 0, 1)], [ck.CKA_ENCRYPT, true]),
    template([ck.CKA_DECRYPT, true], ...SECRET),
  );
  const key = readKey(session, privateKey, "rsa");
  session.found.publicHalves.set(key, { handle: publicKey, encrypt: true });
  return key;
}

function template(...attributes: readonly (readonly [number, boolean | number | Uint8Array])[]): Template {
  return new Map([[ck.CKA_TOKEN, false], ...attributes]);
}

/** What a failed operation leaves in a session differs from token to token, so each has its own. */
async function inOwnSession<T>(session: Session, work: (session: Session) => Promise<T>): Promise<T> {
  const own = session.cryptoki.openSession(session.slot);
  try {
    return await work({ ...session, session: own });
  } finally {
    session.cryptoki.closeSession(own);
  }
}

/** The result, or why there is none. */
function attempt<T>(work: () => T): T | string {
  try {
    return work();
  } catch (error) {
    return tokenFailure(error).message;
  }
}

function failed({ name }: Wrapping, failure: string): Pkcs11TestResult {
  return { mechanism: name, wrapMs: undefined, unwrapMs: undefined, failure };
}

function median(values: readonly number[]): number | undefined {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
}

const ROUNDS = 5;
const AAD: Uint8Array = Uint8Array.of(1);
const SECRET = [
  [ck.CKA_SENSITIVE, true],
  [ck.CKA_EXTRACTABLE, false],
] as const;
