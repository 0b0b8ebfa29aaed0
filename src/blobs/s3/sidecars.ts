import { EnvelockError, malformed } from "../../core/base/errors.ts";
import { MAX_HEADER_BYTES } from "../../core/format/envelope.ts";
import { gatheredBytes } from "../http.ts";
import { SIDECAR_END } from "../name.ts";
import type { BlobOverlays } from "../overlays.ts";
import type { S3Calls } from "./calls.ts";
import { settled } from "./refusals.ts";

/**
 * Keeps each overlay as an object of its own beside the blob: the bytes of a header, with the ETag of the blob that it was written for as
 * metadata.
 *
 * @param calls with conditions that hold for writes
 * @param canDelete whether a delete under a condition is possible
 */
export function sidecars(calls: S3Calls, canDelete: boolean): BlobOverlays {
  const versionOf = async (key: string, signal: AbortSignal | undefined): Promise<string | undefined> =>
    await settled({ missing: () => undefined }, async () => (await calls.head(key, signal ? { signal } : {})).etag);
  return {
    async read(name, { signal } = {}) {
      const key = `${name}${SIDECAR_END}`;
      return await settled({ missing: () => undefined }, async () => {
        const { etag, totalBytes, metadata, body } = await calls.get(key, 0, MAX_HEADER_BYTES, signal ? { signal } : {});
        const header = await gatheredBytes(body, MAX_HEADER_BYTES);
        if (totalBytes > MAX_HEADER_BYTES) throw malformed("the object beside the blob is too long for a header");
        if (header.length !== totalBytes)
          throw new EnvelockError("unavailable", "the store ended a header before its end", { whose: "service" });
        const blobEtag = metadata[BLOB_ETAG];
        return { header, version: etag, ...(blobEtag !== undefined && { blobEtag }) };
      });
    },
    async write(name, { header, blobEtag }, expected, { signal } = {}) {
      const content = {
        metadata: blobEtag === undefined ? {} : { [BLOB_ETAG]: blobEtag },
        headers: { ContentType: "application/octet-stream" },
      };
      const condition = expected === undefined ? ({ ifNoneMatch: "*" } as const) : { ifMatch: expected };
      return await settled({ changed: () => false, missing: () => false }, async () => {
        await calls.put(`${name}${SIDECAR_END}`, header, content, { ...condition, ...(signal && { signal }) });
        return true;
      });
    },
    async remove(name, expected, { signal } = {}) {
      const key = `${name}${SIDECAR_END}`;
      if (!canDelete && (await versionOf(key, signal)) !== expected) return; // as near to the delete as such a service lets one look
      await settled({ changed: () => undefined, missing: () => undefined }, () =>
        calls.remove(key, { ...(canDelete && { ifMatch: expected }), ...(signal && { signal }) }),
      );
    },
  };
}

/** The name of metadata. */
const BLOB_ETAG = "envelock-blob";
