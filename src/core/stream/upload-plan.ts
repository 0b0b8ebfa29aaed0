import { copyOf, equalPublicBytes, isBytes } from "../base/bytes.ts";
import { invalidArgument } from "../base/errors.ts";
import { CHUNK_BYTES } from "../contracts/suite.ts";

/** How a plaintext is cut into the parts of an upload. */
export interface UploadPlan {
  /** The exact length of all parts together. */
  readonly plaintextBytes: number;
  /** Plaintext bytes in every part but the last, which has what is left: a multiple of 16,384, below 4 GiB. */
  readonly partBytes: number;
  /**
   * The `partDigest` of every part, in order, if the upload is to go on after a crash. A part that is not what was stated is refused.
   */
  readonly partDigests?: readonly Uint8Array[];
}

/** A plan that is possible, and the caller's to change no more. @throws `invalid-argument` */
export function checkedPlan({ plaintextBytes, partBytes, partDigests }: UploadPlan): UploadPlan {
  if (!Number.isSafeInteger(plaintextBytes) || plaintextBytes < 0) {
    throw invalidArgument(`plaintextBytes is ${plaintextBytes}, expected an integer from 0`);
  }
  const plan = { plaintextBytes, partBytes: checkedPartBytes(partBytes) };
  if (partDigests === undefined) return plan;
  const parts = partCountOf(plan);
  if (partDigests.length !== parts) throw invalidArgument(`${partDigests.length} part digests for ${parts} parts`);
  return { ...plan, partDigests: partDigests.map(checkedDigest) };
}

export function checkedPartBytes(partBytes: number): number {
  if (Number.isInteger(partBytes) && partBytes >= CHUNK_BYTES && partBytes < MAX_PART_BYTES && partBytes % CHUNK_BYTES === 0) {
    return partBytes;
  }
  throw invalidArgument(`partBytes is ${partBytes}, expected a multiple of ${CHUNK_BYTES} below ${MAX_PART_BYTES}`);
}

export function partCountOf({ plaintextBytes, partBytes }: UploadPlan): number {
  return Math.max(1, Math.ceil(plaintextBytes / partBytes));
}

/** Whether both cut the very same plaintext in the same way. */
export function isSamePlan(a: UploadPlan, b: UploadPlan): boolean {
  if (a.plaintextBytes !== b.plaintextBytes || a.partBytes !== b.partBytes) return false;
  const [digests, others] = [a.partDigests ?? [], b.partDigests ?? []];
  return digests.length === others.length && digests.every((digest, at) => equalPublicBytes(digest, others[at] ?? NOTHING));
}

function checkedDigest(digest: Uint8Array): Uint8Array {
  if (!isBytes(digest) || digest.length !== DIGEST_BYTES) throw invalidArgument(`a part digest has ${DIGEST_BYTES} bytes`);
  return copyOf(digest);
}

export const DIGEST_BYTES = 32;
const MAX_PART_BYTES = 2 ** 32;
const NOTHING: Uint8Array = new Uint8Array(0);
