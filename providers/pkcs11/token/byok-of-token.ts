import type { KeyObject as PublicKey } from "node:crypto";
import { EnvelockError } from "../../../src/core/base/errors.ts";
import * as ck from "../cryptoki/constants.ts";
import type { Template } from "../cryptoki/cryptoki.ts";
import type { Pkcs11KeySelector } from "../options.ts";
import { findKeys, keyMissing } from "../session/key-objects.ts";
import type { KeyObject, Session } from "../session/session.ts";
import { withMadeObject, withObject } from "../session/session-calls.ts";
import { provesKwp, requiredKwp } from "../wrapping/kwp.ts";
import { oaep } from "../wrapping/wrappings.ts";
import { type ByokKek, formatByok, TRANSFER_KEY_BYTES } from "./byok.ts";
import { isExtractable } from "./key-description.ts";

/**
 * The `.byok` file of a key on the token. In two steps, since few tokens have CKM_RSA_AES_KEY_WRAP and pkcs11js cannot write its
 * parameters: the token makes a transfer key, wraps it under the KEK, and the key under it. Neither shows outside of the token.
 *
 * @throws `access-denied` if the key may not leave the token, `provider-failure` if the token cannot do RFC 5649 for it
 */
export function byokFileOf(session: Session, selector: Pkcs11KeySelector, kek: ByokKek, exchangeKey: PublicKey): string {
  const key = onlyKey(session, selector);
  if (!isExtractable(session, key)) {
    throw new EnvelockError("access-denied", "the key's attributes say that it never leaves the token", {
      detail: "key-usage",
      hint: "CKA_EXTRACTABLE is fixed when a key is made: `envelock hsm keygen --extractable` makes one that can be transferred",
    });
  }
  const mechanism = requiredKwp(session);
  if (key.kind === "rsa" && mechanism !== ck.CKM_AES_KEY_WRAP_KWP && !provesKwp(session, mechanism, ODD_BYTES)) throw padsWrongly();
  const { cryptoki, session: handle } = session;
  const transferKey = cryptoki.generateKey(handle, { mechanism: ck.CKM_AES_KEY_GEN }, TRANSFER_KEY);
  return withMadeObject(session, transferKey, () =>
    withObject(session, exchangeTemplate(exchangeKey), (exchange) => {
      const wrappedTransferKey = cryptoki.wrapKey(handle, oaep(false), exchange, transferKey, modulusBytes(exchangeKey));
      return formatByok(kek, wrappedTransferKey, cryptoki.wrapKey(handle, { mechanism }, transferKey, key.handle, MAX_KEY_BYTES));
    }),
  );
}

function onlyKey(session: Session, selector: Pkcs11KeySelector): KeyObject {
  const [key, ...others] = findKeys(session, selector);
  if (key === undefined) throw keyMissing({ label: selector.label ?? "", id: selector.id ?? new Uint8Array(0) });
  if (others.length === 0) return key;
  throw new EnvelockError("provider-failure", `the token has ${others.length + 1} such keys`, {
    detail: "ambiguous-key",
    hint: "name the key's id too",
  });
}

function exchangeTemplate(exchangeKey: PublicKey): Template {
  const { n = "", e = "" } = exchangeKey.export({ format: "jwk" });
  return new Map<number, boolean | number | Uint8Array>([
    [ck.CKA_CLASS, ck.CKO_PUBLIC_KEY],
    [ck.CKA_KEY_TYPE, ck.CKK_RSA],
    [ck.CKA_TOKEN, false],
    [ck.CKA_WRAP, true],
    [ck.CKA_MODULUS, Buffer.from(n, "base64url")],
    [ck.CKA_PUBLIC_EXPONENT, Buffer.from(e, "base64url")],
  ]);
}

function modulusBytes(exchangeKey: PublicKey): number {
  return (exchangeKey.asymmetricKeyDetails?.modulusLength ?? 0) / 8;
}

function padsWrongly(): EnvelockError {
  return new EnvelockError("provider-failure", "the token adds zeros to what it wraps, so a private key would not arrive as it is", {
    detail: "mechanism",
    hint: "AES keys can be transferred from this token",
  });
}

const TRANSFER_KEY: Template = new Map<number, boolean | number>([
  [ck.CKA_TOKEN, false],
  [ck.CKA_VALUE_LEN, TRANSFER_KEY_BYTES],
  [ck.CKA_WRAP, true],
  [ck.CKA_SENSITIVE, true],
  [ck.CKA_EXTRACTABLE, true],
]);
const ODD_BYTES = 37; // no multiple of 8, as most private keys
const MAX_KEY_BYTES = 4096; // an RSA key of 4096 bits takes 2,400
