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

/** Makes the error for a store that orders scopes by anything but their characters: ranges of scopes would lose rows. */
export function outOfOrder(): EnvelockError {
  return new EnvelockError("provider-failure", "the data-key store does not order its rows by scope and version", {
    hint: 'In a database the column `scope` needs the order of its bytes: `collate "C"` in PostgreSQL. docs/stores.md shows the table.',
  });
}
