import type { Context } from "./context.ts";

export interface CallOptions {
  /** Handed to the providers. A call that ends because of it rejects with the signal's reason, which is no `EnvelockError`. */
  readonly signal?: AbortSignal;
}

export interface ValueOptions extends CallOptions {
  /**
   * What the value belongs to, beside the keyring's context. The same must be given to decrypt. Never stored.
   * A key that stands in both must have the same value in both.
   */
  readonly context?: Context;
}

export interface DataKeyOptions extends CallOptions {
  /**
   * What is fixed for this one data key beside the keyring's context, such as the tenant. The same must be given to unwrap it.
   * A key that stands in both must have the same value in both.
   */
  readonly keyContext?: Context;
}
