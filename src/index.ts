export type { CallOptions, DataKeyOptions, ValueOptions } from "./core/base/call-options.ts";
export type { Clock } from "./core/base/clock.ts";
export type { Context } from "./core/base/context.ts";
export {
  EnvelockError,
  type EnvelockErrorOptions,
  type ErrorCode,
  type PlainEnvelockError,
  type PlainNativeError,
  type Whose,
} from "./core/base/errors.ts";
export type { JsonValue } from "./core/base/json.ts";
export type { TenantLabel } from "./core/base/tenant-label.ts";
export type { RateLimit } from "./core/base/token-bucket.ts";
export { WRAP_ALGORITHMS } from "./core/contracts/algorithms.ts";
export { withAliases } from "./core/contracts/aliases.ts";
export type { KeyProvider, Recipient, WrapOptions } from "./core/contracts/key-provider.ts";
export type { KeyWrapper, WrappedKey } from "./core/contracts/key-wrapper.ts";
export type { RandomSource } from "./core/contracts/random-source.ts";
export type { EngineInfo, EngineName, MissingPart, MissingReason, NativeInfo } from "./core/crypto/engine/engine.ts";
export { engineInfo } from "./core/crypto/engine-info.ts";
export { DataKey } from "./core/data-key/data-key.ts";
export { type CacheOptions, DataKeyCache } from "./core/key-source/data-key-cache.ts";
export type { ForgetFilter } from "./core/key-source/forget-filter.ts";
export type { ReuseOptions } from "./core/key-source/reused-data-key.ts";
export type { EncryptOptions } from "./core/keyring/calls.ts";
export type { DetachedEnvelope, OwnedDetachedEnvelope } from "./core/keyring/envelopes.ts";
export type { FieldUse, Gate, GateRequest } from "./core/keyring/gate.ts";
export { type InspectedRecipient, type Inspection, inspect } from "./core/keyring/inspect.ts";
export { Keyring } from "./core/keyring/keyring.ts";
export type { KeyringOptions, KeyringStatus } from "./core/keyring/keyring-options.ts";
export type { BreakerOptions } from "./core/resilience/breaker.ts";
export { FairLimits, type FairLimitsOptions, type FairLimitsStatus } from "./core/resilience/fair-limits.ts";
export type { Lane, TenantBudget } from "./core/resilience/fair-queues.ts";
export type { ProviderStatus } from "./core/resilience/guarded-backend.ts";
export { type GuardOptions, ProviderGuards, type ProviderGuardsOptions, type ResilienceOptions } from "./core/resilience/policy.ts";
export type { RetryOptions } from "./core/resilience/retry.ts";
export type { EncryptedPieces } from "./core/stream/encrypted-pieces.ts";
export type { LaneCount } from "./core/stream/lanes/lanes.ts";
export type { EncryptStreamOptions, StreamOptions } from "./core/stream/options.ts";
export { partDigest, partDigests, type StoredPartPlan } from "./core/stream/part-digest.ts";
export { httpRangeHandler, type RangeHandlerOptions, type RangeReadable } from "./core/stream/range-handler.ts";
export type { SeekableBlob, SeekableStreamOptions } from "./core/stream/seekable.ts";
export type { SeekableSource, SourcePart } from "./core/stream/seekable-source.ts";
export { type EncryptStream, encryptedBytes } from "./core/stream/streams.ts";
export type { EncryptedUpload } from "./core/stream/upload.ts";
export type { UploadPlan } from "./core/stream/upload-plan.ts";
export type { UploadOptions } from "./core/stream/uploads.ts";
export type { ByteTransform } from "./core/stream/web-stream.ts";
