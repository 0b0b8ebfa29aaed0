import type { BreakerState } from "../telemetry/events.ts";

export interface BreakerOptions {
  /** Opens after this many retryable failures in a row. Default 10: more than one call with all its retries can cause alone. */
  readonly failures?: number;
  /** How long it stays open before one call is let through. Default 15,000. */
  readonly openMs?: number;
}

/** Counts what one provider does; told the time, reads no clock. */
export class Breaker {
  readonly #failures: number;
  readonly #openMs: number;
  #consecutiveFailures = 0;
  #openUntil: number | undefined;
  #isProbing = false;

  constructor({ failures, openMs }: Required<BreakerOptions>) {
    this.#failures = failures;
    this.#openMs = openMs;
  }

  get isClosed(): boolean {
    return this.#openUntil === undefined;
  }

  get consecutiveFailures(): number {
    return this.#consecutiveFailures;
  }

  stateAt(now: number): BreakerState {
    if (this.#openUntil === undefined) return "closed";
    return this.#isProbing || now >= this.#openUntil ? "half-open" : "open";
  }

  /** How long until a call may be tried; undefined while another call is finding out. Only for a breaker that refuses. */
  retryAfterMs(now: number): number | undefined {
    return this.#isProbing || this.#openUntil === undefined ? undefined : this.#openUntil - now;
  }

  /** Whether a call may be made now. */
  admits(now: number): boolean {
    return this.#openUntil === undefined || (now >= this.#openUntil && !this.#isProbing);
  }

  /** A call that `admits` let through begins. @returns whether it is the probe, which its end must be told with */
  begin(): boolean {
    this.#isProbing = this.#openUntil !== undefined;
    return this.#isProbing;
  }

  /** The provider answered, if only with a refusal, or by asking to be called less. */
  answered(): void {
    this.#consecutiveFailures = 0;
    this.#openUntil = undefined;
    this.#isProbing = false;
  }

  /** A retryable failure, but for throttling. What began before the breaker opened and fails after changes nothing. */
  failed(isProbe: boolean, now: number): void {
    if (this.#openUntil !== undefined && !isProbe) return;
    this.#consecutiveFailures++;
    if (isProbe) this.#isProbing = false;
    if (isProbe || this.#consecutiveFailures >= this.#failures) this.#openUntil = now + this.#openMs;
  }

  /** The caller left before there was an answer: says nothing of the provider. */
  abandoned(isProbe: boolean): void {
    if (isProbe) this.#isProbing = false;
  }
}
