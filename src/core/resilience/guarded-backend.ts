import type { Clock } from "../base/clock.ts";
import { EnvelockError } from "../base/errors.ts";
import type { BreakerState, ProviderCall } from "../telemetry/events.ts";
import type { Observer } from "../telemetry/observer.ts";
import { bounded, type Limit, type Operation } from "./operation.ts";
import type { Guard, ResiliencePolicy } from "./policy.ts";
import { providerError } from "./provider-contract.ts";
import { CIRCUIT_OPEN, type RetriedProvider } from "./retry.ts";

/** How things stand with one provider, or with the generator of a keyring. */
export interface ProviderStatus {
  readonly provider: string;
  readonly breaker: BreakerState;
  /** Retryable failures since the provider last answered. */
  readonly consecutiveFailures: number;
  /** Attempts that run now. */
  readonly active: number;
  /** Attempts that wait for a place. */
  readonly queued: number;
}

/**
 * One backend as one keyring calls it: each attempt goes past the breaker, in its turn, within its time, and what comes back is held
 * to the backend's contract.
 */
export class GuardedBackend<B extends Backend> implements RetriedProvider {
  protected readonly backend: B;
  readonly #guard: Guard;
  readonly #clock: Clock;
  readonly #attemptDeadlineMs: number;
  readonly #observer: Observer | undefined;

  constructor(backend: B, { guards, clock, attemptDeadlineMs }: ResiliencePolicy, observer: Observer | undefined) {
    this.backend = backend;
    this.#guard = guards.of(backend);
    this.#clock = clock;
    this.#attemptDeadlineMs = attemptDeadlineMs;
    this.#observer = observer;
  }

  get status(): ProviderStatus {
    const { breaker, limiter } = this.#guard;
    return {
      provider: this.backend.name,
      breaker: breaker.stateAt(this.#clock.monotonicMs()),
      consecutiveFailures: breaker.consecutiveFailures,
      active: limiter.active,
      queued: limiter.queued,
    };
  }

  /** Whether a call would be let through now. */
  get isAdmitting(): boolean {
    const { breaker } = this.#guard;
    return breaker.isClosed || breaker.admits(this.#clock.monotonicMs());
  }

  failureOf(error: unknown): EnvelockError {
    return providerError(this.backend, error);
  }

  tellRetry(call: ProviderCall, attempt: number, { code }: EnvelockError, delayMs: number): void {
    this.#observer?.emit({ type: "retry", call, provider: this.backend.name, code, attempt, delayMs });
  }

  /**
   * Makes one attempt, and tells of it.
   *
   * @throws what the step throws, `timeout`, `unavailable` for an open breaker, the abort's reason
   */
  protected attempt<R, T>(operation: Operation, attempt: number, step: Step<R, T>): Promise<T> {
    const observer = this.#observer;
    if (observer === undefined) return this.#attempt(operation, step);
    const { call, keyIdOf } = step;
    let keyId = keyIdOf(undefined);
    const run = async (): Promise<T> => {
      const value = await this.#attempt(operation, step);
      keyId = keyIdOf(value);
      return value;
    };
    return observer.timed(`envelock.${call}`, operation, run, (outcome, durationMs) => {
      return { type: "provider-call", call, provider: this.backend.name, keyId, outcome, durationMs, attempt };
    });
  }

  async #attempt<R, T>(operation: Operation, { call, start, accept, discard }: Step<R, T>): Promise<T> {
    const { limiter, controllers } = this.#guard;
    operation.throwIfAborted();
    this.#requireAdmission();
    if (!limiter.tryEnter()) await limiter.enter(operation, this.#limit(operation.remainingMs, `had no place free to ${call}`));
    let isProbe: boolean | undefined;
    try {
      this.#requireAdmission(); // much may have happened while this one stood in line
      isProbe = this.#begin();
      const controller = controllers.pop() ?? new AbortController();
      const pending = start(controller.signal);
      const early = new Early(pending);
      await undefined; // one microtask: a key in this process has answered by now, and needs neither timer nor listener
      if (early.isSettled) controllers.push(controller);
      const value = accept(early.isSettled ? await pending : await this.#late(call, pending, controller, operation, discard));
      this.#answered();
      return value;
    } catch (error) {
      if (isProbe !== undefined) this.#failed(isProbe, operation, error);
      throw error;
    } finally {
      limiter.leave();
    }
  }

  async #late<R>(
    call: ProviderCall,
    pending: Promise<R>,
    controller: AbortController,
    operation: Operation,
    discard: ((raw: R) => void) | undefined,
  ): Promise<R> {
    const limit = this.#limit(Math.min(this.#attemptDeadlineMs, operation.remainingMs), `gave no answer to ${call}`);
    try {
      return await bounded(pending, operation, limit, discard);
    } catch (error) {
      controller.abort(error); // nobody waits any more: the provider may stop
      throw error;
    }
  }

  #limit(ms: number, what: string): Limit {
    return { ms, error: () => new EnvelockError("timeout", `provider ${this.backend.name} ${what} within ${Math.round(ms)} ms`) };
  }

  #requireAdmission(): void {
    const { breaker } = this.#guard;
    if (breaker.isClosed) return;
    const now = this.#clock.monotonicMs();
    if (breaker.admits(now)) return;
    const retryAfterMs = breaker.retryAfterMs(now);
    throw new EnvelockError("unavailable", `provider ${this.backend.name} has failed too often and is left alone for a while`, {
      detail: CIRCUIT_OPEN,
      ...(retryAfterMs !== undefined && { retryAfterMs }),
    });
  }

  #begin(): boolean {
    const isProbe = this.#guard.breaker.begin();
    if (isProbe) this.#tell("half-open");
    return isProbe;
  }

  #answered(): void {
    const { breaker } = this.#guard;
    const wasClosed = breaker.isClosed;
    breaker.answered();
    if (!wasClosed) this.#tell("closed");
  }

  #failed(isProbe: boolean, operation: Operation, error: unknown): void {
    const { breaker } = this.#guard;
    if (operation.isAborted) {
      breaker.abandoned(isProbe);
      return;
    }
    if (!(error instanceof EnvelockError) || !error.retryable || error.code === "rate-limited") {
      this.#answered(); // one that throttles is alive, and whoever waits gets a turn
      return;
    }
    const wasClosed = breaker.isClosed;
    breaker.failed(isProbe, this.#clock.monotonicMs());
    if (!breaker.isClosed && (wasClosed || isProbe)) this.#tell("open");
  }

  #tell(state: BreakerState): void {
    this.#observer?.emit({ type: "breaker", provider: this.backend.name, state });
  }
}

/** A provider, or a source of randomness. */
interface Backend {
  readonly name: string;
}

/** One call of the backend: how to start it, and how to hold what comes back to the contract. */
export interface Step<R, T> {
  readonly call: ProviderCall;
  start(signal: AbortSignal): Promise<R>;
  accept(raw: R): T;
  /** Which version was called, once it is known. */
  keyIdOf(value: T | undefined): string | undefined;
  /** Gets what comes back when nobody waits for it any more. */
  discard?: (raw: R) => void;
}

/** Notes whether a promise settles before anybody would have to wait for it. */
class Early {
  isSettled = false;

  constructor(pending: Promise<unknown>) {
    const settle = (): void => {
      this.isSettled = true;
    };
    pending.then(settle, settle);
  }
}
