import type { S3Checksums, S3ContentHeaders } from "./calls.ts";

/** The part of `S3Client` of `@aws-sdk/client-s3` that is used. */
export interface S3Client {
  send(command: object, options?: { abortSignal?: AbortSignal }): Promise<unknown>;
}

/** The classes of `@aws-sdk/client-s3` that are used: the module itself, or an object with these. */
export interface S3Commands {
  readonly GetObjectCommand: new (input: S3ObjectInput & { Range?: string; IfMatch?: string }) => object;
  readonly HeadObjectCommand: new (input: S3ObjectInput & { IfMatch?: string }) => object;
  readonly GetObjectTaggingCommand: new (input: S3ObjectInput) => object;
  readonly PutObjectCommand: new (input: S3ContentInput & S3ConditionInput & { Body: Uint8Array; ContentMD5: string }) => object;
  readonly DeleteObjectCommand: new (input: S3ObjectInput & { IfMatch?: string }) => object;
  readonly ListObjectsV2Command: new (input: S3ListInput) => object;
  readonly CreateMultipartUploadCommand: new (input: S3ContentInput) => object;
  readonly UploadPartCommand: new (input: S3PartInput & { Body: Uint8Array; ContentMD5: string }) => object;
  readonly UploadPartCopyCommand: new (
    input: S3PartInput & { CopySource: string; CopySourceRange: string; CopySourceIfMatch?: string },
  ) => object;
  readonly CompleteMultipartUploadCommand: new (
    input: S3ObjectInput & S3ConditionInput & { UploadId: string; MpuObjectSize?: number; MultipartUpload: { Parts: S3CompletedPart[] } },
  ) => object;
  readonly AbortMultipartUploadCommand: new (input: S3ObjectInput & { UploadId: string }) => object;
  /** Needed for `rewrap: "annotation"` alone. */
  readonly GetObjectAnnotationCommand?: new (
    input: S3ObjectInput & { AnnotationName: string },
  ) => object;
  /** Needed for `rewrap: "annotation"` alone. */
  readonly PutObjectAnnotationCommand?: new (
    input: S3ObjectInput & { AnnotationName: string; AnnotationPayload: Uint8Array; ObjectIfMatch?: string; ContentMD5: string },
  ) => object;
}

export interface S3ObjectInput {
  Bucket: string;
  Key: string;
}

export interface S3ConditionInput {
  IfMatch?: string;
  IfNoneMatch?: string;
}

export interface S3ContentInput extends S3ObjectInput, S3ContentHeaders {
  Metadata: Record<string, string>;
  Tagging?: string;
}

export interface S3ListInput {
  Bucket: string;
  Prefix?: string;
  StartAfter?: string;
  MaxKeys: number;
  EncodingType: "url";
}

export interface S3PartInput extends S3ObjectInput {
  UploadId: string;
  PartNumber: number;
}

export interface S3CompletedPart extends S3Checksums {
  PartNumber: number;
  ETag: string;
}

/** A bucket as a client of `@aws-sdk/client-s3` sees it. */
export interface S3ClientBucket {
  readonly client: S3Client;
  /** The module `@aws-sdk/client-s3`, or an object with the classes that are used. */
  readonly commands: S3Commands;
  readonly bucket: string;
}
