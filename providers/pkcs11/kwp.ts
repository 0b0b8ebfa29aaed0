import { createCipheriv } from "node:crypto";
import { concatBytes, equalPublicBytes, type OwnedBytes, wipe } from "../../src/bytes.ts";
import { EnvelockError } from "../../src/errors.ts";
import * as ck from "./constants.ts";
import { mechanismFlags, withObject } from "./session-calls.ts";
import type { Session } from "./token-sessions.ts";

/**
 * The number under which this token does RFC 5649. CKM_AES_KEY_WRAP_KWP if it lists that. CKM_AES_KEY_WRAP_PAD is RFC 5649 on some
 * tokens and something else on others, so it counts only once the token has wrapped a key of ours to the very bytes of RFC 5649.
 *
 * @returns undefined if the token has none that is known to be it
 */
export function kwpMechanism(session: Session): number | undefined {
  if (mechanismFlags(session, ck.CKM_AES_KEY_WRAP_KWP) !== 0) return ck.CKM_AES_KEY_WRAP_KWP;
  if ((mechanismFlags(session, ck.CKM_AES_KEY_WRAP_PAD) & ck.CKF_WRAP) === 0) return undefined;
  session.found.isPadKwp ??= provesKwp(session, ck.CKM_AES_KEY_WRAP_PAD);
  return session.found.isPadKwp ? ck.CKM_AES_KEY_WRAP_PAD : undefined;
}

/** @throws `provider-failure` */
export function requiredKwp(session: Session): number {
  const mechanism = kwpMechanism(session);
  if (mechanism !== undefined) return mechanism;
  throw new EnvelockError("provider-failure", "the token has no mechanism that is known to be RFC 5649", {
    detail: "mechanism",
    hint: 'use "aes-gcm" or "aes-kw"',
    cause: new Error("CKM_AES_KEY_WRAP_KWP is not in C_GetMechanismList, and CKM_AES_KEY_WRAP_PAD wrapped to other bytes"),
  });
}

/** With two random keys that exist for this call alone. A token that takes no keys from outside proves nothing. */
function provesKwp(session: Session, mechanism: number): boolean {
  const { cryptoki, session: handle } = session;
  const [kek, key] = [random32(), random32()];
  try {
    const wrapped = withObject(session, wrappingKey(kek), (wrapping) =>
      withObject(session, wrappedKey(key), (object) => cryptoki.wrapKey(handle, { mechanism }, wrapping, object, KWP_BYTES)),
    );
    return equalPublicBytes(wrapped, rfc5649(kek, key));
  } catch {
    return false;
  } finally {
    wipe(kek, key);
  }
}

function rfc5649(kek: Uint8Array, key: Uint8Array): OwnedBytes {
  const cipher = createCipheriv("id-aes256-wrap-pad", kek, RFC5649_CONSTANT);
  return concatBytes(cipher.update(key), cipher.final());
}

function wrappingKey(value: Uint8Array): ReadonlyMap<number, boolean | number | Uint8Array> {
  return new Map<number, boolean | number | Uint8Array>([
    [ck.CKA_CLASS, ck.CKO_SECRET_KEY],
    [ck.CKA_KEY_TYPE, ck.CKK_AES],
    [ck.CKA_TOKEN, false],
    [ck.CKA_WRAP, true],
    [ck.CKA_VALUE, value],
  ]);
}

function wrappedKey(value: Uint8Array): ReadonlyMap<number, boolean | number | Uint8Array> {
  return new Map<number, boolean | number | Uint8Array>([
    [ck.CKA_CLASS, ck.CKO_SECRET_KEY],
    [ck.CKA_KEY_TYPE, ck.CKK_AES],
    [ck.CKA_TOKEN, false],
    [ck.CKA_EXTRACTABLE, true],
    [ck.CKA_SENSITIVE, false],
    [ck.CKA_VALUE, value],
  ]);
}

function random32(): OwnedBytes {
  return crypto.getRandomValues(new Uint8Array(32));
}

const KWP_BYTES = 40;
const RFC5649_CONSTANT = Uint8Array.of(0xa6, 0x59, 0x59, 0xa6);
