import { equalPublicBytes, type OwnedBytes, wipe } from "../../../src/core/base/bytes.ts";
import { EnvelockError } from "../../../src/core/base/errors.ts";
import * as ck from "../cryptoki/constants.ts";
import type { Template } from "../cryptoki/cryptoki.ts";
import { losesToken } from "../cryptoki/failures.ts";
import type { Session } from "../session/session.ts";
import { mechanismFlags, withObject } from "../session/session-calls.ts";
import { wrapPadded } from "./rfc5649.ts";

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
  });
}

/**
 * Whether the token wraps so many bytes to those of RFC 5649: some get only multiples of 8 right. With two random keys that exist for
 * this call alone; a token that takes no keys from outside proves nothing.
 */
export function provesKwp(session: Session, mechanism: number, keyBytes: number = AES_256_BYTES): boolean {
  const { cryptoki, session: handle } = session;
  const [kek, key] = [random(AES_256_BYTES), random(keyBytes)];
  try {
    const extractable = sessionKey(key, ck.CKK_GENERIC_SECRET, [ck.CKA_EXTRACTABLE, true], [ck.CKA_SENSITIVE, false]);
    const wrapped = withObject(session, sessionKey(kek, ck.CKK_AES, [ck.CKA_WRAP, true]), (wrapping) =>
      withObject(session, extractable, (object) => cryptoki.wrapKey(handle, { mechanism }, wrapping, object, keyBytes + 16)),
    );
    return equalPublicBytes(wrapped, wrapPadded(kek, key));
  } catch (error) {
    if (losesToken(error)) throw error;
    return false;
  } finally {
    wipe(kek, key);
  }
}

function sessionKey(value: Uint8Array, keyType: number, ...attributes: readonly (readonly [number, boolean])[]): Template {
  return new Map<number, boolean | number | Uint8Array>([
    [ck.CKA_CLASS, ck.CKO_SECRET_KEY],
    [ck.CKA_KEY_TYPE, keyType],
    [ck.CKA_TOKEN, false],
    [ck.CKA_VALUE, value],
    ...attributes,
  ]);
}

function random(bytes: number): OwnedBytes {
  return crypto.getRandomValues(new Uint8Array(bytes));
}

const AES_256_BYTES = 32;
