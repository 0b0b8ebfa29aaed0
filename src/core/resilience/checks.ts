import { invalidArgument } from "../base/errors.ts";
import { shownValue } from "../base/options.ts";

/** Requires a time above zero; it may be infinite. @throws `invalid-argument` */
export function positive(value: number, name: string): number {
  if (typeof value === "number" && value > 0) return value;
  throw invalidArgument(`${name} is ${shownValue(value)}, expected a number above 0`);
}

/** Requires a count; it may be infinite. @throws `invalid-argument` */
export function countOrInfinity(value: number, name: string): number {
  return value === Number.POSITIVE_INFINITY ? value : count(value, name);
}

/** Requires a count of at most `most`. @throws `invalid-argument` */
export function count(value: number, name: string, most: number = Number.MAX_SAFE_INTEGER): number {
  if (Number.isSafeInteger(value) && value >= 1 && value <= most) return value;
  throw invalidArgument(`${name} is ${shownValue(value)}, expected an integer from 1 to ${most}`);
}

/** Requires a number of bytes, if one is given. @throws `invalid-argument` */
export function checkedBytes(bytes: number | undefined, name: string): number | undefined {
  if (bytes === undefined || (Number.isSafeInteger(bytes) && bytes >= 0)) return bytes;
  throw invalidArgument(`${name} is ${shownValue(bytes)}, expected an integer from 0`);
}

/** Requires a range of a plaintext. @throws `invalid-argument` */
export function requireRange(start: number, end: number): void {
  if (isOffset(start) && isOffset(end) && end >= start) return;
  throw invalidArgument(`a range is two integers from 0, not ${shownValue(start)} to ${shownValue(end)}`);
}

function isOffset(offset: number): boolean {
  return Number.isSafeInteger(offset) && offset >= 0;
}
