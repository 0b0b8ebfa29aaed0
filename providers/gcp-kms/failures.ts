import { EnvelockError, type ErrorCode } from "../../src/core/base/errors.ts";
import { fieldOf, textFieldOf } from "../http/fields.ts";
import type { HttpAnswer } from "../http/http-service.ts";
import { meaning } from "../http/meaning.ts";
import { wordOf } from "../http/transport-failures.ts";

/** What was asked of the service. */
export type GcpOperation =
  | "encrypt"
  | "decrypt"
  | "asymmetricDecrypt"
  | "get-key"
  | "get-version"
  | "get-public-key"
  | "test-permissions"
  | "random"
  | "token";

/** What the service said, without what it was asked: its status and the types of its violations. */
export class GcpServerError extends Error {
  override readonly name = "GcpServerError";
  readonly httpStatus: number;
  /** The canonical code, such as `NOT_FOUND`, if the answer has one. */
  readonly status: string | undefined;
  /** The types of the violated preconditions, such as `KEY_DISABLED`. */
  readonly violations: readonly string[];

  constructor(httpStatus: number, status: string | undefined, violations: readonly string[]) {
    super([`status ${httpStatus}`, ...(status === undefined ? [] : [status]), ...violations].join(" "));
    this.httpStatus = httpStatus;
    this.status = status;
    this.violations = violations;
  }
}

interface Meaning {
  readonly code: ErrorCode;
  readonly detail?: string;
  readonly hint?: string;
  readonly retryable?: boolean;
}

/**
 * An answer that is no success, in our codes.
 *
 * @param of the key that it was asked of
 * @see docs/providers/gcp-kms.md for the table
 */
export function serverFailure(answer: HttpAnswer, operation: GcpOperation, of: string): EnvelockError {
  const error = fieldOf(answer.json, "error");
  const status = wordOf(textFieldOf(error, "status"));
  const violations = violationsOf(error);
  const text = (textFieldOf(error, "message") ?? "").slice(0, MAX_TEXT);
  const { code, ...more } = meaningOf({ httpStatus: answer.status, status, violations, text, operation });
  return new EnvelockError(
    code,
    `cloud kms answered ${answer.status}${status === undefined ? "" : ` ${status}`} to ${operation} with ${of}`,
    {
      ...more,
      ...(answer.retryAfterMs !== undefined && { retryAfterMs: answer.retryAfterMs }),
      cause: new GcpServerError(answer.status, status, violations),
    },
  );
}

/** An answer that is not what the service documents. */
export function brokenAnswer(operation: GcpOperation, of: string, what: string): EnvelockError {
  return new EnvelockError("provider-failure", `cloud kms's answer to ${operation} with ${of} ${what}`, { detail: "broken-answer" });
}

/** Bytes that were changed on their way, there or back. Nothing of the answer may be used. */
export function checksumFailure(operation: GcpOperation, of: string): EnvelockError {
  return new EnvelockError("unavailable", `the checksums of ${operation} with ${of} do not fit: bytes were changed on the way`, CHECKSUM);
}

export function rejected(): EnvelockError {
  return new EnvelockError("unwrap-rejected", "this key of Cloud KMS did not wrap this data key in this context");
}

interface Failed {
  readonly httpStatus: number;
  readonly status: string | undefined;
  readonly violations: readonly string[];
  readonly text: string;
  readonly operation: GcpOperation;
}

function meaningOf(failed: Failed): Meaning {
  const { httpStatus, status, violations } = failed;
  if (httpStatus === 400 && status === "FAILED_PRECONDITION") return preconditionMeaning(violations, failed.text);
  if (httpStatus === 400) return argumentMeaning(failed);
  if (httpStatus === 401) return meaning("access-denied", "token", "the access token has ended, or has not the scope cloudkms");
  if (httpStatus === 403) return PERMISSION_DENIED;
  if (httpStatus === 404)
    return { code: "key-not-found", hint: "check project, location, key ring and key: a key never moves between locations" };
  if (httpStatus === 429) return { code: "rate-limited", hint: "a quota of the project: reuse data keys and cache unwrapped ones" };
  if (httpStatus === 504) return { code: "timeout" };
  return httpStatus >= 500 ? { code: "unavailable" } : { code: "provider-failure" };
}

function argumentMeaning({ text, operation }: Failed): Meaning {
  if (/checksum|crc32c/i.test(text)) return { code: "unavailable", ...CHECKSUM };
  if (/purpose/i.test(text))
    return meaning("provider-failure", "key-type", 'keyType is "rsa" for a key whose purpose is ASYMMETRIC_DECRYPT');
  const isUnwrap = operation === "decrypt" || operation === "asymmetricDecrypt";
  return isUnwrap ? { code: "unwrap-rejected" } : { code: "provider-failure", detail: "bad-request" };
}

/** Cloud EKM adds its partner's domain to the state of the key. It is the one that counts. */
function preconditionMeaning(violations: readonly string[], text: string): Meaning {
  const external = violations.find((type) => type.startsWith("EXTERNAL_") || type.startsWith("EKM_"));
  if (external !== undefined) {
    if (/DENIED|UNAUTHORIZED/.test(external)) return meaning("access-denied", external, EXTERNAL_HINT);
    return { code: "unavailable", detail: external };
  }
  const [, inText] = /current state is:? "?([A-Z_]{1,40})/.exec(text) ?? [];
  const state = inText ?? violations.find((type) => /^KEY_(?:DESTROYED|PENDING_GENERATION|DISABLED)$/.test(type))?.slice("KEY_".length);
  return state === undefined ? { code: "provider-failure", detail: violations[0] ?? "precondition" } : meaningOfState(state);
}

/** What the state of a version means where it should be enabled. */
export function meaningOfState(state: string): Meaning {
  if (state === "DESTROYED") return { code: "key-not-found", detail: "destroyed" };
  if (/^PENDING_(?:GENERATION|IMPORT)$/.test(state)) return { code: "unavailable", detail: "pending" };
  return state === "DESTROY_SCHEDULED"
    ? meaning("key-disabled", "destroy-scheduled", "restore the version before its time is up, then enable it")
    : meaning("key-disabled", "disabled", "enable the version");
}

function violationsOf(error: unknown): readonly string[] {
  const details = fieldOf(error, "details");
  if (!Array.isArray(details)) return [];
  const found = details.slice(0, MAX_VIOLATIONS).flatMap((detail) => {
    const violations = fieldOf(detail, "violations");
    return Array.isArray(violations) ? violations.slice(0, MAX_VIOLATIONS).map((violation) => wordOf(textFieldOf(violation, "type"))) : [];
  });
  return found.filter((type) => type !== undefined);
}

const CHECKSUM: Omit<Meaning, "code"> = { detail: "checksum", retryable: true };
const PERMISSION_DENIED: Meaning = meaning(
  "access-denied",
  "permission-denied",
  "the principal lacks the permission, or the key does not exist: the service does not tell which",
);
const EXTERNAL_HINT = "the external key manager refuses; that disables the version too, which has to be enabled again afterwards";
const MAX_TEXT = 2000;
const MAX_VIOLATIONS = 8;
