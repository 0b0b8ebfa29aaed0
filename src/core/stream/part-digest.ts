import { type OwnedBytes, viewOf, wipe } from "../base/bytes.ts";
import { requireAttached } from "../base/filled.ts";
import { checkedPartBytes } from "./upload-plan.ts";

/**
 * The SHA-256 of a part's plaintext: 32 bytes, as secret as the plaintext is.
 *
 * @example
 * ```ts
 * import { partDigest } from "envelock";
 *
 * export const digestOf = async (part: Uint8Array) => await partDigest(part);
 * ```
 */
export async function partDigest(plaintext: Uint8Array): Promise<OwnedBytes> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", new Uint8Array(plaintext)));
}

/**
 * The digests of all parts of a plaintext, for `startUpload` and `resumeUpload`. Holds one part at a time.
 *
 * @throws `invalid-argument` for bad `partBytes`; what `pieces` throws
 * @example
 * ```ts
 * import { createReadStream } from "node:fs";
 * import { partDigests } from "envelock";
 *
 * const digests = await partDigests(createReadStream("scan.tiff"), 8 * 1024 * 1024);
 * ```
 */
export async function partDigests(pieces: AsyncIterable<Uint8Array>, partBytes: number): Promise<readonly OwnedBytes[]> {
  const part = new Uint8Array(checkedPartBytes(partBytes));
  const digests: OwnedBytes[] = [];
  let filled = 0;
  for await (const piece of pieces) {
    const bytes = viewOf(piece);
    const { length } = bytes;
    for (let at = 0; at < length; ) {
      if (filled === partBytes) {
        digests.push(await partDigest(part));
        filled = 0;
      }
      requireAttached(bytes, length); // the digest was waited for
      const run = bytes.subarray(at, at + partBytes - filled);
      part.set(run, filled);
      filled += run.length;
      at += run.length;
    }
  }
  digests.push(await partDigest(part.subarray(0, filled)));
  wipe(part);
  return digests;
}
