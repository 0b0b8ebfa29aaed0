import { crc32c } from "./crc32c.ts";
import type { KeyVersion, KmsKey } from "./kms-key.ts";

// Resources as the service writes them: int64 as decimal texts, times by RFC 3339, enumerations by name.

export function describedKey(key: KmsKey): object {
  const { name, purpose, protectionLevel, algorithm, createdMs, rotationSeconds } = key;
  const primary = key.versions[key.primary - 1];
  return {
    name,
    ...(purpose === "ENCRYPT_DECRYPT" && primary !== undefined && { primary: describedVersion(key, primary) }),
    purpose,
    createTime: timeText(createdMs),
    ...(rotationSeconds !== undefined && {
      rotationPeriod: `${rotationSeconds}s`,
      nextRotationTime: timeText(createdMs + rotationSeconds * 1000),
    }),
    versionTemplate: { protectionLevel, algorithm },
    destroyScheduledDuration: "2592000s",
  };
}

export function describedVersion({ protectionLevel }: KmsKey, { name, state, algorithm, createdMs }: KeyVersion): object {
  return { name, state, protectionLevel, algorithm, createTime: timeText(createdMs), generateTime: timeText(createdMs) };
}

export function describedPublicKey(key: KmsKey, version: KeyVersion): object {
  const pem = key.publicKeyOf(version);
  const { name, algorithm } = version;
  return { pem, algorithm, pemCrc32c: checksumOf(Buffer.from(pem)), name, protectionLevel: key.protectionLevel };
}

export function checksumOf(bytes: Uint8Array): string {
  return `${crc32c(bytes)}`;
}

export function timeText(unixMs: number): string {
  return new Date(unixMs).toISOString();
}
