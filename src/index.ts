export { WRAP_ALGORITHMS } from "./algorithms.ts";
export type { CallOptions, ValueOptions } from "./call-options.ts";
export type { Context } from "./context.ts";
export { DataKey } from "./data-key.ts";
export { EnvelockError, type EnvelockErrorOptions, type ErrorCode } from "./errors.ts";
export { type InspectedRecipient, type Inspection, inspect } from "./inspect.ts";
export type { KeyProvider, Recipient, WrapOptions } from "./key-provider.ts";
export {
  type DetachedEnvelope,
  type EncryptOptions,
  Keyring,
  type KeyringOptions,
  type OwnedDetachedEnvelope,
} from "./keyring.ts";
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
