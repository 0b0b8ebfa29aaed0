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
