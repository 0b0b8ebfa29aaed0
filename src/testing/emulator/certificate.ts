import { generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { systemClock } from "../../core/base/clock.ts";

/** Makes a server certificate for 127.0.0.1 and the authority that signs it. Both are valid for 30 days from now. */
export interface LoopbackCertificate {
  readonly ca: string;
  readonly certificate: string;
  readonly privateKey: string;
}

// RFC 5280 §4.1, ECDSA with P-256 and SHA-256
export function loopbackCertificate(): LoopbackCertificate {
  const authority = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const server = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const basicConstraints = extension("551d13", sequence(der(0x01, [0xff])), true);
  const altName = extension("551d11", sequence(der(0x87, [127, 0, 0, 1]), der(0x82, Buffer.from("localhost"))));
  const sealed = { issuer: "Emulator authority", signer: authority.privateKey };
  return {
    ca: pem(certificate({ ...sealed, serial: 1, subject: "Emulator authority", key: authority.publicKey, extensions: basicConstraints })),
    certificate: pem(certificate({ ...sealed, serial: 2, subject: "Emulator", key: server.publicKey, extensions: altName })),
    privateKey: `${server.privateKey.export({ type: "pkcs8", format: "pem" })}`,
  };
}

interface CertificateContent {
  readonly serial: number;
  readonly issuer: string;
  readonly subject: string;
  readonly key: KeyObject;
  readonly signer: KeyObject;
  readonly extensions: Buffer;
}

function certificate({ serial, issuer, subject, key, signer, extensions }: CertificateContent): Buffer {
  const ecdsaWithSha256 = sequence(oid("2a8648ce3d040302"));
  const nowMs = systemClock.unixMs(); // TLS checks the machine's time, not the emulator's clock
  const toBeSigned = sequence(
    der(0xa0, der(0x02, [2])),
    der(0x02, [serial]),
    ecdsaWithSha256,
    name(issuer),
    sequence(utcTime(nowMs - DAY_MS), utcTime(nowMs + LIFE_MS)),
    name(subject),
    key.export({ type: "spki", format: "der" }),
    der(0xa3, sequence(extensions)),
  );
  const signature = sign("sha256", toBeSigned, signer);
  return sequence(toBeSigned, ecdsaWithSha256, der(0x03, Buffer.concat([Buffer.of(0), signature])));
}

function name(commonName: string): Buffer {
  return sequence(der(0x31, sequence(oid("550403"), der(0x0c, Buffer.from(commonName)))));
}

function extension(id: string, value: Buffer, isCritical = false): Buffer {
  return sequence(oid(id), ...(isCritical ? [der(0x01, [0xff])] : []), der(0x04, value));
}

function utcTime(timeMs: number): Buffer {
  return der(0x17, Buffer.from(`${new Date(timeMs).toISOString().replaceAll(/[-:T]/g, "").slice(2, 14)}Z`));
}

function oid(hex: string): Buffer {
  return der(0x06, Buffer.from(hex, "hex"));
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return der(0x30, Buffer.concat(parts));
}

function der(tag: number, content: Uint8Array | readonly number[]): Buffer {
  const bytes = Buffer.from(content);
  const { length } = bytes;
  if (length < 0x80) return Buffer.concat([Buffer.of(tag, length), bytes]);
  const head = length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.of(tag, ...head), bytes]);
}

function pem(bytes: Buffer): string {
  return `-----BEGIN CERTIFICATE-----\n${bytes.toString("base64").replaceAll(/.{64}/g, "$&\n")}\n-----END CERTIFICATE-----\n`;
}

const DAY_MS = 86_400_000;
const LIFE_MS: number = 30 * DAY_MS;
