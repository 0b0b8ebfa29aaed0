import type { BlobDownload, WriteConditions } from "../http.ts";

/** The calls of Azure Blob Storage that a store is made of. One implementation speaks HTTP with a SAS, one uses a client of the SDK. */
export interface AzureCalls {
  /** Whether new blobs get index tags. */
  readonly hasTags: boolean;
  /** Whether the application has stated that these blobs have no tags. */
  readonly isWithoutTags: boolean;
  /** Reads from `start` to before `end`. @throws {AzureRefusal} */
  download(name: string, start: number, end: number, options: AzureConditions): Promise<BlobDownload>;
  properties(name: string, options: AzureConditions): Promise<AzureProperties>;
  tags(name: string, options: AzureConditions): Promise<Readonly<Record<string, string>>>;
  stageBlock(name: string, id: string, bytes: Uint8Array, options: AzureConditions & { readonly encryptionScope?: string }): Promise<void>;
  commitBlocks(name: string, ids: readonly string[], content: AzureContent, options: AzureConditions): Promise<string>;
  putBlob(name: string, bytes: Uint8Array, content: AzureContent, options: AzureConditions): Promise<string>;
  committedBlocks(name: string, options: AzureConditions): Promise<{ readonly etag: string; readonly blocks: readonly AzureBlock[] }>;
  remove(name: string, options: AzureConditions): Promise<void>;
  list(prefix: string, marker: string | undefined, limit: number, options: AzureConditions): Promise<AzurePage>;
  findByTags(where: string, marker: string | undefined, limit: number, options: AzureConditions): Promise<AzurePage>;
}

export interface AzureConditions extends WriteConditions {
  /** A condition on index tags, in the service's own syntax. */
  readonly ifTags?: string;
  readonly leaseId?: string;
  readonly signal?: AbortSignal;
}

export interface AzureBlock {
  readonly id: string;
  readonly bytes: number;
}

/** Content headers of a blob, under the names that the SDK gives them. */
export interface AzureContentHeaders {
  readonly blobContentType?: string;
  readonly blobContentEncoding?: string;
  readonly blobContentLanguage?: string;
  readonly blobContentDisposition?: string;
  readonly blobCacheControl?: string;
}

export interface AzureProperties {
  readonly etag: string;
  readonly bytes: number;
  readonly metadata: Readonly<Record<string, string>>;
  readonly headers: AzureContentHeaders;
  /** The access tier, if it was set for this blob. */
  readonly tier: string | undefined;
  /** The number of tags, as far as the service tells it: not to every caller. */
  readonly tagCount: number;
  /** The scope under which the service encrypts the blob, if it is not the account's. */
  readonly encryptionScope: string | undefined;
  /** What a new version of the blob would not have: a policy that holds it, or a date on which it expires. */
  readonly isHeld: boolean;
}

/** All that a commit sets. What is left out is wiped by the service. */
export interface AzureContent {
  readonly metadata: Readonly<Record<string, string>>;
  readonly headers: AzureContentHeaders;
  readonly tags: Readonly<Record<string, string>>;
  readonly tier?: string | undefined;
  readonly encryptionScope?: string | undefined;
}

export interface AzurePage {
  readonly entries: readonly { readonly name: string; readonly size: number; readonly etag: string }[];
  readonly marker: string | undefined;
}
