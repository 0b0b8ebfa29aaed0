export type { ForeignBlob, ForeignReader, StoredSource } from "../foreign-blob.ts";
export {
  type MigratingOpenOptions,
  type MigratingReader,
  type MovedObject,
  migratingReader,
  type ObjectToMove,
  type ReencryptOptions,
  type ReencryptOutcome,
  reencryptObjects,
} from "../migration.ts";
export { type BlobReadClient, type BlobUploadClient, storedBlob, type UploadStorageOptions, uploadEncrypted } from "./blob-client.ts";
export type { RewrapStorageOutcome, StorageMetadataClient } from "./blob-rewrap.ts";
export type { StorageKey, StorageKeyResolver } from "./content-key.ts";
export type { StorageProtocol } from "./encryption-data.ts";
export { type LocalAesKey, type LocalRsaKey, type LocalStorageKey, localStorageKeys } from "./local-keys.ts";
export type { StorageBlob } from "./storage-blob.ts";
export {
  type AzureStorageEncryption,
  type AzureStorageEncryptionOptions,
  azureStorageEncryption,
  type EncryptedBody,
  type StorageDecryptOptions,
  type StorageEncryptOptions,
  type StorageStreamOptions,
  type StoredBody,
} from "./storage-encryption.ts";
