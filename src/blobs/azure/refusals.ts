import { EnvelockError } from "../../core/base/errors.ts";
import { shown, statusFailure } from "../failures.ts";
import { Refusal, type Results, settledRefusal } from "../refusal.ts";

/**
 * An answer of the service that is no failure of the call: `missing`, `changed` (a condition does not hold), `taken` (the caller may create
 * this blob, and it is there), `held` (a lease, a policy or the archive forbids the change), `empty` (a range of a blob without bytes),
 * `unsupported` (the account has no such thing).
 */
export class AzureRefusal extends Refusal<AzureRefusalKind> {}

export type AzureRefusalKind = "missing" | "changed" | "taken" | "held" | "empty" | "unsupported";

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
  const known = HINTED.get(code);
  const failure = known === undefined ? statusFailure(what, status, code, cause, retryAfterMs) : hinted(what, status, code, known, cause);
  const kind = KIND_BY_CODE.get(code) ?? KIND_BY_STATUS[status];
  return kind === undefined ? failure : new AzureRefusal(kind, failure);
}

/** Takes some refusals for results; others become errors. */
export async function settled<T, R>(results: Results<AzureRefusalKind, R>, work: () => Promise<T>): Promise<T | R> {
  return await settledRefusal((error) => error instanceof AzureRefusal, failureOf, results, work);
}

function failureOf(error: unknown): unknown {
  return error instanceof AzureRefusal ? error.failure : error;
}

function hinted(what: string, status: number, code: string, known: Hinted, cause: unknown): EnvelockError {
  return new EnvelockError("provider-failure", `the store answered ${status} ${shown(code)} to ${what}`, {
    whose: "service",
    ...known,
    ...(cause !== undefined && { cause }),
  });
}

interface Hinted {
  readonly hint: string;
  readonly detail?: string;
}

const ARCHIVED: Hinted = { detail: "archived", hint: "rehydrate the blob first" };
const OTHER_KEY: Hinted = {
  hint: "blobs under a customer-provided key are not read: use an encryption scope, or a client that has the key",
};
const HINTED: ReadonlyMap<string, Hinted> = new Map([
  ["BlobArchived", ARCHIVED],
  ["BlobBeingRehydrated", ARCHIVED],
  ["BlobUsesCustomerSpecifiedEncryption", OTHER_KEY],
]);

const KIND_BY_CODE: ReadonlyMap<string, AzureRefusalKind> = new Map([
  ["BlobNotFound", "missing"],
  ["ResourceNotFound", "missing"],
  ["ConditionNotMet", "changed"],
  ["TargetConditionNotMet", "changed"],
  ["BlobAlreadyExists", "changed"],
  ["UnauthorizedBlobOverwrite", "taken"],
  ["InvalidBlockList", "changed"],
  ["InvalidBlobOrBlock", "changed"],
  ["LeaseIdMissing", "held"],
  ["LeaseIdMismatchWithBlobOperation", "held"],
  ["LeaseIdMismatchWithLeaseOperation", "held"],
  ["LeaseNotPresentWithBlobOperation", "held"],
  ["LeaseLost", "held"],
  ["BlobArchived", "held"],
  ["BlobBeingRehydrated", "held"],
  ["BlobImmutableDueToPolicy", "held"],
  ["BlobImmutableDueToLegalHold", "held"],
  ["InvalidBlobType", "held"],
  ["InvalidRange", "empty"],
  ["FeatureNotYetSupportedForHierarchicalNamespaceAccounts", "unsupported"],
]);
/** For answers without a code, such as those of some proxies. */
const KIND_BY_STATUS: Readonly<Record<number, AzureRefusalKind>> = { 404: "missing", 412: "changed", 416: "empty" };
