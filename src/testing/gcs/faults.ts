import { type BodyFault, isBodyFault } from "../emulator/body-faults.ts";
import { type CommonFault, isCommonFaultName, numberOf } from "../emulator/fault-plan.ts";
import { authError, conditionNotMet, forbidden, GcsAnswer } from "./answer.ts";

/**
 * A fault of the service, beside the faults common to all emulators and those of bodies: an error, given by its reason or as a whole, or
 *
 * - `keep:n`: a session keeps n bytes of the request at most, in steps of 256 KiB, and says so
 * - `keep-lost:n`: the same, and the connection breaks before the answer
 * - `wrong-checksum`: the description of the object, or the header of a download, has the checksum of other bytes
 * - `wrong-generation`: the same with another generation
 */
export type OwnFault = GcsReason | GcsAnswer | BodyFault | `${"keep" | "keep-lost"}:${number}` | "wrong-checksum" | "wrong-generation";

export type Fault = CommonFault | OwnFault;

/** The errors that have a name. */
export type GcsReason =
  | "authError"
  | "backendError"
  | "conditionNotMet"
  | "forbidden"
  | "gone"
  | "internalError"
  | "notFound"
  | "rateLimitExceeded"
  | "retentionPolicyNotMet"
  | "userRateLimitExceeded";

export function isFaultName(text: string): text is Exclude<Fault, object> {
  return isCommonFaultName(text) || isReason(text) || isBodyFault(text) || keptBytesOf(text) !== undefined || isWrong(text);
}

/** Returns the error that stands in place of the answer. */
export function errorOf(fault: OwnFault): GcsAnswer | undefined {
  if (fault instanceof GcsAnswer) return fault;
  return isReason(fault) ? ERRORS[fault]() : undefined;
}

/** Returns how many bytes of a request a session keeps. */
export function keptBytesOf(fault: OwnFault | string): { readonly bytes: number; readonly isLost: boolean } | undefined {
  if (typeof fault !== "string") return undefined;
  const [kept, lost] = [numberOf("keep", fault), numberOf("keep-lost", fault)];
  const bytes = kept ?? lost;
  return bytes === undefined ? undefined : { bytes, isLost: lost !== undefined };
}

export function isWrong(fault: OwnFault | string): fault is "wrong-checksum" | "wrong-generation" {
  return fault === "wrong-checksum" || fault === "wrong-generation";
}

function isReason(fault: OwnFault | string): fault is GcsReason {
  return typeof fault === "string" && Object.hasOwn(ERRORS, fault);
}

const ERRORS: Readonly<Record<GcsReason, () => GcsAnswer>> = {
  authError,
  backendError: () => new GcsAnswer(503, "backendError", "We encountered an internal error. Please try again."),
  conditionNotMet,
  forbidden: () => forbidden("owner@acme.iam.gserviceaccount.com", "storage.objects.get"),
  gone: () => new GcsAnswer(410, "gone", "The upload is older than a week."),
  internalError: () => new GcsAnswer(500, "internalError", "We encountered an internal error. Please try again."),
  notFound: () => new GcsAnswer(404, "notFound", "Not Found"),
  rateLimitExceeded: () =>
    new GcsAnswer(
      429,
      "rateLimitExceeded",
      "The object exceeded the rate limit for object mutation operations (create, update, and delete).",
    ),
  retentionPolicyNotMet: () => new GcsAnswer(403, "retentionPolicyNotMet", "The object is subject to the bucket's retention policy."),
  userRateLimitExceeded: () => new GcsAnswer(403, "userRateLimitExceeded", "User Rate Limit Exceeded"),
};
