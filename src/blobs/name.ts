import { isTextOfAtMost } from "../core/base/bytes.ts";
import { invalidArgument } from "../core/base/errors.ts";

/**
 * Checks the name of a blob: well-formed text of 1 to 1,000 bytes, without control characters and backslashes, and without the path
 * segments that stores treat in their own ways: empty ones, `.` and `..`.
 *
 * @throws `invalid-argument`
 */
export function checkedName(name: unknown): string {
  if (!isTextOfAtMost(MOST_NAME_BYTES, name) || FORBIDDEN.test(name) || name.split("/").some((segment) => SEGMENTS.has(segment))) {
    throw invalidArgument(
      `the name of a blob is text of 1 to ${MOST_NAME_BYTES} bytes, in segments that are parted by /`,
      "no segment is empty, . or .., and none has a backslash or a control character",
    );
  }
  if (name.endsWith(SIDECAR_END)) throw invalidArgument(`the name of a blob does not end with ${SIDECAR_END}: that is where headers stand`);
  return name;
}

/** Whether a blob can have this name. Objects with another one are none of ours: what stands beside blobs, and what other programs keep. */
export function isBlobName(name: unknown): name is string {
  try {
    return checkedName(name) === name;
  } catch {
    return false;
  }
}

/** What the name of a sidecar adds to that of its blob. */
export const SIDECAR_END = ".envelock-header";
const MOST_NAME_BYTES = 1000;
const SEGMENTS: ReadonlySet<string> = new Set(["", ".", ".."]);
const FORBIDDEN = /[\\\p{Cc}]/u;
