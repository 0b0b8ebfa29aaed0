import { type KeyObject, sign } from "node:crypto";

/** The content of a certificate, and the key that signs it: RSA with SHA-256, or ECDSA with SHA-256. */
export interface CertificateContent {
  readonly serial: number;
  /** Common names. */
  readonly issuer: string;
  readonly subject: string;
  /** Unix times in milliseconds. */
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** The public key. */
  readonly key: KeyObject;
  /** The private key of the issuer. */
  readonly signer: KeyObject;
  /** Made with {@link extension}. */
  readonly extensions: readonly Buffer[];
}

/** Makes an X.509 certificate in DER. RFC 5280 §4.1 */
export function signedCertificate(content: CertificateContent): Buffer {
  const { serial, issuer, subject, notBeforeMs, notAfterMs, key, signer, extensions } = content;
  const algorithm = signer.asymmetricKeyType === "rsa" ? SHA256_WITH_RSA : ECDSA_WITH_SHA256;
  const toBeSigned = sequence(
    der(0xa0, der(0x02, [2])),
    der(0x02, [serial]),
    algorithm,
    name(issuer),
    sequence(time(notBeforeMs), time(notAfterMs)),
    name(subject),
    key.export({ type: "spki", format: "der" }),
    der(0xa3, sequence(...extensions)),
  );
  const signature = sign("sha256", toBeSigned, signer);
  return sequence(toBeSigned, algorithm, der(0x03, Buffer.concat([Buffer.of(0), signature])));
}

/** @param id the object id's content in hex @param value the DER of the extension's value */
export function extension(id: string, value: Buffer, isCritical = false): Buffer {
  return sequence(oid(id), ...(isCritical ? [der(0x01, [0xff])] : []), der(0x04, value));
}

export function sequence(...parts: readonly Buffer[]): Buffer {
  return der(0x30, Buffer.concat(parts));
}

export function der(tag: number, content: Uint8Array | readonly number[]): Buffer {
  const bytes = Buffer.from(content);
  const { length } = bytes;
  if (length < 0x80) return Buffer.concat([Buffer.of(tag, length), bytes]);
  const head = length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.of(tag, ...head), bytes]);
}

export function certificatePem(bytes: Buffer): string {
  return `-----BEGIN CERTIFICATE-----\n${bytes.toString("base64").replaceAll(/.{64}/g, "$&\n")}\n-----END CERTIFICATE-----\n`;
}

function name(commonName: string): Buffer {
  return sequence(der(0x31, sequence(oid("550403"), der(0x0c, Buffer.from(commonName)))));
}

/** RFC 5280 §4.1.2.5: years from 2050 on have four digits. */
function time(timeMs: number): Buffer {
  const digits = new Date(timeMs).toISOString().replaceAll(/[-:T]/g, "").slice(0, 14);
  return digits < "2050" ? der(0x17, Buffer.from(`${digits.slice(2)}Z`)) : der(0x18, Buffer.from(`${digits}Z`));
}

function oid(hex: string): Buffer {
  return der(0x06, Buffer.from(hex, "hex"));
}

const ECDSA_WITH_SHA256: Buffer = sequence(oid("2a8648ce3d040302"));
const SHA256_WITH_RSA: Buffer = sequence(oid("2a864886f70d01010b"), der(0x05, []));
