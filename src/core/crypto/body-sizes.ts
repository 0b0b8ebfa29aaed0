import { malformed } from "../base/errors.ts";
import { CHUNK_BYTES, COMMITMENT_BYTES, SALT_BYTES, TAG_BYTES } from "../contracts/suite.ts";

// The sizes of a Cobblestone-256 body, for callers that count without a cipher. docs/format.md §6

export const SEALED_CHUNK_BYTES: number = CHUNK_BYTES + TAG_BYTES;
export const BODY_PREFIX_BYTES: number = SALT_BYTES + COMMITMENT_BYTES;

/** The length of a body. The last chunk is always shorter than a full one and so marks the end, hence the `+ 1`. */
export function bodyBytes(plaintextBytes: number): number {
  return BODY_PREFIX_BYTES + plaintextBytes + TAG_BYTES * chunkCount(plaintextBytes);
}

export function chunkCount(plaintextBytes: number): number {
  return Math.floor(plaintextBytes / CHUNK_BYTES) + 1;
}

/** The plaintext's length from a body's, or undefined if no body has that length. To be trusted only once the last chunk has opened. */
export function plaintextBytesOf(bodyLength: number): number | undefined {
  const chunks = Math.floor((bodyLength - BODY_PREFIX_BYTES) / SEALED_CHUNK_BYTES);
  const rest = (bodyLength - BODY_PREFIX_BYTES) % SEALED_CHUNK_BYTES;
  return chunks < 0 || rest < TAG_BYTES ? undefined : CHUNK_BYTES * chunks + rest - TAG_BYTES;
}

/**
 * The plaintext's length that a body of this length holds, if its last chunk opens.
 *
 * @throws `malformed-envelope` if no body has this length
 */
export function claimedPlaintextBytes(bodyLength: number): number {
  const plaintextBytes = plaintextBytesOf(bodyLength);
  if (plaintextBytes === undefined) throw malformed(`no body has ${bodyLength} bytes: it is cut short`);
  return plaintextBytes;
}
