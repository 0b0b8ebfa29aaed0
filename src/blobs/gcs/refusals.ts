import { EnvelockError } from "../../core/base/errors.ts";
import { jsonIn } from "../../core/base/json.ts";
import { shown, statusFailure } from "../failures.ts";
import { Refusal, type Results, settledRefusal } from "../refusal.ts";

/**
 * An answer of the service that may be a result of the call: `missing`, `changed` (a condition does not hold), `gone` (an upload that was
 * cancelled, or that the service has forgotten), `empty` (a range of an object without bytes).
 */
export class GcsRefusal extends Refusal<GcsRefusalKind> {}

export type GcsRefusalKind = "missing" | "changed" | "gone" | "empty";

/** An answer that is no success. */
export interface GcsFailure {
  /** The request in words. */
  readonly what: string;
  readonly status: number;
  /** The body of the answer. */
  readonly text: string;
  readonly retryAfterMs: number | undefined;
  /** Whether the request went to a session of an upload. */
  readonly isSession: boolean;
}

/** Translates a status and the service's own reason. */
export function gcsError({ what, status, text, retryAfterMs, isSession }: GcsFailure): GcsRefusal | EnvelockError {
  const { reason, message } = told(text);
  const passing = retryAfterMs === undefined ? {} : { retryAfterMs };
  const refused = `the store answered ${status} ${shown(reason)} to ${what}`;
  if (status === 401) return new EnvelockError("access-denied", refused, { detail: "credential", hint: TOKEN_HINT, whose: "service" });
  if (status === 403 && RATE_REASONS.has(reason)) return new EnvelockError("rate-limited", refused, { ...passing, whose: "service" });
  if (status === 403 && HELD_REASONS.has(reason))
    return new EnvelockError("provider-failure", refused, { detail: "held", hint: HELD_HINT });
  if (status === 403) return new EnvelockError("access-denied", refused, { hint: RIGHT_HINT, whose: "service" });
  if (status === 404 && !isSession && /bucket does not exist/i.test(message)) {
    return new EnvelockError("invalid-argument", "there is no such bucket", { hint: "create the bucket first" });
  }
  if (status === 400 && /\b(?:crc32c|md5|hash)\b/i.test(message)) {
    return new EnvelockError("unavailable", refused, {
      detail: "checksum",
      hint: "bytes changed on their way to the store",
      whose: "service",
    });
  }
  const failure = statusFailure(what, status, reason, undefined, retryAfterMs);
  const kind = isSession ? SESSION_KINDS[status] : KINDS[status];
  return kind === undefined ? failure : new GcsRefusal(kind, failure);
}

/** Takes some refusals for results; others become errors. */
export async function settled<T, R>(results: Results<GcsRefusalKind, R>, work: () => Promise<T>): Promise<T | R> {
  return await settledRefusal((error) => error instanceof GcsRefusal, failureOf, results, work);
}

/**
 * Makes an error for the caller of a refusal. The loss of a session is retryable, because a commit whose answer was lost ends it too: the
 * caller looks whether the blob that is there is its own.
 */
function failureOf(error: unknown): unknown {
  if (!(error instanceof GcsRefusal)) return error;
  const { kind, failure } = error;
  if (kind !== "gone") return failure;
  return new EnvelockError("unavailable", failure.message, {
    cause: failure,
    whose: "service",
    hint: "the upload was cancelled, or is older than a week: put the blob again",
  });
}

/** The service's own words: the reason of its first error, and its message. */
function told(text: string): { readonly reason: string; readonly message: string } {
  const error = memberOf(jsonIn(text), "error");
  const [first]: readonly unknown[] = listOf(memberOf(error, "errors"));
  const message = memberOf(error, "message");
  const reason = memberOf(first, "reason");
  return { reason: typeof reason === "string" ? reason : "", message: typeof message === "string" ? message : text };
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** Reads a member of a value from outside. */
export function memberOf(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null && Object.hasOwn(value, name) ? Reflect.get(value, name) : undefined;
}

const KINDS: Readonly<Record<number, GcsRefusalKind>> = { 404: "missing", 412: "changed", 416: "empty" };
const SESSION_KINDS: Readonly<Record<number, GcsRefusalKind>> = { 404: "gone", 410: "gone", 499: "gone", 412: "changed" };
const RATE_REASONS: ReadonlySet<string> = new Set(["rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded", "dailyLimitExceeded"]);
const HELD_REASONS: ReadonlySet<string> = new Set(["retentionPolicyNotMet", "objectUnderActiveHold", "objectRetentionNotMet"]);
const TOKEN_HINT = "the token has ended, or was made for another service: its scope is devstorage.read_write or cloud-platform";
const RIGHT_HINT = "grant roles/storage.objectUser on the bucket: create, get, list, update and delete of objects";
const HELD_HINT = "a hold or a retention policy keeps the object: it can be rewrapped, and neither replaced nor deleted";
