export { WRAP_ALGORITHMS } from "./algorithms.ts";
export type { Context } from "./context.ts";
export { DataKey } from "./data-key.ts";
export { EnvelockError, type EnvelockErrorOptions, type ErrorCode } from "./errors.ts";
export { type InspectedRecipient, type Inspection, inspect } from "./inspect.ts";
export type { KeyProvider, Recipient, WrapOptions } from "./key-provider.ts";
export {
  type CallOptions,
  type DetachedEnvelope,
  type EncryptOptions,
  Keyring,
  type KeyringOptions,
  type OwnedDetachedEnvelope,
  type ValueOptions,
} from "./keyring.ts";
export type { EncryptedPieces } from "./stream/encrypted-pieces.ts";
export type { LaneCount } from "./stream/lanes/lanes.ts";
export type { EncryptStreamOptions, StreamOptions } from "./stream/options.ts";
export { type EncryptStream, encryptedBytes } from "./stream/streams.ts";
export type { ByteTransform } from "./stream/web-stream.ts";
