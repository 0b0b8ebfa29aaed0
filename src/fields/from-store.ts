import type { CallOptions } from "../core/base/call-options.ts";
import { EnvelockError } from "../core/base/errors.ts";

/** Makes a call of a data-key store. @throws the signal's reason, the library's own errors, else `provider-failure` with the store's as cause */
export async function fromStore<T>(call: () => Promise<T>, options?: CallOptions): Promise<T> {
  try {
    return await call();
  } catch (error) {
    if (options?.signal?.aborted) throw options.signal.reason;
    if (error instanceof EnvelockError) throw error;
    throw new EnvelockError("provider-failure", "the data-key store failed", { cause: error });
  }
}
