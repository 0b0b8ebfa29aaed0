export type { CallOptions, DataKeyOptions, ValueOptions } from "./core/base/call-options.ts";
export type { Context } from "./core/base/context.ts";
export { EnvelockError, type EnvelockErrorOptions, type ErrorCode } from "./core/base/errors.ts";
export { WRAP_ALGORITHMS } from "./core/contracts/algorithms.ts";
export type { DataKeyState, DataKeyStore, RowPlace, ScanPage, StoredDataKey } from "./core/contracts/data-key-store.ts";
export type { KeyProvider, Recipient, WrapOptions } from "./core/contracts/key-provider.ts";
export type { KeyWrapper, WrappedKey } from "./core/contracts/key-wrapper.ts";
export type { RandomSource } from "./core/contracts/random-source.ts";
export { DataKey } from "./core/data-key/data-key.ts";
export { type CacheOptions, DataKeyCache, type ForgetFilter } from "./core/key-source/data-key-cache.ts";
export type { ReuseOptions } from "./core/key-source/reused-data-key.ts";
export { type InspectedRecipient, type Inspection, inspect } from "./core/keyring/inspect.ts";
export {
  type DetachedEnvelope,
  type EncryptOptions,
  Keyring,
  type OwnedDetachedEnvelope,
} from "./core/keyring/keyring.ts";
export type { KeyringOptions, KeyringStatus } from "./core/keyring/keyring-options.ts";
export type { BreakerOptions, BreakerState } from "./core/resilience/breaker.ts";
export type { Clock } from "./core/resilience/clock.ts";
export type { ProviderStatus } from "./core/resilience/guarded-backend.ts";
export { type GuardOptions, ProviderGuards, type ResilienceOptions } from "./core/resilience/policy.ts";
export type { RetryOptions } from "./core/resilience/retry.ts";
export type { EncryptedPieces } from "./core/stream/encrypted-pieces.ts";
export type { LaneCount } from "./core/stream/lanes/lanes.ts";
export type { EncryptStreamOptions, StreamOptions } from "./core/stream/options.ts";
export { partDigest, partDigests } from "./core/stream/part-digest.ts";
export { httpRangeHandler, type RangeHandlerOptions, type RangeReadable } from "./core/stream/range-handler.ts";
export type { SeekableBlob } from "./core/stream/seekable.ts";
export type { SeekableSource, SourcePart } from "./core/stream/seekable-source.ts";
export { type EncryptStream, encryptedBytes } from "./core/stream/streams.ts";
export type { EncryptedUpload } from "./core/stream/upload.ts";
export type { UploadPlan } from "./core/stream/upload-plan.ts";
export type { UploadOptions } from "./core/stream/uploads.ts";
export type { ByteTransform } from "./core/stream/web-stream.ts";
export type {
  BreakerEvent,
  CacheEvent,
  DataKeyOrigin,
  EvictionEvent,
  EvictionReason,
  KeyringEvent,
  KeyVersion,
  OperationEvent,
  OperationName,
  Outcome,
  ProviderCall,
  ProviderCallEvent,
  RefreshEvent,
  RetryEvent,
} from "./core/telemetry/events.ts";
export type { SpanEvent, SpanName, Telemetry } from "./core/telemetry/observer.ts";
export type { BlindIndexOptions, BlindIndexValue, Normalise } from "./fields/blind-index.ts";
export { type BlindIndexPlan, type BlindIndexQuestion, planBlindIndex } from "./fields/blind-index-plan.ts";
export { type DataKeyInfo, DataKeys, type DataKeysOptions, type RotateOptions } from "./fields/data-keys.ts";
export type { FieldCipher } from "./fields/field-cipher.ts";
export type {
  CompoundIndexOptions,
  DeterministicFieldOptions,
  FieldOptions,
  MigratingFieldOptions,
  NoRow,
  ParsedFieldOptions,
  RowArgument,
  RowId,
  RowRequired,
} from "./fields/field-options.ts";
export type { Checkpoint } from "./fields/jobs/checkpoint.ts";
export type { KeyRowFailure, KeyRowsReport } from "./fields/jobs/key-rows.ts";
export type { JobOptions, JobProgress } from "./fields/jobs/pages.ts";
export {
  type ColumnChange,
  type ColumnCipher,
  type ColumnRow,
  type ReencryptReport,
  type ReencryptTableOptions,
  reencryptTable,
  type TableKey,
} from "./fields/jobs/reencrypt-table.ts";
export type { KeyVersionCount, RewrapAllOptions, RewrapReport } from "./fields/jobs/rewrap-all.ts";
export type { VerifyReport } from "./fields/jobs/verify-all.ts";
export type { JsonValue } from "./fields/json.ts";
export type { IndexSettings, KeyedIndex } from "./fields/keyed-index.ts";
export type { MigratingFieldCipher, StoredValue } from "./fields/migrating-cipher.ts";
export type { KeyPurpose } from "./fields/scope.ts";
export { contextOfScope } from "./fields/scope.ts";
export { memoryStore } from "./fields/stores/memory.ts";
export type { ValueType, ValueTypes } from "./fields/values.ts";
