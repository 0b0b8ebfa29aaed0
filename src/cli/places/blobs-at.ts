import { listed } from "../../blobs/blob-search.ts";
import type { BlobEntry, BlobStore } from "../../blobs/index.ts";
import { systemClock } from "../../core/base/clock.ts";
import { invalidArgument } from "../../core/base/errors.ts";
import type { BatchFile, StorePlace } from "./store-kind.ts";
import { blobNameOf, namesMany, patternOf } from "./store-place.ts";

/**
 * The blobs that an argument names: one, those that fit its wildcards, or with `recursive` those below it.
 *
 * @throws `invalid-argument` for what names many, without `recursive`
 */
export async function* blobsAt(place: StorePlace, store: BlobStore, recursive: boolean): AsyncGenerator<BatchFile> {
  const { name, text } = place;
  const placed = (found: string, prefix: string): Omit<BatchFile, "sizeBytes"> => ({
    source: { text: textAt(place, found), store, name: found },
    place: found.slice(prefix.lastIndexOf("/") + 1),
  });
  const isBelow = name === "" || name.endsWith("/");
  if (!namesMany(place) && !recursive) return yield placed(blobNameOf(place), blobNameOf(place));
  if (isBelow && !recursive) throw invalidArgument(`${text} is no single blob`, "--recursive takes the blobs below it");
  const { prefix, fits } = patternOf(isBelow || namesMany(place) ? name : `${name}/`);
  for await (const { name: found, size } of listBlobs(store, { prefix })) {
    if (fits(found)) yield { ...placed(found, prefix), sizeBytes: size };
  }
}

/** Lists the blobs of a store by name, page by page. */
export function listBlobs(
  store: BlobStore,
  page: { readonly prefix?: string; readonly after?: string },
): AsyncGenerator<BlobEntry, void, undefined> {
  return listed({ store, ledger: undefined, clock: systemClock }, page, undefined);
}

/** An argument that names another blob of the same container. */
export function textAt({ kind, container }: StorePlace, name: string): string {
  return `${kind.scheme}://${container}/${name}`;
}
