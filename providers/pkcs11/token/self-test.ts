import { byteAt, copyOf, equalPublicBytes, type OwnedBytes, wipe } from "../../../src/core/base/bytes.ts";
import { type Clock, systemClock } from "../../../src/core/base/clock.ts";
import { type OptionNames, refuseUnknown } from "../../../src/core/base/options.ts";
import { DATA_KEY_BYTES } from "../../../src/core/contracts/suite.ts";
import * as ck from "../cryptoki/constants.ts";
import type { Template } from "../cryptoki/cryptoki.ts";
import { tokenFailure } from "../cryptoki/failures.ts";
import { keySelector, type Pkcs11KeySelector } from "../options.ts";
import { findKeys, keyMissing, requireUsable } from "../session/key-objects.ts";
import type { KeyObject, Session, UseSession } from "../session/session.ts";
import { type Pkcs11Mechanism, unwrapUnder, WRAPPINGS, type Wrapping, wrapUnder } from "../wrapping/wrappings.ts";
import { isListed, type Pkcs11TestKey, removeTestKeys, withTestKey } from "./test-keys.ts";

export interface Pkcs11SelfTestOptions {
  /** Tries this key, in place of keys that are made for the test. */
  readonly key?: Pkcs11KeySelector;
  /** Default: the machine's clock. */
  readonly clock?: Clock;
}

export interface Pkcs11TestResult {
  readonly mechanism: Pkcs11Mechanism;
  /** Medians of a few calls, one after the other; undefined if the mechanism does not work here. */
  readonly wrapMs: number | undefined;
  readonly unwrapMs: number | undefined;
  /** The key that was used: an object of the session, one on the token that was deleted again, or the named one. Undefined if there was none. */
  readonly key: Pkcs11TestKey | undefined;
  /** The reason for which it does not work; undefined if it works. */
  readonly failure: string | undefined;
  /** One sentence that says what the result means for a provider. */
  readonly meaning: string;
}

/**
 * Wraps and unwraps with every mechanism as a provider does, and checks that changed bytes are refused. Not so under an RSA key that is
 * made on the token: a TPM deletes no key any more under which an operation has failed, and the padding of OAEP shows changes anyway.
 *
 * @param use gives sessions that may write
 * @throws `invalid-argument` for the options, `key-not-found` for the named key; what the token says if it is lost
 */
export async function selfTest(use: UseSession, options: Pkcs11SelfTestOptions): Promise<readonly Pkcs11TestResult[]> {
  refuseUnknown(options, OPTIONS, "selfTest");
  const { clock = systemClock } = options;
  const selector = options.key === undefined ? undefined : keySelector("the key", options.key);
  const results: Pkcs11TestResult[] = [];
  const nowMs = (): number => clock.monotonicMs();
  for (const wrapping of await wrappingsFor(use, selector)) {
    const id = crypto.getRandomValues(new Uint8Array(16));
    const result = await inSessionThatMayBeSpoilt(use, (session) => testOf(session, wrapping, { selector, id }, nowMs));
    const isClean = await use((session) => removeTestKeys(session, id)).then(
      () => true,
      () => false,
    );
    results.push(isClean ? result : { ...result, meaning: `${result.meaning}; its test key, envelock-selftest, could not be deleted` });
  }
  return results;
}

/**
 * Runs a test that makes operations fail. Some tokens leave the operation in the session, which is closed then: sessions are when their
 * work throws.
 */
async function inSessionThatMayBeSpoilt<T>(use: UseSession, work: (session: Session) => Promise<T>): Promise<T> {
  let done: { readonly result: T } | undefined;
  try {
    return await use(async (session) => {
      const result = await work(session);
      done = { result };
      session.cryptoki.findObjects(session.session, NOTHING);
      return result;
    });
  } catch (error) {
    if (done === undefined) throw error;
    return done.result;
  }
}

async function wrappingsFor(use: UseSession, selector: Pkcs11KeySelector | undefined): Promise<readonly Wrapping[]> {
  if (selector === undefined) return WRAPPINGS;
  const { kind } = await use((session) => namedKey(session, selector));
  return WRAPPINGS.filter((wrapping) => wrapping.kind === kind);
}

async function testOf(
  session: Session,
  wrapping: Wrapping,
  { selector, id }: { readonly selector: Pkcs11KeySelector | undefined; readonly id: OwnedBytes },
  nowMs: () => number,
): Promise<Pkcs11TestResult> {
  if (!isListed(session, wrapping))
    return failed(wrapping, undefined, "the token does not list it", "the token does not have this mechanism");
  if (selector !== undefined) return await trial(session, { key: namedKey(session, selector), origin: "named" }, wrapping, nowMs);
  return await withTestKey(session, wrapping.kind, id, {
    made: (key, origin) => trial(session, { key, origin }, wrapping, nowMs),
    notMade: (error) =>
      Promise.resolve(
        failed(
          wrapping,
          undefined,
          `no test key could be made: ${tokenFailure(error).message}`,
          "tells nothing about keys that exist: name one by object= in the URI to try it",
        ),
      ),
  });
}

async function trial(
  session: Session,
  { key, origin }: { readonly key: KeyObject; readonly origin: Pkcs11TestKey },
  wrapping: Wrapping,
  nowMs: () => number,
): Promise<Pkcs11TestResult> {
  const wrapTimes: number[] = [];
  const unwrapTimes: number[] = [];
  try {
    requireUsable(key);
    let wrapped: OwnedBytes = new Uint8Array(0);
    for (let round = 0; round < ROUNDS; round++) {
      const dek = crypto.getRandomValues(new Uint8Array(DATA_KEY_BYTES));
      const startMs = nowMs();
      wrapped = await wrapUnder(session, key, wrapping, dek, AAD, false);
      const middleMs = nowMs();
      const opened = await unwrapUnder(session, key, wrapping, wrapped, AAD);
      unwrapTimes.push(nowMs() - middleMs);
      wrapTimes.push(middleMs - startMs);
      if (!equalPublicBytes(opened, dek))
        return failed(wrapping, origin, "another data key came back", "cannot be used: data would be lost");
      wipe(opened, dek);
    }
    if (!(origin === "token" && key.kind === "rsa") && !(await refusesChanges(session, key, wrapping, wrapped)))
      return failed(wrapping, origin, "changed bytes are not refused", "must not be used: it does not notice changes");
  } catch (error) {
    const failure = tokenFailure(error);
    if (failure.retryable && failure.detail === "session") throw error;
    return failed(
      wrapping,
      origin,
      failure.message,
      origin === "named" ? "this key cannot be used with it" : "the token lists it and does not do it",
    );
  }
  const meaning = "works: a provider can use it";
  return { mechanism: wrapping.name, wrapMs: median(wrapTimes), unwrapMs: median(unwrapTimes), key: origin, failure: undefined, meaning };
}

async function refusesChanges(session: Session, key: KeyObject, wrapping: Wrapping, wrapped: OwnedBytes): Promise<boolean> {
  const changed = copyOf(wrapped);
  changed[changed.length - 1] = byteAt(changed, changed.length - 1) ^ 1;
  try {
    wipe(await unwrapUnder(session, key, wrapping, changed, AAD));
    return false;
  } catch {
    return true;
  }
}

function namedKey(session: Session, selector: Pkcs11KeySelector): KeyObject {
  const [key] = findKeys(session, selector);
  if (key === undefined) throw keyMissing({ label: selector.label ?? "", id: selector.id ?? new Uint8Array(0) });
  return key;
}

function failed({ name }: Wrapping, key: Pkcs11TestKey | undefined, failure: string, meaning: string): Pkcs11TestResult {
  return { mechanism: name, wrapMs: undefined, unwrapMs: undefined, key, failure, meaning };
}

function median(values: readonly number[]): number | undefined {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
}

const ROUNDS = 5;
const AAD: Uint8Array = Uint8Array.of(1);
const NOTHING: Template = new Map([[ck.CKA_LABEL, "envelock-selftest, nothing of this name"]]);
const OPTIONS: OptionNames<Pkcs11SelfTestOptions> = { key: true, clock: true };
