import type { BreakerState } from "../telemetry/events.ts";

export interface BreakerOptions {
  /** Opens after this many retryable failures in a row. Default 10: more than one call with all its retries can cause alone. */
  readonly failures?: number;
  /** How long it stays open before one call is let through. Default 15,000. */
  readonly openMs?: number;
}

/** Counts the failures of one provider. It is told the time and reads no clock. */
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

  /** The time until a call may be tried. Undefined while a probe is in flight. Only for a breaker that refuses. */
  retryAfterMs(now: number): number | undefined {
    return this.#isProbing || this.#openUntil === undefined ? undefined : this.#openUntil - now;
  }

  /** Whether a call may be made now. */
  admits(now: number): boolean {
    return this.#openUntil === undefined || (now >= this.#openUntil && !this.#isProbing);
  }

  /** Begins a call that `admits` let through. @returns whether it is the probe, which the end of the call must report */
  begin(): boolean {
    this.#isProbing = this.#openUntil !== undefined;
    return this.#isProbing;
  }

  /** Notes that the provider answered, even with a refusal or a request for fewer calls. */
  answered(): void {
    this.#consecutiveFailures = 0;
    this.#openUntil = undefined;
    this.#isProbing = false;
  }

  /** Notes a retryable failure other than throttling. A call that began before the breaker opened changes nothing when it fails later. */
  failed(isProbe: boolean, now: number): void {
    if (this.#openUntil !== undefined && !isProbe) return;
    this.#consecutiveFailures++;
    if (isProbe) this.#isProbing = false;
    if (isProbe || this.#consecutiveFailures >= this.#failures) this.#openUntil = now + this.#openMs;
  }

  /** Notes that the caller left before there was an answer. This says nothing about the provider. */
  abandoned(isProbe: boolean): void {
    if (isProbe) this.#isProbing = false;
  }
}
