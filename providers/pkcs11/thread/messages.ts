import type { EnvelockErrorOptions, ErrorCode } from "../../../src/core/base/errors.ts";
import type { TokenKeysOptions, WrapTarget } from "../token-keys.ts";

/** A call of `TokenKeys`, as it is sent. Bytes are copied, so either side wipes its own. */
export type KeysCall =
  | { readonly method: "current"; readonly nowMs: number }
  | { readonly method: "wrap"; readonly target: WrapTarget; readonly dek: Uint8Array; readonly aad: Uint8Array }
  | { readonly method: "unwrap"; readonly keyId: string; readonly alg: number; readonly wrapped: Uint8Array; readonly aad: Uint8Array }
  | { readonly method: "random"; readonly count: number }
  | { readonly method: "close" };

/** To the thread. */
export type ThreadOrder =
  | { readonly kind: "open"; readonly user: number; readonly options: TokenKeysOptions; readonly hasPin: boolean }
  | { readonly kind: "call"; readonly user: number; readonly call: number; readonly what: KeysCall }
  | { readonly kind: "pin"; readonly question: number; readonly pin: string }
  | { readonly kind: "no-pin"; readonly question: number; readonly error: SentError };

/** From the thread. */
export type ThreadAnswer =
  | { readonly kind: "done"; readonly call: number; readonly result: CallResult }
  | { readonly kind: "failed"; readonly call: number; readonly error: SentError }
  | { readonly kind: "ask-pin"; readonly user: number; readonly question: number };

export type CallResult = WrapTarget | Uint8Array | undefined;

/** An `EnvelockError` with a `CryptokiError` or another as its cause: errors lose their class and their members on the way. */
export interface SentError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly options: Omit<EnvelockErrorOptions, "cause">;
  readonly cause: SentCause | undefined;
}

export type SentCause =
  | { readonly functionName: string; readonly returnValue: number }
  | { readonly name: string; readonly message: string };
