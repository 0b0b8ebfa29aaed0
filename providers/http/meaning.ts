import type { ErrorCode } from "../../src/core/base/errors.ts";

/** Makes a row of a table of errors. A call takes fewer bytes in an application than an object with three names. */
export function meaning(
  code: ErrorCode,
  detail: string,
  hint: string,
): { readonly code: ErrorCode; readonly detail: string; readonly hint: string } {
  return { code, detail, hint };
}
