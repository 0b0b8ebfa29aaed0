import type { BlobDownload, WriteConditions } from "../http.ts";

/** The calls of S3 that a store is made of. One implementation speaks HTTP with signed requests, one uses a client of the SDK. */
export interface S3Calls {
  /** Reads from `start` to before `end`. @throws {S3Refusal} */
  get(key: string, start: number, end: number, options: S3Conditions): Promise<BlobDownload>;
  head(key: string, options: S3Conditions): Promise<S3Head>;
  /** Reads the tags of an object, as they stand in a header: escaped names and values. */
  tags(key: string, options: S3Conditions): Promise<string>;
  /** Stores an object in one request. @returns its ETag */
  put(key: string, bytes: Uint8Array, content: S3Content, options: S3Conditions): Promise<string>;
  remove(key: string, options: S3Conditions): Promise<void>;
  list(prefix: string, after: string | undefined, limit: number, options: S3Conditions): Promise<S3Page>;
  /** Begins an upload by parts. @returns its id */
  beginUpload(key: string, content: S3Content, options: S3Conditions): Promise<string>;
  /** @param number from 1 */
  putPart(upload: S3UploadId, number: number, bytes: Uint8Array, options: S3Conditions): Promise<S3Part>;
  /** Copies a range of the same object, of the version `ifMatch`. */
  copyPart(upload: S3UploadId, number: number, range: S3Range, options: S3Conditions): Promise<S3Part>;
  /** @param bytes the length of all parts, for the service to check @returns the ETag of the object */
  completeUpload(upload: S3UploadId, parts: readonly S3Part[], bytes: number | undefined, options: S3Conditions): Promise<string>;
  abortUpload(upload: S3UploadId, options: S3Conditions): Promise<void>;
  getAnnotation(key: string, name: string, options: S3Conditions): Promise<S3Annotation>;
  /** Writes an annotation of the object version `ifMatch`. */
  putAnnotation(key: string, name: string, text: string, options: S3Conditions): Promise<void>;
}

export interface S3Conditions extends WriteConditions {
  readonly signal?: AbortSignal;
}

export interface S3UploadId {
  readonly key: string;
  readonly id: string;
}

export interface S3Range {
  readonly start: number;
  readonly end: number;
}

export interface S3Part {
  readonly number: number;
  readonly etag: string;
  /** Checksums that a client took by itself: an upload that was begun with them must end with them. */
  readonly checksums: S3Checksums;
}

export interface S3Checksums {
  ChecksumCRC32?: string;
  ChecksumCRC32C?: string;
  ChecksumCRC64NVME?: string;
  ChecksumSHA1?: string;
  ChecksumSHA256?: string;
}

export interface S3Head {
  readonly etag: string;
  readonly bytes: number;
  readonly metadata: Readonly<Record<string, string>>;
  readonly headers: S3ContentHeaders;
  readonly hasTags: boolean;
  /** Whether a retention or a legal hold is on the object, or it is encrypted in a way that a copy cannot state again. */
  readonly isHeld: boolean;
}

/** Properties of an object, under the names that the SDK gives them. */
export interface S3ContentHeaders {
  readonly ContentType?: string;
  readonly CacheControl?: string;
  readonly ContentDisposition?: string;
  readonly ContentEncoding?: string;
  readonly ContentLanguage?: string;
  readonly WebsiteRedirectLocation?: string;
  readonly Expires?: Date;
  readonly StorageClass?: S3StorageClass;
  readonly ServerSideEncryption?: S3ServerSideEncryption;
  readonly SSEKMSKeyId?: string;
  readonly BucketKeyEnabled?: boolean;
}

export type S3StorageClass =
  | "STANDARD"
  | "REDUCED_REDUNDANCY"
  | "STANDARD_IA"
  | "ONEZONE_IA"
  | "INTELLIGENT_TIERING"
  | "GLACIER"
  | "DEEP_ARCHIVE"
  | "GLACIER_IR";

export type S3ServerSideEncryption = "AES256" | "aws:kms" | "aws:kms:dsse";

/** All that is stored beside the bytes. What is left out, the object does not have. */
export interface S3Content {
  readonly metadata: Readonly<Record<string, string>>;
  readonly headers: S3ContentHeaders;
  /** Escaped as in a query. */
  readonly tagging?: string;
}

export interface S3Page {
  /** Objects with their keys as they are. */
  readonly entries: readonly { readonly name: string; readonly size: number; readonly etag: string }[];
  readonly isLast: boolean;
}

export interface S3Annotation {
  readonly text: string;
  readonly etag: string;
}

export function isStorageClass(text: string | undefined): text is S3StorageClass {
  return text !== undefined && STORAGE_CLASSES.has(text);
}

export function isServerSideEncryption(text: string | undefined): text is S3ServerSideEncryption {
  return text !== undefined && SERVER_SIDE_ENCRYPTIONS.has(text);
}

/** The most that the service takes. */
export const MOST_ANNOTATION_BYTES = 1_048_576;
export const STORAGE_CLASSES: ReadonlySet<string> = new Set<S3StorageClass>([
  "STANDARD",
  "REDUCED_REDUNDANCY",
  "STANDARD_IA",
  "ONEZONE_IA",
  "INTELLIGENT_TIERING",
  "GLACIER",
  "DEEP_ARCHIVE",
  "GLACIER_IR",
]);
const SERVER_SIDE_ENCRYPTIONS: ReadonlySet<string> = new Set<S3ServerSideEncryption>(["AES256", "aws:kms", "aws:kms:dsse"]);
