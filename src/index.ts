export { WRAP_ALGORITHMS } from "./algorithms.ts";
export type { CallOptions, DataKeyOptions, ValueOptions } from "./call-options.ts";
export type { Context } from "./context.ts";
export { DataKey } from "./data-key.ts";
export { type CacheOptions, DataKeyCache, type ForgetFilter } from "./data-key-cache.ts";
export { EnvelockError, type EnvelockErrorOptions, type ErrorCode } from "./errors.ts";
export type { BlindIndexOptions, BlindIndexValue, Normalise } from "./field/blind-index.ts";
export { type BlindIndexPlan, type BlindIndexQuestion, planBlindIndex } from "./field/blind-index-plan.ts";
export type { DataKeyState, DataKeyStore, RowPlace, ScanPage, StoredDataKey } from "./field/data-key-store.ts";
export { type DataKeyInfo, DataKeys, type DataKeysOptions, type RotateOptions } from "./field/data-keys.ts";
export type { FieldCipher } from "./field/field-cipher.ts";
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
} from "./field/field-options.ts";
export type { Checkpoint } from "./field/jobs/checkpoint.ts";
export type { KeyRowFailure, KeyRowsReport } from "./field/jobs/key-rows.ts";
export type { JobOptions, JobProgress } from "./field/jobs/pages.ts";
export {
  type ColumnChange,
  type ColumnCipher,
  type ColumnRow,
  type ReencryptReport,
  type ReencryptTableOptions,
  reencryptTable,
  type TableKey,
} from "./field/jobs/reencrypt-table.ts";
export type { KeyVersionCount, RewrapAllOptions, RewrapReport } from "./field/jobs/rewrap-all.ts";
export type { VerifyReport } from "./field/jobs/verify-all.ts";
export type { JsonValue } from "./field/json.ts";
export type { IndexSettings, KeyedIndex } from "./field/keyed-index.ts";
export type { MigratingFieldCipher, StoredValue } from "./field/migrating-cipher.ts";
export type { KeyPurpose } from "./field/scope.ts";
export { contextOfScope } from "./field/scope.ts";
export { memoryStore } from "./field/stores/memory.ts";
export type { ValueType, ValueTypes } from "./field/values.ts";
export { type InspectedRecipient, type Inspection, inspect } from "./inspect.ts";
export type { KeyProvider, Recipient, WrapOptions } from "./key-provider.ts";
export type { ReuseOptions } from "./key-source/reused-data-key.ts";
export type { KeyWrapper, WrappedKey } from "./key-wrapper.ts";
export {
  type DetachedEnvelope,
  type EncryptOptions,
  Keyring,
  type OwnedDetachedEnvelope,
} from "./keyring.ts";
export type { KeyringOptions, KeyringStatus } from "./keyring-options.ts";
export type { RandomSource } from "./random-source.ts";
export type { BreakerOptions, BreakerState } from "./resilience/breaker.ts";
export type { Clock } from "./resilience/clock.ts";
export type { ProviderStatus } from "./resilience/guarded-backend.ts";
export { type GuardOptions, ProviderGuards, type ResilienceOptions } from "./resilience/policy.ts";
export type { RetryOptions } from "./resilience/retry.ts";
export type { EncryptedPieces } from "./stream/encrypted-pieces.ts";
export type { LaneCount } from "./stream/lanes/lanes.ts";
export type { EncryptStreamOptions, StreamOptions } from "./stream/options.ts";
export { partDigest, partDigests } from "./stream/part-digest.ts";
export { httpRangeHandler, type RangeHandlerOptions, type RangeReadable } from "./stream/range-handler.ts";
export type { SeekableBlob } from "./stream/seekable.ts";
export type { SeekableSource, SourcePart } from "./stream/seekable-source.ts";
export { type EncryptStream, encryptedBytes } from "./stream/streams.ts";
export type { EncryptedUpload } from "./stream/upload.ts";
export type { UploadPlan } from "./stream/upload-plan.ts";
export type { UploadOptions } from "./stream/uploads.ts";
export type { ByteTransform } from "./stream/web-stream.ts";
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
} from "./telemetry/events.ts";
export type { SpanEvent, SpanName, Telemetry } from "./telemetry/observer.ts";
