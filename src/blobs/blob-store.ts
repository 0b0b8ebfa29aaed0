import type { CallOptions } from "../core/base/call-options.ts";

/**
 * A place that keeps blobs: a container, a bucket, a folder, this process.
 *
 * A store keeps bytes and promises three things. A blob appears whole or not at all. A condition holds at the moment of the change. A read
 * with `ifMatch` gives bytes of that version alone. A store is not trusted beyond this: every byte that it gives is verified.
 *
 * A method throws an `EnvelockError`: `unavailable`, `rate-limited` and `timeout` for what passes, `access-denied` for what is refused,
 * `malformed-envelope` with `detail` `source-changed` for a version that is gone, `provider-failure` for anything else. It does not
 * repeat a call: its caller does. With an aborted signal it throws the signal's reason.
 */
export interface BlobStore {
  /**
   * The way in which `replaceHeader` works: `block` exchanges the first block, `overlay` writes the new header beside the blob, `copy`
   * writes the blob anew.
   */
  readonly header: "block" | "overlay" | "copy";

  /** The sizes that `BlobUpload.put` must be given. */
  readonly blocks: BlockRules;

  /** Begins a blob. Nothing of it can be read before the commit. */
  create(name: string, content: BlobContent, options?: CallOptions): Promise<BlobUpload>;

  /**
   * Opens a blob and reads its first bytes in one go.
   *
   * @param firstBytes how many bytes to read from the start; fewer come if the blob is shorter
   * @returns undefined if there is none
   */
  open(name: string, firstBytes: number, options?: CallOptions): Promise<StoredBlob | undefined>;

  /** Removes a blob and what stands beside it. Returns whether it did: false if there is none, or with `ifMatch` another version. */
  delete(name: string, options?: CallOptions & { readonly ifMatch?: string }): Promise<boolean>;

  /** Lists blobs by name, in ascending order of their UTF-8 or UTF-16, at most `limit` of them. A full page means that more may follow. */
  list(page: BlobPage, options?: CallOptions): Promise<readonly BlobEntry[]>;

  /** Lists the names of blobs whose `keys` have this digest, where the store has an index, in pages of its own size. The index may be late. */
  findByKey?(digest: string, page: Omit<BlobPage, "limit">, options?: CallOptions): Promise<BlobNames>;
}

/** How the parts of a blob may be cut. */
export interface BlockRules {
  /** Whether the header of an envelope can be a block of its own. */
  readonly isHeaderApart: boolean;
  /** The length of a block at first; all but the last have it. */
  readonly bytes: number;
  /** The least length of a block, except for the last and for a header that is apart. Others are a multiple of it, or of 1 MiB. */
  readonly leastBytes: number;
  /** The greatest length of one block. */
  readonly mostBytes: number;
  /** The number of blocks that fit a blob. */
  readonly mostBlocks: number;
  /** Whether every block but the last must be as long as the first. Blocks of other stores grow, so that `mostBlocks` suffice. */
  readonly areEqual: boolean;
  /** How many blocks may be in flight. 1 where blocks must come in order. */
  readonly inFlight: number;
}

/** What is stored beside the bytes. Names are lower-case letters, digits and underscores, values are ASCII without line breaks. */
export interface BlobContent {
  readonly metadata: Readonly<Record<string, string>>;
  /** A digest for each key that wraps the blob's data key. A store that has an index puts them there. */
  readonly keys: readonly string[];
  /** The exact length, if it is known. */
  readonly storedBytes?: number;
  /**
   * The condition that the commit will state, if it is known. A store that can state it only when a blob is begun needs it for a blob of
   * several blocks, and refuses a commit with another one.
   */
  readonly condition?: BlobCondition;
}

/** When a change is made: only if the name is free, or only if it has this version. */
export type BlobCondition = { readonly ifNone: "*" } | { readonly ifMatch: string } | { readonly always: true };

/** A blob in the making. */
export interface BlobUpload {
  /**
   * Stores block `index`, counted from 0. The same index may be given again after a failure. The bytes do not change before the promise
   * settles. Once it has resolved they do, because their memory is used for further blocks.
   *
   * @throws `invalid-argument` with `detail` `blob-exists` or `blob-changed` where the store finds already that the condition does not hold
   */
  put(index: number, bytes: Uint8Array, options?: CallOptions): Promise<void>;

  /**
   * Makes the blob of all blocks in order, and with it replaces what had the name.
   *
   * @returns the ETag of the new version; `changed` if the condition does not hold, and nothing was changed
   */
  commit(condition: BlobCondition, options?: CallOptions): Promise<{ readonly etag: string } | "changed">;

  /** Removes what was stored, as far as the store can. Never throws. */
  abort(): Promise<void>;
}

/** One version of a blob. */
export interface StoredBlob {
  readonly size: number;
  /** The name of the version: any change of the bytes changes it. */
  readonly etag: string;
  readonly metadata: Readonly<Record<string, string>>;
  /** The first bytes. */
  readonly first: Uint8Array;
  /** A newer header, which stands beside the blob. */
  readonly overlay?: StoredOverlay;

  /**
   * Reads bytes from `start` to before `end`. A connection that breaks ends the iteration with an error or early; never with other bytes.
   *
   * @throws `malformed-envelope` with `detail` `source-changed` if the blob no longer has the version `ifMatch`
   */
  read(start: number, end: number, options: ReadOptions): AsyncIterable<Uint8Array>;

  /**
   * Puts a new header in the place of the blob's own, and leaves every other byte as it is.
   *
   * @returns `changed` if the blob or its overlay is no longer what was opened, `not-possible` if the store cannot do it for this blob
   */
  replaceHeader(change: HeaderChange, options?: CallOptions): Promise<"replaced" | "changed" | "not-possible">;
}

export interface ReadOptions extends CallOptions {
  readonly ifMatch: string;
}

export interface StoredOverlay {
  readonly header: Uint8Array;
  /** The ETag of the blob that it was written for, where the store knows it. */
  readonly blobEtag?: string;
}

export interface HeaderChange {
  /** The length of the header that the blob itself begins with. */
  readonly ownHeaderBytes: number;
  readonly header: Uint8Array;
  /** The same as in `BlobContent`, for the new header. */
  readonly keys: readonly string[];
}

export interface BlobPage {
  /** Only names that begin with this. */
  readonly prefix?: string;
  /** Only what follows: the last name, or `next`, of the page before. */
  readonly after?: string;
  /** From 1 to 1,000. */
  readonly limit: number;
}

export interface BlobEntry {
  readonly name: string;
  readonly size: number;
  readonly etag: string;
}

export interface BlobNames {
  readonly names: readonly string[];
  /** What the next page is `after`. Undefined at the end. */
  readonly next?: string;
}
