import { isTextOfAtMost } from "../../core/base/bytes.ts";
import { invalidArgument } from "../../core/base/errors.ts";

/** Reads the label of a key as a caller gives it. @throws `invalid-argument` */
export function keyLabel(given: unknown): string {
  if (isKeyLabel(given)) return given;
  throw invalidArgument(
    `the label of a key is text of 1 to ${MAX_LABEL_BYTES} bytes in UTF-8, in one line`,
    "Leave out control characters and those that turn the direction of the text.",
  );
}

/** Whether a value may be the label of a key. The classes are those that no later version of Unicode widens. */
export function isKeyLabel(value: unknown): value is string {
  return isTextOfAtMost(MAX_LABEL_BYTES, value) && !REFUSED.test(value);
}

const MAX_LABEL_BYTES = 100;
const REFUSED = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/u;
