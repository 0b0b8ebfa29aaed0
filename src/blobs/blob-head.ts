import { concatBytes, equalPublicBytes, isBytes } from "../core/base/bytes.ts";
import { EnvelockError, malformed } from "../core/base/errors.ts";
import { BODY_PREFIX_BYTES } from "../core/crypto/body-sizes.ts";
import { beginsAsEnvelope, HEADER_PREFIX_BYTES, headerBytesOf, parseDetachedHeader, parseHeader } from "../core/format/envelope.ts";
import type { StoredBlob } from "./blob-store.ts";
import { shown } from "./failures.ts";
import { gatheredBytes } from "./http.ts";

/** The beginning of a stored envelope, and the header that is in force. */
export interface BlobHead {
  readonly blob: StoredBlob;
  /** The length of the header that the blob begins with. */
  readonly ownHeaderBytes: number;
  /** The overlay if there is one, else the blob's own header. */
  readonly header: Uint8Array;
  /** Whether the header that is in force stands beside the blob. */
  readonly isOverlaid: boolean;
  readonly keyCommit: Uint8Array;
  /** Salt and commitment: what tells one body from another. */
  readonly bodyPrefix: Uint8Array;
}

/**
 * Reads the beginning of a blob.
 *
 * An overlay is in force if it wraps the data key of the blob's own header. One that was written for another version of the blob is what a
 * replaced blob left behind, and counts for nothing. Any other is refused.
 *
 * @throws `malformed-envelope`, with `detail` `overlay-foreign` for an overlay of another data key; `unsupported-version`
 */
export async function headOf(name: string, blob: StoredBlob, signal: AbortSignal | undefined): Promise<BlobHead> {
  requireStoredBlob(blob);
  const start = await beginningOf(blob, signal);
  const { record, headerBytes } = parseHeader(start);
  const own = start.subarray(0, headerBytes);
  const { keyCommit } = record;
  const bodyPrefix = start.subarray(headerBytes, headerBytes + BODY_PREFIX_BYTES);
  const overlay = overlayOf(name, blob, keyCommit);
  return { blob, ownHeaderBytes: headerBytes, header: overlay ?? own, isOverlaid: overlay !== undefined, keyCommit, bodyPrefix };
}

/** Whether a stored blob is one of this library's, in whatever state: it begins as an envelope does, or its metadata says so. */
export function isOwnBlob(blob: StoredBlob): boolean {
  requireStoredBlob(blob);
  const { envelock } = blob.metadata;
  return beginsAsEnvelope(blob.first) || envelock !== undefined;
}

function overlayOf(name: string, { overlay, etag }: StoredBlob, keyCommit: Uint8Array): Uint8Array | undefined {
  if (overlay === undefined) return undefined;
  const { header, blobEtag } = overlay;
  if (equalPublicBytes(parseDetachedHeader(header).record.keyCommit, keyCommit)) return header;
  if (blobEtag !== undefined && blobEtag !== etag) return undefined;
  throw new EnvelockError("malformed-envelope", `the header beside blob ${shown(name)} wraps another data key than the blob has`, {
    detail: "overlay-foreign",
    hint: "remove the overlay if the blob was replaced by another program",
  });
}

/** A store of the application is code that nobody checked: what it answers has the shape of the contract, or is refused. */
function requireStoredBlob(blob: StoredBlob): void {
  const { size, etag, metadata, first, overlay, read, replaceHeader }: Partial<StoredBlob> = blob ?? {};
  const wrong = Object.entries({
    size: typeof size === "number" && Number.isSafeInteger(size) && size >= 0,
    etag: typeof etag === "string" && etag !== "",
    metadata: typeof metadata === "object" && metadata !== null && Object.values(metadata).every((value) => typeof value === "string"),
    first: isBytes(first),
    overlay: overlay === undefined || isBytes(overlay?.header),
    read: typeof read === "function",
    replaceHeader: typeof replaceHeader === "function",
  }).find(([, isRight]) => !isRight);
  if (wrong === undefined) return;
  throw new EnvelockError("provider-failure", `the store opened a blob whose ${wrong[0]} is not what the contract says`, {
    hint: "`blobConformance` of envelock/blobs/conformance finds what a store lacks",
  });
}

/** The header and what stands before the first chunk: mostly all of it came with the opening. */
async function beginningOf(blob: StoredBlob, signal: AbortSignal | undefined): Promise<Uint8Array> {
  const { first, size } = blob;
  if (first.length > size) throw malformed("the store gave more than the blob has");
  const wanted = Math.min(size, headerBytesOf(first.subarray(0, HEADER_PREFIX_BYTES)) + BODY_PREFIX_BYTES);
  if (first.length >= wanted) return first;
  const rest = blob.read(first.length, wanted, { ifMatch: blob.etag, ...(signal && { signal }) });
  const start = concatBytes(first, await gatheredBytes(rest, wanted - first.length));
  if (start.length === wanted) return start;
  throw new EnvelockError("unavailable", "the store ended a range before its end", { whose: "service" });
}
