import type { Context } from "./context.ts";
import { invalidArgument } from "./errors.ts";
import { type OptionNames, refuseUnknown } from "./options.ts";

export interface CallOptions {
  /**
   * Ends the call when it is aborted, and is handed to the providers. The call then rejects with the signal's reason, which is no
   * `EnvelockError`.
   */
  readonly signal?: AbortSignal;
}

export interface ValueOptions extends CallOptions {
  /**
   * The context that the value belongs to, beside the keyring's. Decryption must be given the same. It is never stored.
   * A key that stands in both must have the same value in both.
   */
  readonly context?: Context;
}

export interface DataKeyOptions extends CallOptions {
  /**
   * The context that is fixed for this one data key beside the keyring's, such as the tenant. Unwrapping must be given the same.
   * A key that stands in both must have the same value in both.
   */
  readonly keyContext?: Context;
}

/**
 * Reads the signal of a call's options, after a check that the options have known names alone.
 *
 * @param what the method, as a caller writes it
 * @throws `invalid-argument` for an unknown option, or a signal that is none
 */
export function callSignal<T extends CallOptions>(options: T, known: OptionNames<T>, what: string): AbortSignal | undefined {
  refuseUnknown(options, known, what);
  const { signal } = options;
  if (signal === undefined) return undefined;
  if (typeof signal === "object" && signal !== null && typeof signal.aborted === "boolean" && "addEventListener" in signal) return signal;
  throw invalidArgument(`the signal of ${what} must be an AbortSignal`);
}

export const CALL_OPTIONS: OptionNames<CallOptions> = { signal: true };
export const VALUE_OPTIONS: OptionNames<ValueOptions> = { signal: true, context: true };
export const DATA_KEY_OPTIONS: OptionNames<DataKeyOptions> = { signal: true, keyContext: true };
