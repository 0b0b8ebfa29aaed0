export { type GcsBlobsOptions, type GcsBucket, type GcsStorageClass, gcsBlobs } from "./gcs-blobs.ts";
export type { GcsTokenClient, GcsTokenSource } from "./tokens.ts";
