import type { Clock } from "../base/clock.ts";
import type { Context } from "../base/context.ts";
import { attributed, EnvelockError, type ErrorCode, type Whose } from "../base/errors.ts";
import { type WaitBounds, waitFor } from "../base/wait.ts";
import { CallSignal } from "../contracts/call-signal.ts";
import type { KeyProvider } from "../contracts/key-provider.ts";
import type { RandomSource } from "../contracts/random-source.ts";
import type { BreakerState, ProviderCall } from "../telemetry/events.ts";
import type { Observer } from "../telemetry/observer.ts";
import type { FairLimits, Place } from "./fair-limits.ts";
import type { Lane } from "./fair-queues.ts";
import type { BreakerChange, Guard, Probes } from "./guard.ts";
import type { Operation } from "./operation.ts";
import type { ResiliencePolicy } from "./policy.ts";
import { providerError } from "./provider-contract.ts";
import { CIRCUIT_OPEN, type RetriedProvider, type RetryPolicy, tryOn } from "./retry.ts";

/** The state of one provider, or of the generator of a keyring. */
export interface ProviderStatus {
  readonly provider: string;
  readonly breaker: BreakerState;
  /** Retryable failures since the provider last answered. */
  readonly consecutiveFailures: number;
  /** Attempts that are in flight. */
  readonly active: number;
  /** Attempts that wait for a place. */
  readonly queued: number;
}

/**
 * Guards one backend for one keyring. Each attempt passes the breaker, waits for its turn and is bounded in time. Its result is checked
 * against the backend's contract. A retryable failure is tried again.
 */
export class GuardedBackend<B extends Backend> implements RetriedProvider {
  readonly retry: RetryPolicy;
  protected readonly backend: B;
  readonly #guard: Guard;
  readonly #clock: Clock;
  readonly #attemptDeadlineMs: number;
  readonly #observer: Observer | undefined;
  readonly #keyContext: Context;
  readonly #tenant: string | undefined;
  readonly #limits: FairLimits | undefined;
  readonly #lane: Lane;

  constructor(
    backend: B,
    { guards, clock, attemptDeadlineMs, retry, tenant, limits, lane }: ResiliencePolicy,
    observer: Observer | undefined,
    keyContext: Context = NO_CONTEXT,
  ) {
    this.retry = retry;
    this.backend = backend;
    this.#guard = guards.of(backend);
    this.#clock = clock;
    this.#attemptDeadlineMs = attemptDeadlineMs;
    this.#observer = observer;
    this.#keyContext = keyContext;
    this.#tenant = tenant?.id;
    this.#limits = limits;
    this.#lane = lane;
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
    return this.#guard.isClosed || this.#guard.refusing(this.#clock.monotonicMs()) === undefined;
  }

  /** Whether a call that answers at once needs nothing else: no report, no turn among tenants, and no breaker that has failures to forget. */
  protected get isPlain(): boolean {
    return this.#observer === undefined && this.#limits === undefined && this.#guard.isUntroubled;
  }

  /** Turns whatever an attempt threw into an error of the library's, which names the tenant and the party where they are known. */
  failureOf(error: unknown): EnvelockError {
    const failure = providerError(this.backend, error);
    const [tenant, whose] = [this.#tenant, WHOSE[failure.code]];
    return tenant === undefined ? failure : attributed(failure, { tenant, ...(whose !== undefined && { whose }) });
  }

  tellRetry(call: ProviderCall, attempt: number, { code }: EnvelockError, delayMs: number): void {
    this.#observer?.emit({ type: "retry", call, provider: this.backend.name, code, attempt, delayMs });
  }

  /**
   * Makes attempts until one succeeds, as the retry policy says.
   *
   * @throws as `attempt`: the last failure, as an `EnvelockError`; the abort's reason at once
   */
  protected async call<R, T>(operation: Operation, step: Step<R, T>): Promise<T> {
    try {
      return await this.attempt(operation, 1, step);
    } catch (error) {
      const attempts = {
        call: step.call,
        providerOf: (backend: this) => backend,
        run: (backend: this, attempt: number) => backend.attempt(operation, attempt, step),
        giveUp: ([failure = this.failureOf(error)]: readonly EnvelockError[]) => failure,
      };
      return await tryOn<this, T>(error, [this], attempts, operation);
    }
  }

  /**
   * Makes one attempt, and reports it to the observer.
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
      return {
        type: "provider-call",
        call,
        provider: this.backend.name,
        keyId,
        outcome,
        durationMs,
        attempt,
        keyContext: this.#keyContext,
      };
    });
  }

  #attempt<R, T>(operation: Operation, step: Step<R, T>): Promise<T> {
    return this.#limits === undefined ? this.#guarded(operation, step) : this.#inTurn(this.#limits, operation, step);
  }

  /** Makes an attempt once it is the tenant's turn. */
  async #inTurn<R, T>(limits: FairLimits, operation: Operation, step: Step<R, T>): Promise<T> {
    operation.throwIfAborted();
    this.#requireAdmission(); // what would be refused takes no turn
    const entering = limits.enter(this.backend, this.#tenant ?? "", this.#lane, () => this.#boundsOfTurn(operation, step.call));
    const place: Place = entering instanceof Promise ? await entering : entering;
    try {
      return await this.#guarded(operation, step);
    } catch (error) {
      if (EnvelockError.is(error) && error.code === "rate-limited") place.throttled(error.retryAfterMs);
      throw error;
    } finally {
      place.leave();
    }
  }

  #boundsOfTurn(operation: Operation, call: ProviderCall): WaitBounds {
    const { remainingMs } = operation;
    return operation.bounds(remainingMs, () => this.#tooLate(`had no place free to ${call}`, remainingMs, "vendor"));
  }

  async #guarded<R, T>(operation: Operation, { call, start, accept, discard }: Step<R, T>): Promise<T> {
    const { limiter } = this.#guard;
    operation.throwIfAborted();
    this.#requireAdmission();
    if (!limiter.tryEnter()) await limiter.enter(this.#boundsOfTurn(operation, call));
    let probes: Probes | undefined;
    try {
      this.#requireAdmission(); // the state may have changed while this attempt waited in line
      probes = this.#begin();
      const signal = new CallSignal();
      const pending = start(signal);
      const progress = new Progress(pending);
      await undefined; // one microtask: a key in this process has answered by now, and needs neither timer nor listener
      const value = accept(progress.hasEnded ? await pending : await this.#late(call, pending, progress, signal, operation, discard));
      this.#tell(this.#guard.answered());
      return value;
    } catch (error) {
      if (probes !== undefined) this.#failed(probes, operation, error);
      throw error;
    } finally {
      limiter.leave();
    }
  }

  async #late<R>(
    call: ProviderCall,
    pending: Promise<R>,
    progress: Progress,
    signal: CallSignal,
    operation: Operation,
    discard: ((raw: R) => void) | undefined,
  ): Promise<R> {
    const ms = Math.min(this.#attemptDeadlineMs, operation.remainingMs);
    try {
      const bounds = operation.bounds(ms, () => this.#tooLate(`gave no answer to ${call}`, ms));
      return await waitFor(pending, bounds, discard);
    } catch (error) {
      if (!progress.hasEnded) signal.abort(error); // the call is no longer awaited: the provider may stop
      throw error;
    }
  }

  #tooLate(what: string, ms: number, whose: Whose = "service"): EnvelockError {
    return new EnvelockError("timeout", `provider ${this.backend.name} ${what} within ${Math.round(ms)} ms`, { whose });
  }

  #requireAdmission(): void {
    if (this.#guard.isClosed) return;
    const now = this.#clock.monotonicMs();
    const refusing = this.#guard.refusing(now);
    if (refusing === undefined) return;
    const { breaker, host } = refusing;
    const retryAfterMs = breaker.retryAfterMs(now);
    const what = host === undefined ? `provider ${this.backend.name} has` : `connections to the host of provider ${this.backend.name} have`;
    throw new EnvelockError("unavailable", `${what} failed too often and ${host === undefined ? "is" : "are"} left alone for a while`, {
      detail: CIRCUIT_OPEN,
      whose: "service",
      ...(retryAfterMs !== undefined && { retryAfterMs }),
    });
  }

  #begin(): Probes {
    const probes = this.#guard.begin();
    this.#tell(this.#guard.probing(probes));
    return probes;
  }

  #failed(probes: Probes, operation: Operation, error: unknown): void {
    if (operation.aborted) this.#guard.abandoned(probes);
    else if (error instanceof EnvelockError && error.retryable && error.code !== "rate-limited") {
      this.#tell(this.#guard.failed(probes, error, this.#clock.monotonicMs()));
    } else this.#tell(this.#guard.answered()); // a backend that throttles is alive, and the next call in line gets its turn
  }

  #tell(changes: readonly BreakerChange[]): void {
    for (const change of changes) this.#observer?.emit({ type: "breaker", provider: this.backend.name, ...change });
  }
}

type Backend = KeyProvider | RandomSource;

/** One call of the backend: how to start it, and how to check its result against the contract. */
export interface Step<R, T> {
  readonly call: ProviderCall;
  start(signal: CallSignal): Promise<R>;
  accept(raw: R): T;
  /** Returns the key version that was called, once it is known. */
  keyIdOf(value: T | undefined): string | undefined;
  /** Disposes of a result that comes after the wait for it has ended. */
  discard?: (raw: R) => void;
}

/** Notes whether a call has ended. */
class Progress {
  hasEnded = false;

  constructor(pending: Promise<unknown>) {
    const end = (): void => {
      this.hasEnded = true;
    };
    pending.then(end, end);
  }
}

/** The party of a failure where the code alone tells it: only a layer that knows whose key it is can tell the others. */
const WHOSE: Readonly<Partial<Record<ErrorCode, Whose>>> = { unavailable: "service", timeout: "service" };
const NO_CONTEXT: Context = Object.freeze({});
