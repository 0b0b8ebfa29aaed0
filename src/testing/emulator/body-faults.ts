import { numberOf, type RawAnswer } from "./fault-plan.ts";

/**
 * A fault of the bodies of requests and answers, common to emulators that take bytes:
 *
 * - `cut-up:n`: the connection breaks after n bytes of the request's body; a shorter body is answered as usual
 * - `cut-down:n`: the connection breaks after n bytes of the answer's body
 * - `lost`: the service does what it was asked, and the connection breaks before the answer
 * - `truncated:n`: the answer ends after n bytes, and its Content-Length says so
 * - `too-long:n`: Content-Length states n bytes more than come before the connection breaks
 * - `too-short:n`: Content-Length states n bytes fewer than the service has, and no more come
 */
export type BodyFault = `${"cut-up" | "cut-down" | "truncated" | "too-long" | "too-short"}:${number}` | "lost";

export function isBodyFault(text: unknown): text is BodyFault {
  return typeof text === "string" && (text === "lost" || COUNTED.some((word) => numberOf(word, text) !== undefined));
}

/** @returns after how many bytes of the request's body the connection breaks */
export function uploadCutOf(fault: unknown): number | undefined {
  return typeof fault === "string" ? numberOf("cut-up", fault) : undefined;
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
