import { invalidArgument } from "../base/errors.ts";
import { type OptionNames, refuseUnknown } from "../base/options.ts";
import { positive } from "./checks.ts";

/** A rate of calls. */
export interface RateLimit {
  readonly perSecond: number;
  /** The most calls at once after a pause. Default: those of one second, at least 1. */
  readonly burst?: number;
}

/** Lets calls pass at a rate. It is told the time and reads no clock. */
export class TokenBucket {
  readonly #perMs: number;
  readonly #burst: number;
  #tokens: number;
  #at: number;

  constructor({ perSecond, burst = Math.max(1, perSecond) }: RateLimit, now: number) {
    this.#perMs = perSecond / 1000;
    this.#burst = burst;
    this.#tokens = burst;
    this.#at = now;
  }

  /** The time until a call may pass; 0 if it may now. */
  delayMs(now: number): number {
    this.#refill(now);
    return this.#tokens >= 1 - ROUNDING ? 0 : (1 - this.#tokens) / this.#perMs;
  }

  /** How many calls may pass now. */
  callsAt(now: number): number {
    this.#refill(now);
    return Math.floor(this.#tokens + ROUNDING);
  }

  /** Counts a call that `delayMs` has let pass. */
  take(): void {
    this.#tokens = Math.max(0, this.#tokens - 1);
  }

  /** Whether a new bucket would be the same. */
  isFull(now: number): boolean {
    this.#refill(now);
    return this.#tokens >= this.#burst;
  }

  #refill(now: number): void {
    this.#tokens = Math.min(this.#burst, this.#tokens + (now - this.#at) * this.#perMs);
    this.#at = now;
  }
}

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
/** Sums of fractions come out a little short of a whole. */
const ROUNDING = 1e-9;
