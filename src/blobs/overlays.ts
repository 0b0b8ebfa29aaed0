import { copyOf, isBytes } from "../core/base/bytes.ts";
import { CALL_OPTIONS, type CallOptions, callSignal } from "../core/base/call-options.ts";
import { EnvelockError } from "../core/base/errors.ts";
import { requireMethods } from "../core/base/options.ts";
import type { BlobStore, HeaderChange, StoredBlob, StoredOverlay } from "./blob-store.ts";
import { unanswered } from "./failures.ts";

/**
 * A place that keeps newer headers beside blobs that cannot be changed: a table of the application, or objects of the store itself.
 *
 * A header is no secret, and it is not trusted: it counts only if it wraps the data key that the blob itself commits to. What it must not do
 * is get lost: without it the blob needs the key that it was put with.
 */
export interface BlobOverlays {
  /** Reads the overlay of a blob. Undefined if there is none. */
  read(name: string, options?: CallOptions): Promise<KeptOverlay | undefined>;

  /**
   * Writes the overlay of a blob, in place of the one that was read.
   *
   * @param expected the version that `read` gave; undefined if there was none. The comparison and the write are one step
   * @returns false if the overlay is no longer that version, and nothing was written
   */
  write(name: string, overlay: StoredOverlay, expected: string | undefined, options?: CallOptions): Promise<boolean>;

  /** Removes the overlay of a blob that is gone, if it still has this version. One that is left behind does no harm. */
  remove(name: string, expected: string, options?: CallOptions): Promise<void>;
}

export interface KeptOverlay extends StoredOverlay {
  /** The name of this version of the overlay: any change of it changes the name. */
  readonly version: string;
}

/**
 * Gives a store a place for overlays, so that a rewrap leaves the objects as they are: for objects that a policy or an archive holds, and for
 * stores whose objects cannot be changed in part.
 *
 * @throws `invalid-argument` if either lacks a method
 * @example
 * ```ts
 * import { type BlobOverlays, type BlobStore, overlaidBlobs } from "envelock/blobs";
 *
 * export const heldBlobs = (held: BlobStore, table: BlobOverlays): BlobStore => overlaidBlobs(held, table);
 * ```
 */
export function overlaidBlobs(store: BlobStore, overlays: BlobOverlays): BlobStore {
  requireMethods(store, ["create", "open", "delete", "list"], "overlaidBlobs takes a blob store");
  requireMethods(overlays, ["read", "write", "remove"], "overlaidBlobs takes a place for overlays");
  const place = { store, overlays };
  return blobsBeside({ ...place, header: "overlay", replace: (...call) => replaced(place, ...call) });
}

/** A store whose blobs may have headers beside them, and the way in which a new header takes its place. */
export interface Beside {
  readonly store: BlobStore;
  readonly overlays: BlobOverlays;
  readonly header: BlobStore["header"];
  replace(
    name: string,
    opened: OpenedBeside,
    change: HeaderChange,
    signal: AbortSignal | undefined,
  ): ReturnType<StoredBlob["replaceHeader"]>;
}

/** A blob, and what stood beside it. */
export interface OpenedBeside {
  readonly blob: StoredBlob;
  readonly overlay: KeptOverlay | undefined;
}

/** Gives a store the headers that stand beside its blobs. An index of the store is left out: it knows nothing of those headers. */
export function blobsBeside(place: Beside): BlobStore {
  const { store, overlays, header } = place;
  return {
    header,
    blocks: store.blocks,
    create: (name, content, options = {}) => store.create(name, content, options),
    async open(name, firstBytes, options = {}) {
      const signal = callSignal(options, CALL_OPTIONS, "open");
      signal?.throwIfAborted();
      const call = signal === undefined ? {} : { signal };
      const [blob, overlay] = await Promise.all([store.open(name, firstBytes, call), overlayOf(overlays, name, signal)]);
      return blob && opened(place, name, { blob, overlay });
    },
    async delete(name, options = {}) {
      const { signal } = options;
      signal?.throwIfAborted();
      const before = await overlayOf(overlays, name, signal);
      const isDeleted = await store.delete(name, options);
      if (isDeleted && before !== undefined) {
        await asked("the removal of an overlay", signal, () => overlays.remove(name, before.version, signal ? { signal } : {}));
      }
      return isDeleted;
    },
    list: (page, options = {}) => store.list(page, options),
  };
}

/** Reads an overlay, with its shape checked. */
async function overlayOf(overlays: BlobOverlays, name: string, signal: AbortSignal | undefined): Promise<KeptOverlay | undefined> {
  const found = await asked("a look for an overlay", signal, () => overlays.read(name, signal ? { signal } : {}));
  if (found === undefined) return undefined;
  const { header, version, blobEtag }: Partial<KeptOverlay> = found ?? {};
  if (isBytes(header) && typeof version === "string" && (blobEtag === undefined || typeof blobEtag === "string")) {
    return { header: copyOf(header), version, ...(blobEtag !== undefined && { blobEtag }) };
  }
  throw new EnvelockError("provider-failure", "the place of overlays gave one without its header or its version", { whose: "caller" });
}

function opened(place: Beside, name: string, found: OpenedBeside): StoredBlob {
  const { blob, overlay } = found;
  const { size, etag, metadata, first } = blob;
  return {
    size,
    etag,
    metadata,
    first,
    ...(overlay !== undefined && { overlay }),
    read: (start, end, options) => blob.read(start, end, options),
    async replaceHeader(change, options = {}) {
      const signal = callSignal(options, CALL_OPTIONS, "replaceHeader");
      signal?.throwIfAborted();
      return await place.replace(name, found, change, signal);
    },
  };
}

/** Writes the new header beside the blob. */
async function replaced(
  { store, overlays }: Pick<Beside, "store" | "overlays">,
  name: string,
  { blob: { etag }, overlay }: OpenedBeside,
  { header }: HeaderChange,
  signal: AbortSignal | undefined,
): Promise<"replaced" | "changed"> {
  const call = signal === undefined ? {} : { signal };
  const next = { header: copyOf(header), blobEtag: etag };
  const isWritten = await asked("the write of an overlay", signal, () => overlays.write(name, next, overlay?.version, call));
  if (!isWritten) return "changed";
  const now = await store.open(name, 1, call); // an overlay of a blob that was replaced meanwhile counts for nothing
  return now?.etag === etag ? "replaced" : "changed";
}

async function asked<T>(what: string, signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    signal?.throwIfAborted();
    throw unanswered(what, error);
  }
}
