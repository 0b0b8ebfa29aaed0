import { type BodyFault, distorted, isBodyFault } from "../emulator/body-faults.ts";
import { type CommonFault, isCommonFaultName, type RawAnswer } from "../emulator/fault-plan.ts";
import { isS3Code, S3Answer, type S3Code } from "./answer.ts";

/**
 * A fault of the service, beside the faults common to all emulators and those of bodies: an error, given by its code or as a whole, or
 *
 * - `wrong-etag`: the answer has the ETag of other bytes
 * - `late-error`: status 200, and an error in the body, as the service answers when a copy or a completion fails late
 */
export type OwnFault = S3Code | S3Answer | BodyFault | "wrong-etag" | "late-error";

export type Fault = CommonFault | OwnFault;

export function isFaultName(text: string): text is Exclude<Fault, object> {
  return isCommonFaultName(text) || isS3Code(text) || isBodyFault(text) || text === "wrong-etag" || text === "late-error";
}

/** Returns the error that stands in place of the answer. */
export function errorOf(fault: OwnFault): S3Answer | undefined {
  if (fault instanceof S3Answer) return fault;
  return isS3Code(fault) ? new S3Answer(fault) : undefined;
}

/** Spoils an answer of the service. */
export function spoiled(fault: OwnFault, answer: RawAnswer): RawAnswer {
  if (fault === "wrong-etag") return { ...answer, headers: { ...answer.headers, etag: '"00000000000000000000000000000000"' } };
  return isBodyFault(fault) ? distorted(fault, answer) : answer;
}
