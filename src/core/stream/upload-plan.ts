import { copyOf, equalPublicBytes, isBytes } from "../base/bytes.ts";
import { invalidArgument } from "../base/errors.ts";
import { CHUNK_BYTES } from "../contracts/suite.ts";
import { BODY_PREFIX_BYTES, bodyBytes, SEALED_CHUNK_BYTES } from "../crypto/body-sizes.ts";
import { MAX_HEADER_BYTES } from "../format/envelope.ts";

/** The lengths of the parts that an upload is cut into: by `partBytes` or by `storedPartBytes`, one of the two. */
export interface UploadPlan {
  /** The exact length of all parts together. */
  readonly plaintextBytes: number;
  /** Plaintext bytes in every part but the last, which has what is left: a multiple of 16,384, below 4 GiB. */
  readonly partBytes?: number;
  /**
   * Encrypted bytes in every part but the last, which has what is left, for stores that want equal parts: below 4 GiB, and large enough
   * for the header and three chunks. The header is padded to a size that is known beforehand, `minHeaderBytes`. A chunk that lies across
   * two parts is in the plaintext of both, so their ranges overlap.
   */
  readonly storedPartBytes?: number;
  /**
   * The result of `partDigests` for this plan, if the upload is to go on after a crash. A part that is not what was stated is refused.
   */
  readonly partDigests?: readonly Uint8Array[];
}

/** A plan that is possible, and the caller's to change no more. */
export interface CheckedPlan {
  readonly plaintextBytes: number;
  /** Bytes in every part but the last: of the plaintext, or of the envelope if `headerBytes` is known. */
  readonly partBytes: number;
  /** The exact length of the header, where parts are counted in stored bytes. */
  readonly headerBytes?: number;
  readonly partDigests?: readonly Uint8Array[];
}

/** The plaintext that one part takes, and the bytes that it gives. */
export interface PartPlan {
  /** The range of the plaintext that it takes. */
  readonly start: number;
  readonly end: number;
  /** Whether the body's last chunk is in it. */
  readonly isEnd: boolean;
  /** The bytes of its chunks, with the header before the first of them, that belong to the parts before. */
  readonly skipBytes: number;
  /** Its length in bytes; undefined if it is all of its chunks. */
  readonly storedBytes?: number;
  /** The segments of it that have digests of their own. No two parts take different bytes for the same segment. */
  readonly segments: readonly Segment[];
}

export interface Segment {
  /** The index of its digest in the plan's. */
  readonly digest: number;
  readonly start: number;
  readonly end: number;
}

/** @throws `invalid-argument` */
export function checkedPlan(given: UploadPlan, minHeaderBytes: number | undefined): CheckedPlan {
  const { plaintextBytes, partBytes, storedPartBytes, partDigests } = given;
  if (!Number.isSafeInteger(plaintextBytes) || plaintextBytes < 0) {
    throw invalidArgument(`plaintextBytes is ${plaintextBytes}, expected an integer from 0`);
  }
  if (partBytes !== undefined && storedPartBytes !== undefined) {
    throw invalidArgument("an upload is cut by partBytes or by storedPartBytes, and both are given");
  }
  const cut =
    storedPartBytes === undefined ? { partBytes: checkedPartBytes(partBytes) } : checkedStoredCut(storedPartBytes, minHeaderBytes);
  return withDigests({ plaintextBytes, ...cut }, partDigests);
}

/** @throws `invalid-argument` if they are not as many as the plan has */
export function withDigests(plan: CheckedPlan, partDigests: readonly Uint8Array[] | undefined): CheckedPlan {
  if (partDigests === undefined) return plan;
  const expected = digestCountOf(plan);
  if (partDigests.length !== expected) throw invalidArgument(`${partDigests.length} part digests, expected ${expected} for this plan`);
  return { ...plan, partDigests: partDigests.map(checkedDigest) };
}

export function checkedPartBytes(partBytes: number | undefined): number {
  if (
    partBytes !== undefined &&
    Number.isInteger(partBytes) &&
    partBytes >= CHUNK_BYTES &&
    partBytes < MAX_PART_BYTES &&
    partBytes % CHUNK_BYTES === 0
  ) {
    return partBytes;
  }
  throw invalidArgument(`partBytes is ${partBytes}, expected a multiple of ${CHUNK_BYTES} below ${MAX_PART_BYTES}`);
}

export function partCountOf({ plaintextBytes, partBytes, headerBytes }: CheckedPlan): number {
  const bytes = headerBytes === undefined ? plaintextBytes : headerBytes + bodyBytes(plaintextBytes);
  return Math.max(1, Math.ceil(bytes / partBytes));
}

/** One for each part, and one for each border between two that may cut a chunk. */
export function digestCountOf(plan: CheckedPlan): number {
  return plan.headerBytes === undefined ? partCountOf(plan) : 2 * partCountOf(plan) - 1;
}

/** @param index of a part that is there */
export function partPlan(plan: CheckedPlan, index: number): PartPlan {
  const isLast = index === partCountOf(plan) - 1;
  if (plan.headerBytes !== undefined) return storedPart(plan, plan.headerBytes + BODY_PREFIX_BYTES, index, isLast);
  const start = index * plan.partBytes;
  const end = Math.min(start + plan.partBytes, plan.plaintextBytes);
  return { start, end, isEnd: isLast, skipBytes: 0, segments: [{ digest: index, start, end }] };
}

/** The stored bytes from `index` times the part's length on. At a border the cut chunk is a segment of its own, or an empty one. */
function storedPart(plan: CheckedPlan, startBytes: number, index: number, isLast: boolean): PartPlan {
  const { plaintextBytes, partBytes } = plan;
  const chunksEnd = startBytes - BODY_PREFIX_BYTES + bodyBytes(plaintextBytes);
  const from = index * partBytes;
  const to = isLast ? chunksEnd : from + partBytes;
  const fromChunks = Math.max(0, from - startBytes);
  const firstChunk = Math.floor(fromChunks / SEALED_CHUNK_BYTES);
  const endChunk = Math.ceil((to - startBytes) / SEALED_CHUNK_BYTES);
  const start = firstChunk * CHUNK_BYTES;
  const end = Math.min(endChunk * CHUNK_BYTES, plaintextBytes);
  const skipBytes = fromChunks - firstChunk * SEALED_CHUNK_BYTES;
  const isEndCut = !isLast && (to - startBytes) % SEALED_CHUNK_BYTES !== 0;
  const innerStart = skipBytes === 0 ? start : Math.min(start + CHUNK_BYTES, end);
  const innerEnd = isEndCut ? (endChunk - 1) * CHUNK_BYTES : end;
  const segments: Segment[] = [{ digest: 2 * index, start: innerStart, end: innerEnd }];
  if (index > 0) segments.unshift({ digest: 2 * index - 1, start, end: innerStart });
  if (!isLast) segments.push({ digest: 2 * index + 1, start: innerEnd, end });
  const isEnd = endChunk * SEALED_CHUNK_BYTES >= chunksEnd - startBytes;
  return { start, end, isEnd, skipBytes, storedBytes: to - from, segments };
}

/** Whether both cut the very same plaintext in the same way. */
export function isSamePlan(a: CheckedPlan, b: CheckedPlan): boolean {
  if (a.plaintextBytes !== b.plaintextBytes || a.partBytes !== b.partBytes || a.headerBytes !== b.headerBytes) return false;
  const [digests, others] = [a.partDigests ?? [], b.partDigests ?? []];
  return digests.length === others.length && digests.every((digest, at) => equalPublicBytes(digest, others[at] ?? NOTHING));
}

/** Each part has a whole chunk beside the two that its borders cut, so that no chunk is in three parts. */
function checkedStoredCut(
  partBytes: number,
  minHeaderBytes: number | undefined,
): { readonly partBytes: number; readonly headerBytes: number } {
  const headerBytes = minHeaderBytes ?? STORED_HEADER_BYTES;
  if (!(Number.isInteger(headerBytes) && headerBytes > 0 && headerBytes <= MAX_HEADER_BYTES)) {
    throw invalidArgument(`minHeaderBytes is ${headerBytes}, expected an integer from 1 to ${MAX_HEADER_BYTES} beside storedPartBytes`);
  }
  const least = headerBytes + BODY_PREFIX_BYTES + 3 * SEALED_CHUNK_BYTES;
  if (Number.isInteger(partBytes) && partBytes >= least && partBytes < MAX_PART_BYTES) return { partBytes, headerBytes };
  throw invalidArgument(
    `storedPartBytes is ${partBytes}, expected an integer from ${least}, for a header of ${headerBytes}, below ${MAX_PART_BYTES}`,
  );
}

function checkedDigest(digest: Uint8Array): Uint8Array {
  if (!isBytes(digest) || digest.length !== DIGEST_BYTES) throw invalidArgument(`a part digest has ${DIGEST_BYTES} bytes`);
  return copyOf(digest);
}

export const DIGEST_BYTES = 32;
/** The size that a header is padded to where it must be known before the header is made: room for eight RSA-4096 recipients or more. */
const STORED_HEADER_BYTES = 8192;
const MAX_PART_BYTES = 2 ** 32;
const NOTHING: Uint8Array = new Uint8Array(0);
