import { copyOf, isBytes, type OwnedBytes, viewOf, wipe } from "../base/bytes.ts";
import { invalidArgument } from "../base/errors.ts";
import { requireAttached } from "../base/filled.ts";
import { type OptionNames, refuseUnknown } from "../base/options.ts";
import { checkedPartBytes, checkedPlan, partCountOf, partPlan } from "./upload-plan.ts";

/**
 * Computes the SHA-256 of a part's plaintext: 32 bytes, as secret as the plaintext.
 *
 * @throws `invalid-argument` for what is no Uint8Array
 * @example
 * ```ts
 * import { partDigest } from "envelock";
 *
 * export const digestOf = async (part: Uint8Array) => await partDigest(part);
 * ```
 */
export async function partDigest(plaintext: Uint8Array): Promise<OwnedBytes> {
  const copy = copyOf(checkedBytes(plaintext, "a part")); // the caller may change its own while the digest is made
  try {
    return new Uint8Array(await crypto.subtle.digest("SHA-256", copy));
  } finally {
    wipe(copy);
  }
}

/** The plan of an upload that counts its parts in stored bytes, as `startUpload` gets it. */
export interface StoredPartPlan {
  readonly plaintextBytes: number;
  readonly storedPartBytes: number;
  readonly minHeaderBytes?: number;
}

/**
 * Computes the digests of all parts of a plaintext, for `startUpload` and `resumeUpload`. Holds one part at a time.
 *
 * @param plan `partBytes`; or the plan with `storedPartBytes`, which also has a digest for each border that may cut a chunk
 * @throws `invalid-argument` for a bad plan, or pieces that are not as long as it says; what `pieces` throws
 * @example
 * ```ts
 * import { createReadStream } from "node:fs";
 * import { partDigests } from "envelock";
 *
 * const digests = await partDigests(createReadStream("scan.tiff"), 8 * 1024 * 1024);
 * ```
 */
export async function partDigests(pieces: AsyncIterable<Uint8Array>, plan: number | StoredPartPlan): Promise<readonly OwnedBytes[]> {
  if (typeof plan !== "object") {
    const partBytes = checkedPartBytes(plan);
    return await digestsOf(pieces, partBytes, () => partBytes);
  }
  refuseUnknown(plan, STORED_PART_PLAN, "partDigests");
  const { plaintextBytes, storedPartBytes, minHeaderBytes } = plan;
  const lengths = segmentLengths({ plaintextBytes, storedPartBytes }, minHeaderBytes);
  return await digestsOf(wholeOf(pieces, plaintextBytes), Math.min(storedPartBytes, plaintextBytes), (segment) => lengths[segment]);
}

async function* wholeOf(pieces: AsyncIterable<Uint8Array>, plaintextBytes: number): AsyncIterable<Uint8Array> {
  let bytes = 0;
  for await (const piece of pieces) {
    bytes += viewOf(checkedBytes(piece, "a piece of plaintext")).length;
    if (bytes > plaintextBytes) break;
    yield piece;
  }
  if (bytes !== plaintextBytes) throw invalidArgument(`the pieces have more or fewer bytes than plaintextBytes says, ${plaintextBytes}`);
}

function segmentLengths(plan: StoredPartPlan, minHeaderBytes: number | undefined): readonly number[] {
  const checked = checkedPlan(plan, minHeaderBytes);
  const lengths: number[] = [];
  for (let index = 0; index < partCountOf(checked); index++) {
    for (const { digest, start, end } of partPlan(checked, index).segments) lengths[digest] = end - start;
  }
  return lengths;
}

/** @param lengthOf the length of a segment; undefined behind the last one, where no bytes are left */
async function digestsOf(
  pieces: AsyncIterable<Uint8Array>,
  mostBytes: number,
  lengthOf: (segment: number) => number | undefined,
): Promise<readonly OwnedBytes[]> {
  const part = new Uint8Array(mostBytes);
  try {
    return await digestsWithin(part, pieces, lengthOf);
  } finally {
    wipe(part);
  }
}

async function digestsWithin(
  part: Uint8Array,
  pieces: AsyncIterable<Uint8Array>,
  lengthOf: (segment: number) => number | undefined,
): Promise<readonly OwnedBytes[]> {
  const digests: OwnedBytes[] = [];
  let filled = 0;
  for await (const piece of pieces) {
    const bytes = viewOf(checkedBytes(piece, "a piece of plaintext"));
    const { length } = bytes;
    for (let at = 0; at < length; ) {
      const segmentBytes = lengthOf(digests.length) ?? length;
      if (filled === segmentBytes) {
        digests.push(await partDigest(part.subarray(0, filled)));
        filled = 0;
        continue;
      }
      requireAttached(bytes, length); // the digest was waited for
      const run = bytes.subarray(at, at + segmentBytes - filled);
      part.set(run, filled);
      filled += run.length;
      at += run.length;
    }
  }
  do {
    digests.push(await partDigest(part.subarray(0, filled)));
    filled = 0;
  } while (lengthOf(digests.length) === 0);
  return digests;
}

const STORED_PART_PLAN: OptionNames<StoredPartPlan> = { plaintextBytes: true, storedPartBytes: true, minHeaderBytes: true };

function checkedBytes(given: Uint8Array, what: string): Uint8Array {
  if (isBytes(given)) return given;
  throw invalidArgument(`${what} must be a Uint8Array`);
}
