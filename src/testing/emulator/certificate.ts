import { generateKeyPairSync } from "node:crypto";
import { systemClock } from "../../core/base/clock.ts";
import { certificatePem, der, extension, sequence, signedCertificate } from "./x509.ts";

/** Makes a server certificate for 127.0.0.1 and the authority that signs it. Both are valid for 30 days from now. */
export interface LoopbackCertificate {
  readonly ca: string;
  readonly certificate: string;
  readonly privateKey: string;
}

// ECDSA with P-256 and SHA-256
export function loopbackCertificate(): LoopbackCertificate {
  const authority = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const server = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const basicConstraints = extension("551d13", sequence(der(0x01, [0xff])), true);
  const altName = extension("551d11", sequence(der(0x87, [127, 0, 0, 1]), der(0x82, Buffer.from("localhost"))));
  const nowMs = systemClock.unixMs(); // TLS checks the machine's time, not the emulator's clock
  const times = { notBeforeMs: nowMs - DAY_MS, notAfterMs: nowMs + LIFE_MS };
  const sealed = { ...times, issuer: "Emulator authority", signer: authority.privateKey };
  const ca = { ...sealed, serial: 1, subject: "Emulator authority", key: authority.publicKey, extensions: [basicConstraints] };
  return {
    ca: certificatePem(signedCertificate(ca)),
    certificate: certificatePem(
      signedCertificate({ ...sealed, serial: 2, subject: "Emulator", key: server.publicKey, extensions: [altName] }),
    ),
    privateKey: `${server.privateKey.export({ type: "pkcs8", format: "pem" })}`,
  };
}

const DAY_MS = 86_400_000;
const LIFE_MS: number = 30 * DAY_MS;
