import * as ck from "../cryptoki/constants.ts";
import type { Handle, Template } from "../cryptoki/cryptoki.ts";
import { returns } from "../cryptoki/failures.ts";
import type { Session } from "./session.ts";

/** The flags that the token gives for a mechanism, such as CKF_ENCRYPT; 0 if it does not list the mechanism. */
export function mechanismFlags({ cryptoki, slot, found }: Session, mechanism: number): number {
  const known = found.mechanismFlags.get(mechanism);
  if (known !== undefined) return known;
  found.mechanisms ??= new Set(cryptoki.mechanisms(slot));
  const flags = found.mechanisms.has(mechanism) ? flagsOf({ cryptoki, slot }, mechanism) : 0;
  found.mechanismFlags.set(mechanism, flags);
  return flags;
}

/** Makes an object of the session that exists while `use` runs. */
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
