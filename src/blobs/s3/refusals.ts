import { EnvelockError, type ErrorCode } from "../../core/base/errors.ts";
import { shown, statusFailure } from "../failures.ts";
import { unusable } from "../http.ts";
import { Refusal, type Results, settledRefusal } from "../refusal.ts";
import type { S3Conditions } from "./calls.ts";

/**
 * An answer of the service that is no failure of the call: `missing`, `changed` (a condition does not hold), `conflict` (another change of
 * the same object is under way), `gone` (the upload by parts is no longer there), `empty` (a range of an object without bytes).
 */
export class S3Refusal extends Refusal<S3RefusalKind> {}

export type S3RefusalKind = "missing" | "changed" | "conflict" | "gone" | "empty";

/** Translates a status and the service's own error code. */
export function s3Error(what: string, status: number, code: string, cause?: unknown, retryAfterMs?: number): S3Refusal | EnvelockError {
  const known = FAILURE_BY_CODE.get(code);
  if (known !== undefined) {
    return new EnvelockError(known.code, `the store answered ${status} ${shown(code)} to ${what}`, {
      whose: known.code === "invalid-argument" ? "caller" : "service",
      ...(cause !== undefined && { cause }),
      ...(retryAfterMs !== undefined && { retryAfterMs }),
      ...(known.hint !== undefined && { hint: known.hint }),
      ...(known.detail !== undefined && { detail: known.detail }),
    });
  }
  const failure = statusFailure(what, status, code, cause, retryAfterMs);
  const kind = KIND_BY_CODE.get(code) ?? KIND_BY_STATUS[status];
  return kind === undefined ? failure : new S3Refusal(kind, failure);
}

/** Returns the ETag of an answer. @throws {S3Refusal} for another than was asked for: a service that does not heed the condition */
export function pinned(what: string, etag: string, { ifMatch = etag }: Pick<S3Conditions, "ifMatch">): string {
  if (etag !== ifMatch) throw new S3Refusal("changed", unusable(what));
  return etag;
}

/** Takes some refusals for results; others become errors. */
export async function settled<T, R>(results: Results<S3RefusalKind, R>, work: () => Promise<T>): Promise<T | R> {
  return await settledRefusal((error) => error instanceof S3Refusal, failureOf, results, work);
}

/** Takes no refusal for a result. */
export async function called<T>(work: () => Promise<T>): Promise<T> {
  return await settled<T, never>({}, work);
}

/**
 * Makes an error for the caller of a refusal; anything else stays as it is. A conflict passes. So may the loss of an upload: a commit whose
 * answer was lost ends it, and the caller looks whether that was its own.
 */
export function failureOf(error: unknown): unknown {
  if (!(error instanceof S3Refusal)) return error;
  const { kind, failure } = error;
  if (kind !== "conflict" && kind !== "gone") return failure;
  return new EnvelockError("unavailable", failure.message, {
    cause: failure,
    whose: "service",
    hint: kind === "gone" ? "the upload by parts was ended elsewhere: put the blob again" : "another change of the blob is under way",
  });
}

const KIND_BY_CODE: ReadonlyMap<string, S3RefusalKind> = new Map([
  ["NoSuchKey", "missing"],
  ["NotFound", "missing"],
  ["NoSuchAnnotation", "missing"],
  ["PreconditionFailed", "changed"],
  ["ConditionalRequestConflict", "conflict"],
  ["OperationAborted", "conflict"],
  ["NoSuchUpload", "gone"],
  ["InvalidRange", "empty"],
]);
/** For answers without a code: those to HEAD, and those of some proxies. */
const KIND_BY_STATUS: Readonly<Record<number, S3RefusalKind>> = { 404: "missing", 409: "conflict", 412: "changed", 416: "empty" };

const WRONG_REGION = { code: "invalid-argument", hint: "state the region in which the bucket lies, and a URL of that region" } as const;
const EXPIRED = { code: "access-denied", detail: "credential", hint: "give a function that renews the credentials" } as const;

const FAILURES: Readonly<Record<string, { readonly code: ErrorCode; readonly hint?: string; readonly detail?: string }>> = {
  NoSuchBucket: { code: "invalid-argument", hint: "create the bucket first" },
  PermanentRedirect: WRONG_REGION,
  TemporaryRedirect: WRONG_REGION,
  IllegalLocationConstraintException: WRONG_REGION,
  AuthorizationHeaderMalformed: WRONG_REGION,
  ExpiredToken: EXPIRED,
  TokenRefreshRequired: EXPIRED,
  InvalidToken: EXPIRED,
  RequestTimeTooSkewed: { code: "access-denied", detail: "clock", hint: "set the clock of this machine" },
  SlowDown: { code: "rate-limited" },
  ServiceUnavailable: { code: "unavailable" },
  InternalError: { code: "unavailable" },
  RequestTimeout: { code: "timeout" },
  BadDigest: { code: "unavailable", hint: "bytes changed on their way to the store" },
  InvalidObjectState: { code: "provider-failure", detail: "archived", hint: "restore the object from the archive first" },
  MetadataTooLarge: { code: "invalid-argument", detail: "too-large", hint: "S3 keeps 2 KiB of metadata: shorten the description" },
  EntityTooLarge: { code: "invalid-argument", detail: "too-large", hint: "the object is larger than the store takes" },
  EntityTooSmall: { code: "provider-failure", hint: "the store wants larger parts than 5 MiB" },
};
/** A map, because a service chooses its codes: none of them finds a member that every object has. */
const FAILURE_BY_CODE: ReadonlyMap<string, (typeof FAILURES)[string]> = new Map(Object.entries(FAILURES));
