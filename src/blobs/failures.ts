import { EnvelockError, type ErrorCode } from "../core/base/errors.ts";

/** The version that is read is gone: the blob was replaced or removed. The same code and detail as `SeekableBlob.read` has. */
export function sourceChanged(name: string): EnvelockError {
  return new EnvelockError("malformed-envelope", `blob ${shown(name)} has changed since it was opened`, {
    detail: "source-changed",
    hint: "open it again",
  });
}

export function isSourceChanged(error: unknown): boolean {
  return EnvelockError.is(error) && error.detail === "source-changed";
}

export function blobMissing(name: string): EnvelockError {
  return new EnvelockError("invalid-argument", `there is no blob ${shown(name)}`, { detail: "blob-missing" });
}

export function isBlobMissing(error: unknown): boolean {
  return EnvelockError.is(error) && error.detail === "blob-missing";
}

export function blobExists(name: string): EnvelockError {
  return new EnvelockError("invalid-argument", `blob ${shown(name)} exists, and put was to create it`, {
    detail: "blob-exists",
    hint: "state `ifMatch` with the ETag of the version to replace, or `replace: true`",
  });
}

export function blobChanged(name: string): EnvelockError {
  return new EnvelockError("invalid-argument", `blob ${shown(name)} is no longer the version that put was to replace`, {
    detail: "blob-changed",
    hint: "read it again, and decide anew",
  });
}

/** A put that was to replace whatever is there was overtaken: in Azure a commit drops the staged blocks of all other uploads of the name. */
export function blobOvertaken(name: string): EnvelockError {
  return new EnvelockError("invalid-argument", `another upload of blob ${shown(name)} was committed first, and this one was dropped`, {
    detail: "blob-changed",
    hint: "put it again, from the beginning of its source",
  });
}

/** Whether a put failed because its condition did not hold: then nothing was stored. */
export function isConditionError(error: unknown): boolean {
  return EnvelockError.is(error) && (error.detail === "blob-exists" || error.detail === "blob-changed");
}

/** Makes an error from the status of an HTTP answer of a store. */
export function statusFailure(what: string, status: number, reason: string, cause?: unknown, retryAfterMs?: number): EnvelockError {
  const code = CODE_BY_STATUS[status] ?? (status >= 500 ? "unavailable" : "provider-failure");
  const told = reason === "" ? `${status}` : `${status} ${shown(reason)}`;
  return new EnvelockError(code, `the store answered ${told} to ${what}`, {
    whose: "service",
    ...(cause !== undefined && { cause }),
    ...(retryAfterMs !== undefined && { retryAfterMs }),
  });
}

/** Makes an error from a call that got no answer. An `EnvelockError` stays as it is. */
export function unanswered(what: string, cause: unknown): EnvelockError {
  if (EnvelockError.is(cause)) return cause;
  return new EnvelockError("unavailable", `the store gave no answer to ${what}`, { cause, whose: "service" });
}

/** A foreign text in a message, cut and in one line. */
export function shown(text: string): string {
  const line = text.replaceAll(/[^\x20-\x7e]/g, "?");
  return line.length > 80 ? `${line.slice(0, 80)}…` : line;
}

const CODE_BY_STATUS: Readonly<Record<number, ErrorCode>> = {
  401: "access-denied",
  403: "access-denied",
  408: "timeout",
  429: "rate-limited",
  503: "unavailable",
};
