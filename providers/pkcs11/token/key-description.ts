import { byteAt, toHex } from "../../../src/core/base/bytes.ts";
import * as ck from "../cryptoki/constants.ts";
import { formatKeyId } from "../key-id.ts";
import type { KeyObject, KeyUsage, Session } from "../session/session.ts";

export interface Pkcs11KeyDescription {
  /** The key id in recipients of this key. */
  readonly keyId: string;
  readonly kind: "aes" | "rsa";
  /** Undefined if the token does not say. */
  readonly bits: number | undefined;
  readonly label: string;
  /** CKA_ID in hexadecimal digits. */
  readonly id: string;
  /** Days as `YYYYMMDD`. */
  readonly startDate: string | undefined;
  readonly endDate: string | undefined;
  /** The uses that its attributes allow; for an RSA key, those of the private half. */
  readonly uses: readonly (keyof KeyUsage)[];
  /** Whether it may leave the token wrapped under another key. */
  readonly isExtractable: boolean;
}

export function describeKey(session: Session, key: KeyObject): Pkcs11KeyDescription {
  const { kind, label, id, startDate, endDate, usage } = key;
  return {
    keyId: formatKeyId({ token: session.info.label, label, id, serial: session.info.serial }),
    kind,
    bits: key.modulus === undefined ? aesBits(session, key) : key.modulus.length * 8,
    label,
    id: toHex(id),
    startDate,
    endDate,
    uses: USES.filter((use) => usage[use]),
    isExtractable: isExtractable(session, key),
  };
}

export function isExtractable({ cryptoki, session }: Session, { handle }: KeyObject): boolean {
  const value = cryptoki.attribute(session, handle, ck.CKA_EXTRACTABLE);
  return value !== undefined && byteAt(value, 0) !== 0;
}

/** A CK_ULONG has the order of bytes of the machine; no key has more than 255 of them. */
function aesBits({ cryptoki, session }: Session, { handle }: KeyObject): number | undefined {
  const bytes = cryptoki.attribute(session, handle, ck.CKA_VALUE_LEN)?.find((byte) => byte !== 0);
  return bytes === undefined ? undefined : bytes * 8;
}

const USES = ["encrypt", "decrypt", "wrap", "unwrap"] as const;
