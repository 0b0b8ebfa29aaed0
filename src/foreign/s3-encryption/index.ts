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
export type { S3AesKey, S3KmsKey, S3MasterKey, S3RsaKey } from "./master-keys.ts";
export {
  type S3DecryptOptions,
  type S3EncryptionClient,
  type S3EncryptionClientOptions,
  type S3StoredObject,
  s3EncryptionClient,
} from "./s3-encryption-client.ts";
