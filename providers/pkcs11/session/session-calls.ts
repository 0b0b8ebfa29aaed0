import * as ck from "../cryptoki/constants.ts";
import type { Handle, Mechanism, Template } from "../cryptoki/cryptoki.ts";
import { refusesMechanism, returns } from "../cryptoki/failures.ts";
import type { Session } from "./token-sessions.ts";

/** What the token says of a mechanism, CKF_ENCRYPT and the like; 0 if it has not got it. */
export function mechanismFlags({ cryptoki, slot, found }: Session, mechanism: number): number {
  const known = found.mechanismFlags.get(mechanism);
  if (known !== undefined) return known;
  const flags = cryptoki.mechanisms(slot).includes(mechanism) ? flagsOf({ cryptoki, slot }, mechanism) : 0;
  found.mechanismFlags.set(mechanism, flags);
  return flags;
}

/** Whether a key decrypts with these parameters. Asked in a session of its own, for the operation that begins cannot be ended. */
export function takesDecryption({ cryptoki, slot }: Session, mechanism: Mechanism, key: Handle): boolean {
  const session = cryptoki.openSession(slot);
  try {
    cryptoki.decryptInit(session, mechanism, key);
    return true;
  } catch (error) {
    if (refusesMechanism(error)) return false;
    throw error;
  } finally {
    cryptoki.closeSession(session);
  }
}

/** An object of the session for as long as `use` takes. */
export function withObject<T>(session: Session, template: Template, use: (object: Handle) => T): T {
  return withMadeObject(session, session.cryptoki.createObject(session.session, template), use);
}

/** Destroys the object, also if `use` fails. Where that fails too the session is closed by its owner, and the object with it. */
export function withMadeObject<T>({ cryptoki, session }: Session, object: Handle, use: (object: Handle) => T): T {
  let result: T;
  try {
    result = use(object);
  } catch (error) {
    destroyQuietly(cryptoki, session, object);
    throw error;
  }
  cryptoki.destroyObject(session, object);
  return result;
}

function flagsOf({ cryptoki, slot }: Pick<Session, "cryptoki" | "slot">, mechanism: number): number {
  try {
    return cryptoki.mechanismFlags(slot, mechanism);
  } catch (error) {
    if (returns(error, ck.CKR_MECHANISM_INVALID)) return 0;
    throw error;
  }
}

function destroyQuietly(cryptoki: Session["cryptoki"], session: Handle, object: Handle): void {
  try {
    cryptoki.destroyObject(session, object);
  } catch {
    // the failure before this one says more
  }
}
