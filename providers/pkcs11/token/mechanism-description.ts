import * as ck from "../cryptoki/constants.ts";
import type { Session } from "../session/session.ts";
import { mechanismFlags } from "../session/session-calls.ts";

export interface Pkcs11MechanismDescription {
  readonly number: number;
  /** Undefined for one that is not in the standard, or not to do with keys. */
  readonly name: string | undefined;
  /** The uses that the token lists. */
  readonly uses: readonly string[];
  /** The wrappings that Envelock could do with it. */
  readonly wrapping: string | undefined;
}

export function describeMechanisms(session: Session): readonly Pkcs11MechanismDescription[] {
  const numbers = [...session.cryptoki.mechanisms(session.slot)].sort((a, b) => a - b);
  return numbers.map((number) => {
    const flags = mechanismFlags(session, number);
    return {
      number,
      name: NAMES.get(number),
      uses: FLAGS.flatMap(([flag, use]) => ((flags & flag) === 0 ? [] : [use])),
      wrapping: WRAPPING_OF.get(number),
    };
  });
}

/** PKCS#11 v3.1, mechanism flags. */
const FLAGS: readonly (readonly [flag: number, use: string])[] = [
  [0x100, "encrypt"],
  [0x200, "decrypt"],
  [0x400, "digest"],
  [0x800, "sign"],
  [0x2000, "verify"],
  [0x8000, "generate"],
  [0x10000, "generate pair"],
  [0x20000, "wrap"],
  [0x40000, "unwrap"],
  [0x80000, "derive"],
];

const WRAPPING_OF: ReadonlyMap<number, string> = new Map([
  [ck.CKM_AES_GCM, "aes-gcm"],
  [ck.CKM_AES_KEY_WRAP, "aes-kw"],
  [ck.CKM_AES_KEY_WRAP_KWP, "aes-kwp"],
  [ck.CKM_AES_KEY_WRAP_PAD, "aes-kwp, if a trial shows that it is RFC 5649"],
  [ck.CKM_RSA_PKCS_OAEP, "rsa-oaep-256, rsa-oaep-sha1"],
]);

const NAMES: ReadonlyMap<number, string> = new Map([
  [0x0000, "CKM_RSA_PKCS_KEY_PAIR_GEN"],
  [0x0001, "CKM_RSA_PKCS"],
  [0x0003, "CKM_RSA_X_509"],
  [0x0006, "CKM_SHA1_RSA_PKCS"],
  [0x0009, "CKM_RSA_PKCS_OAEP"],
  [0x000a, "CKM_RSA_X9_31_KEY_PAIR_GEN"],
  [0x000d, "CKM_RSA_PKCS_PSS"],
  [0x0040, "CKM_SHA256_RSA_PKCS"],
  [0x0041, "CKM_SHA384_RSA_PKCS"],
  [0x0042, "CKM_SHA512_RSA_PKCS"],
  [0x0220, "CKM_SHA_1"],
  [0x0250, "CKM_SHA256"],
  [0x0251, "CKM_SHA256_HMAC"],
  [0x0260, "CKM_SHA384"],
  [0x0270, "CKM_SHA512"],
  [0x0350, "CKM_GENERIC_SECRET_KEY_GEN"],
  [0x1040, "CKM_EC_KEY_PAIR_GEN"],
  [0x1041, "CKM_ECDSA"],
  [0x1050, "CKM_ECDH1_DERIVE"],
  [0x1051, "CKM_ECDH1_COFACTOR_DERIVE"],
  [0x1054, "CKM_RSA_AES_KEY_WRAP"],
  [0x1055, "CKM_EC_EDWARDS_KEY_PAIR_GEN"],
  [0x1056, "CKM_EC_MONTGOMERY_KEY_PAIR_GEN"],
  [0x1057, "CKM_EDDSA"],
  [0x1080, "CKM_AES_KEY_GEN"],
  [0x1081, "CKM_AES_ECB"],
  [0x1082, "CKM_AES_CBC"],
  [0x1083, "CKM_AES_MAC"],
  [0x1085, "CKM_AES_CBC_PAD"],
  [0x1086, "CKM_AES_CTR"],
  [0x1087, "CKM_AES_GCM"],
  [0x1088, "CKM_AES_CCM"],
  [0x1089, "CKM_AES_CTS"],
  [0x108a, "CKM_AES_CMAC"],
  [0x2109, "CKM_AES_KEY_WRAP"],
  [0x210a, "CKM_AES_KEY_WRAP_PAD"],
  [0x210b, "CKM_AES_KEY_WRAP_KWP"],
]);
