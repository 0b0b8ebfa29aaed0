export type { BlobConformanceHarness } from "./bench.ts";
export { type BlobConformanceCase, blobConformance } from "./conformance.ts";
export { type BlobFault, type BlobFaultPlan, faultyBlobs } from "./faulty-blobs.ts";
