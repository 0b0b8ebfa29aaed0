import { type CommonFault, isCommonFaultName, numberOf, type RawAnswer } from "../emulator/fault-plan.ts";
import { isS3Code, S3Answer, type S3Code } from "./answer.ts";

/**
 * A fault of the service, beside the faults common to all emulators: an error, given by its code or as a whole, or
 *
 * - `cut-up:n`: the connection breaks after n bytes of the request's body; a shorter body is answered as usual
 * - `cut-down:n`: the connection breaks after n bytes of the answer's body
 * - `lost`: the service does what it was asked, and the connection breaks before the answer
 * - `truncated:n`: the answer ends after n bytes, and its Content-Length says so
 * - `too-long:n`: Content-Length states n bytes more than come before the connection breaks
 * - `too-short:n`: Content-Length states n bytes fewer than the service has, and no more come
 * - `wrong-etag`: the answer has the ETag of other bytes
 * - `late-error`: status 200, and an error in the body, as the service answers when a copy or a completion fails late
 */
export type OwnFault = S3Code | S3Answer | BodyFault;

export type BodyFault =
  | `${"cut-up" | "cut-down" | "truncated" | "too-long" | "too-short"}:${number}`
  | "lost"
  | "wrong-etag"
  | "late-error";

export type Fault = CommonFault | OwnFault;

export function isFaultName(text: string): text is Exclude<Fault, object> {
  return isCommonFaultName(text) || isS3Code(text) || isBodyFault(text);
}

export function isBodyFault(text: string): text is BodyFault {
  return PLAIN.has(text) || COUNTED.some((word) => numberOf(word, text) !== undefined);
}

/** @returns after how many bytes of the request's body the connection breaks */
export function uploadCutOf(fault: OwnFault): number | undefined {
  return typeof fault === "string" ? numberOf("cut-up", fault) : undefined;
}

/** Returns the error that stands in place of the answer. */
export function errorOf(fault: OwnFault): S3Answer | undefined {
  if (fault instanceof S3Answer) return fault;
  return isS3Code(fault) ? new S3Answer(fault) : undefined;
}

/** Spoils an answer of the service. */
export function distorted(fault: BodyFault, answer: RawAnswer): RawAnswer {
  const pieces = answer.bytes ?? [Buffer.from(answer.text)];
  const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
  const [word = "", digits = "0"] = fault.split(":");
  const bytes = Number(digits);
  switch (word) {
    case "lost":
      return { ...answer, cutAfterBytes: -1 };
    case "cut-down":
      return { ...withLength(answer, pieces, length), cutAfterBytes: Math.min(bytes, length) };
    case "truncated":
      return withLength(answer, headOf(pieces, bytes), Math.min(bytes, length));
    case "too-long":
      return { ...withLength(answer, pieces, length + bytes), cutAfterBytes: length };
    case "too-short":
      return withLength(answer, headOf(pieces, length - bytes), Math.max(0, length - bytes));
    case "wrong-etag":
      return { ...answer, headers: { ...answer.headers, etag: '"00000000000000000000000000000000"' } };
    default:
      return answer; // `cut-up` of a body that was shorter
  }
}

function withLength(answer: RawAnswer, bytes: readonly Uint8Array[], length: number): RawAnswer {
  return { ...answer, bytes, headers: { ...answer.headers, "content-length": `${length}` } };
}

function headOf(pieces: readonly Uint8Array[], length: number): readonly Uint8Array[] {
  let left = Math.max(0, length);
  return pieces.map((piece) => {
    const head = piece.subarray(0, left);
    left -= head.length;
    return head;
  });
}

const COUNTED = ["cut-up", "cut-down", "truncated", "too-long", "too-short"] as const;
const PLAIN: ReadonlySet<string> = new Set(["lost", "wrong-etag", "late-error"]);
