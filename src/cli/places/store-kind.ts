import type { BlobStore } from "../../blobs/index.ts";
import type { Context } from "../../core/base/context.ts";
import type { CredentialKind } from "../options.ts";

/** One kind of store: how arguments name what lies in it, and how it is opened. */
export interface StoreKind {
  /** What stands before `://`. */
  readonly scheme: string;
  /** An argument that names a blob, for messages. */
  readonly shape: string;
  /** An argument that names a container. */
  readonly storeShape: string;
  /** What follows `://`, as a container and the name in it. Undefined if it is neither. */
  split(path: string): { readonly container: string; readonly name: string } | undefined;
  /** Opens a container with the credentials of the environment. Arguments alone come here, never what was read from an envelope. */
  open(container: string, options: StoreOptions): Promise<BlobStore>;
}

/** How stores are reached. */
export interface StoreOptions {
  readonly endpoint?: string;
  readonly credential?: CredentialKind;
  /** The service behind an endpoint that speaks S3. */
  readonly s3Mode?: string;
}

/** What the context of a blob is made of. */
export interface BlobContextOptions {
  readonly context?: Context;
  /** The key of the context that holds a blob's name; false for none. */
  readonly nameContext?: string | false;
}

/** What an argument names in a store: one blob, or those whose names begin so or fit a pattern. */
export interface StorePlace {
  /** The argument. */
  readonly text: string;
  readonly kind: StoreKind;
  readonly container: string;
  /** Empty for the whole container. Ends with a slash for what is below, or has wildcards. */
  readonly name: string;
}

/** One blob in an open store. */
export interface StoredInput {
  /** An argument that names it, for messages. */
  readonly text: string;
  readonly store: BlobStore;
  readonly name: string;
}

/** What a verb reads: a path, `-`, or a blob. */
export type Source = string | StoredInput;

/** A file or blob of a batch. */
export interface BatchFile {
  readonly source: Source;
  /** Its place below the folder or prefix that was named, or its name: where it goes below another folder. */
  readonly place: string;
  readonly sizeBytes?: number;
}
