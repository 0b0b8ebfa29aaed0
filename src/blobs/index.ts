export type {
  BlobCondition,
  BlobContent,
  BlobEntry,
  BlobNames,
  BlobPage,
  BlobStore,
  BlobUpload,
  BlockRules,
  HeaderChange,
  ReadOptions,
  StoredBlob,
  StoredOverlay,
} from "./blob-store.ts";
export type { BlobDescription } from "./description.ts";
export type { BlobStreamOptions, EncryptedBlob } from "./encrypted-blob.ts";
export { type EncryptedStore, encryptedStore } from "./encrypted-store.ts";
export type {
  BlobDeleteOptions,
  BlobListOptions,
  EncryptedStoreOptions,
  FindStaleOptions,
  PutOptions,
  RewrapOutcome,
} from "./encrypted-store-options.ts";
export type { BlobKey } from "./key-digest.ts";
export type { BlobLedger } from "./ledger.ts";
export type { BlobLock } from "./lock.ts";
export { type MemoryBlobsOptions, memoryBlobs } from "./memory.ts";
export {
  type MulterBlob,
  type MulterFile,
  type MulterStorage,
  type MulterStorageOptions,
  multerStorage,
} from "./multer-storage.ts";
export { type BlobOverlays, type KeptOverlay, overlaidBlobs } from "./overlays.ts";
export type { BlobProgress } from "./progress.ts";
export { type RewrappedBlob, type RewrapStaleOptions, rewrapStale } from "./rewrap-stale.ts";
export { type BlobSource, type SealUploadOptions, sealUpload } from "./seal-upload.ts";
export type { BlobHandlerOptions } from "./serve.ts";
export { type TusSource, type TusSourceOptions, tusSource } from "./tus-source.ts";
export type { BlobTap, PutResult } from "./write-blob.ts";
