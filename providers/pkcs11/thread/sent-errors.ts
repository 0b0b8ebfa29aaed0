import { EnvelockError } from "../../../src/core/base/errors.ts";
import { CryptokiError, tokenFailure } from "../cryptoki/failures.ts";
import type { SentCause, SentError } from "./messages.ts";

export function sentError(error: unknown): SentError {
  const { code, message, retryable, retryAfterMs, hint, detail, cause } = tokenFailure(error);
  const options = {
    retryable,
    ...(retryAfterMs !== undefined && { retryAfterMs }),
    ...(hint !== undefined && { hint }),
    ...(detail !== undefined && { detail }),
  };
  return { code, message, options, cause: sentCause(cause) };
}

export function receivedError({ code, message, options, cause }: SentError): EnvelockError {
  return new EnvelockError(code, message, { ...options, ...(cause !== undefined && { cause: receivedCause(cause) }) });
}

function sentCause(cause: unknown): SentCause | undefined {
  if (cause instanceof CryptokiError) return { functionName: cause.functionName, returnValue: cause.returnValue };
  return cause instanceof Error ? { name: cause.name, message: cause.message } : undefined;
}

function receivedCause(cause: SentCause): Error {
  if ("returnValue" in cause) return new CryptokiError(cause.functionName, cause.returnValue);
  return Object.assign(new Error(cause.message), { name: cause.name });
}
