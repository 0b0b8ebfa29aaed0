import { EnvelockError } from "../../core/base/errors.ts";

/** Calls a client of the store. Its errors become the library's, by their status, with the client's as cause. */
export async function asked<T>(signal: AbortSignal | undefined, call: () => Promise<T>): Promise<T> {
  signal?.throwIfAborted();
  try {
    return await call();
  } catch (error) {
    signal?.throwIfAborted();
    throw EnvelockError.is(error) ? error : storeError(error);
  }
}

/** The HTTP status in an error of `@azure/storage-blob`. */
export function statusOf(error: unknown): number | undefined {
  if (typeof error !== "object" || error === null || !("statusCode" in error)) return undefined;
  return typeof error.statusCode === "number" ? error.statusCode : undefined;
}

function storeError(cause: unknown): EnvelockError {
  const status = statusOf(cause);
  if (status === CONDITION_NOT_MET) {
    return new EnvelockError("malformed-envelope", "the blob has changed since it was opened", {
      cause,
      detail: "source-changed",
      hint: "open it again",
    });
  }
  if (status === 401 || status === 403) return new EnvelockError("access-denied", "the store refuses this caller", { cause });
  if (status === 429) return new EnvelockError("rate-limited", "the store asks for fewer calls", { cause });
  const retryable = status === undefined || status >= 500 || status === 408;
  return new EnvelockError("unavailable", `the store could not be asked${status === undefined ? "" : `: it answered ${status}`}`, {
    cause,
    retryable,
  });
}

export const CONDITION_NOT_MET = 412;
