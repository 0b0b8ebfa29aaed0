export type { S3ContentHeaders, S3ServerSideEncryption, S3StorageClass } from "./calls.ts";
export type {
  S3Client,
  S3ClientBucket,
  S3Commands,
  S3CompletedPart,
  S3ConditionInput,
  S3ContentInput,
  S3ListInput,
  S3ObjectInput,
  S3PartInput,
} from "./client.ts";
export type { S3Mode } from "./modes.ts";
export { type S3PresignerOptions, s3Presigner } from "./presigner.ts";
export type { S3Operation, S3Request } from "./requests.ts";
export { type S3BlobsOptions, type S3PresignedBucket, s3Blobs } from "./s3-blobs.ts";
export type { S3Credentials, S3SignedBucket } from "./signing.ts";
