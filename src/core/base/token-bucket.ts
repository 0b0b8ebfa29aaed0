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

/** Sums of fractions come out a little short of a whole. */
const ROUNDING = 1e-9;
