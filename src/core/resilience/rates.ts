import { invalidArgument } from "../base/errors.ts";
import { type OptionNames, refuseUnknown } from "../base/options.ts";
import type { RateLimit } from "../base/token-bucket.ts";
import { positive } from "./checks.ts";

/** @throws `invalid-argument` */
export function checkedRate(rate: RateLimit, what: string): RateLimit {
  refuseUnknown(rate, RATE_OPTIONS, what);
  const { perSecond, burst } = rate;
  positive(perSecond, `${what}.perSecond`);
  if (burst !== undefined && !(typeof burst === "number" && burst >= 1)) throw invalidArgument(`${what}.burst must be at least 1`);
  return { perSecond, ...(burst !== undefined && { burst }) };
}

/** The part of a rate. Its burst is at least one call. */
export function partOf({ perSecond, burst = perSecond }: RateLimit, share: number): RateLimit {
  return { perSecond: perSecond * share, burst: Math.max(1, burst * share) };
}

const RATE_OPTIONS: OptionNames<RateLimit> = { perSecond: true, burst: true };
