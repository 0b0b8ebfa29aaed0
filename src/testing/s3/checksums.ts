import { createHash, type Hash } from "node:crypto";
import { crc32 } from "node:zlib";
import { Crc32, Crc64 } from "../emulator/crc.ts";

/** The checksums that the emulator computes. The service knows more, which it refuses. */
export type ChecksumAlgorithm = keyof typeof MAKERS;

/** Whether a checksum covers the bytes of the object, or the checksums of its parts. */
export type ChecksumType = "FULL_OBJECT" | "COMPOSITE";

export interface Checksum {
  readonly algorithm: ChecksumAlgorithm;
  readonly type: ChecksumType;
  /** Base64, with `-n` behind it where it covers the checksums of n parts. */
  readonly value: string;
}

export function isChecksumAlgorithm(text: string): text is ChecksumAlgorithm {
  return Object.hasOwn(MAKERS, text);
}

/** Computes a checksum of bytes. @returns base64 */
export function checksumOf(algorithm: ChecksumAlgorithm, pieces: readonly Uint8Array[]): string {
  const made = MAKERS[algorithm]();
  for (const piece of pieces) made.update(piece);
  return made.digest().toString("base64");
}

/** Computes the checksum of an object from those of its parts. @param parts base64 */
export function compositeChecksum(algorithm: ChecksumAlgorithm, parts: readonly string[]): string {
  const bytes = parts.map((part) => Buffer.from(part, "base64"));
  return `${checksumOf(algorithm, bytes)}-${parts.length}`;
}

/** The name of the header, such as `x-amz-checksum-crc32`. */
export function checksumHeader(algorithm: ChecksumAlgorithm): string {
  return `x-amz-checksum-${algorithm.toLowerCase()}`;
}

/** The name of the XML element, such as `ChecksumCRC32`. */
export function checksumElement(algorithm: ChecksumAlgorithm): string {
  return `Checksum${algorithm}`;
}

/** Whether the service lets a checksum of this algorithm be of this type. */
export function fits(algorithm: ChecksumAlgorithm, type: ChecksumType): boolean {
  if (algorithm === "CRC64NVME") return type === "FULL_OBJECT";
  return type === "COMPOSITE" || algorithm === "CRC32" || algorithm === "CRC32C";
}

interface Digest {
  update(bytes: Uint8Array): unknown;
  digest(): Buffer;
}

/** What every client sends unless it is told otherwise, so it has to be fast. */
class ZlibCrc32 implements Digest {
  #rest = 0;

  update(bytes: Uint8Array): void {
    this.#rest = crc32(bytes, this.#rest);
  }

  digest(): Buffer {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(this.#rest);
    return bytes;
  }
}

const MAKERS = {
  CRC32: (): Digest => new ZlibCrc32(),
  CRC32C: (): Digest => new Crc32(0x82f63b78),
  CRC64NVME: (): Digest => new Crc64(0x9a6c9329, 0xac4bc9b5),
  SHA1: (): Hash => createHash("sha1"),
  SHA256: (): Hash => createHash("sha256"),
} as const;

export const CHECKSUM_ALGORITHMS: readonly ChecksumAlgorithm[] = ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"];
