import { invalidArgument } from "../base/errors.ts";

/** Requires a time above zero; it may be infinite. @throws `invalid-argument` */
export function positive(value: number, name: string): number {
  if (typeof value === "number" && value > 0) return value;
  throw invalidArgument(`${name} is ${value}, expected a number above 0`);
}

/** Requires a count; it may be infinite. @throws `invalid-argument` */
export function countOrInfinity(value: number, name: string): number {
  return value === Number.POSITIVE_INFINITY ? value : count(value, name);
}

/** Requires a count of at most `most`. @throws `invalid-argument` */
export function count(value: number, name: string, most: number = Number.MAX_SAFE_INTEGER): number {
  if (Number.isSafeInteger(value) && value >= 1 && value <= most) return value;
  throw invalidArgument(`${name} is ${value}, expected an integer from 1 to ${most}`);
}
