import { EnvelockError } from "../../core/base/errors.ts";
import { statusFailure } from "../failures.ts";

/**
 * An answer of the service that is no failure of the call: `missing`, `changed` (a condition does not hold), `held` (a lease, a policy or
 * the archive forbids the change), `empty` (a range of a blob without bytes).
 */
export class AzureRefusal extends Error {
  readonly kind: "missing" | "changed" | "held" | "empty";
  /** The same as an error for the caller. */
  readonly failure: EnvelockError;

  constructor(kind: AzureRefusal["kind"], failure: EnvelockError) {
    super(failure.message, { cause: failure });
    this.kind = kind;
    this.failure = failure;
  }
}

/** Translates a status and the service's own error code. */
export function azureError(
  what: string,
  status: number,
  code: string,
  cause?: unknown,
  retryAfterMs?: number,
): AzureRefusal | EnvelockError {
  if (code === "ContainerNotFound") {
    return new EnvelockError("invalid-argument", `the container of ${what} is not there`, { cause, hint: "create the container first" });
  }
  const failure = statusFailure(what, status, code, cause, retryAfterMs);
  const kind = KIND_BY_CODE[code] ?? KIND_BY_STATUS[status];
  return kind === undefined ? failure : new AzureRefusal(kind, failure);
}

const KIND_BY_CODE: Readonly<Record<string, AzureRefusal["kind"]>> = {
  BlobNotFound: "missing",
  ResourceNotFound: "missing",
  ConditionNotMet: "changed",
  TargetConditionNotMet: "changed",
  BlobAlreadyExists: "changed",
  UnauthorizedBlobOverwrite: "changed",
  InvalidBlockList: "changed",
  InvalidBlobOrBlock: "changed",
  LeaseIdMissing: "held",
  LeaseIdMismatchWithBlobOperation: "held",
  LeaseIdMismatchWithLeaseOperation: "held",
  LeaseNotPresentWithBlobOperation: "held",
  LeaseLost: "held",
  BlobArchived: "held",
  BlobBeingRehydrated: "held",
  BlobImmutableDueToPolicy: "held",
  BlobImmutableDueToLegalHold: "held",
  InvalidBlobType: "held",
  InvalidRange: "empty",
};
/** For answers without a code, such as those of some proxies. */
const KIND_BY_STATUS: Readonly<Record<number, AzureRefusal["kind"]>> = { 404: "missing", 412: "changed", 416: "empty" };
