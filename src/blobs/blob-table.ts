import type { Context } from "../core/base/context.ts";
import { invalidArgument } from "../core/base/errors.ts";
import type { Keyring } from "../core/keyring/keyring.ts";
import type { BlobHead } from "./blob-head.ts";
import type { BlobPlaces } from "./blob-search.ts";

/** The parts of an encrypted store that a job over its blobs works with. */
export interface BlobTable {
  readonly keyring: Keyring;
  readonly places: BlobPlaces;
  /** Makes the context of a blob from its name. */
  contextOf(name: string): Context;
  /** Whether a header that stands beside the blob belongs into it. */
  mustFold(head: BlobHead): boolean;
}

/** Called by the store when it is made. A job finds the parts without loading what reads and writes bodies. */
export function noteBlobTable(store: object, table: BlobTable): void {
  tables.set(store, table);
}

/** @throws `invalid-argument` for what is no encrypted store of this copy of the package */
export function blobTableOf(store: object): BlobTable {
  const table = typeof store === "object" && store !== null ? tables.get(store) : undefined;
  if (table === undefined) throw invalidArgument("blobs is no encrypted store", "`encryptedStore` of envelock/blobs makes one.");
  return table;
}

const tables = new WeakMap<object, BlobTable>();
