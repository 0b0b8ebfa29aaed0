import type { Clock } from "../base/clock.ts";
import type { EnvelockError } from "../base/errors.ts";
import type { AbortSource, WaitBounds } from "../base/wait.ts";
import type { ObservedOperation, OperationReport } from "../telemetry/observer.ts";

/**
 * What bounds one call from its start to its end: the caller's signal and the deadline. Costs nothing until something has to be waited for:
 * the clock is read and the signal listened to only then.
 */
export class Operation implements ObservedOperation, AbortSource {
  readonly clock: Clock;
  /** What is told of the call when it ends; none if nobody listens. */
  report: OperationReport | undefined;
  readonly #deadlineMs: number;
  readonly #signal: AbortSignal | undefined;
  #deadlineAt: number | undefined;
  #end: Ended | undefined;
  #listeners: Set<() => void> | undefined;

  constructor(clock: Clock, deadlineMs: number, signal: AbortSignal | undefined) {
    this.clock = clock;
    this.#deadlineMs = deadlineMs;
    this.#signal = signal;
  }

  /** What is left until the deadline, at most 0 when it has passed. Counts from the first wait, or from `start`. */
  get remainingMs(): number {
    const now = this.clock.monotonicMs();
    this.#deadlineAt ??= now + this.#deadlineMs;
    return this.#deadlineAt - now;
  }

  /** For calls that first wait for something with a deadline of its own. */
  start(): void {
    this.#deadlineAt ??= this.clock.monotonicMs() + this.#deadlineMs;
  }

  /** Whether a caller may abort it; what the core starts of its own accord has none. */
  get hasSignal(): boolean {
    return this.#signal !== undefined;
  }

  get aborted(): boolean {
    return this.#end !== undefined || this.#signal?.aborted === true;
  }

  /** The reason that was given for the abort. */
  get reason(): unknown {
    return this.#end === undefined ? this.#signal?.reason : this.#end.reason;
  }

  throwIfAborted(): void {
    if (this.aborted) throw this.reason;
  }

  /** Ends the call from inside, for calls that no caller waits for any more. */
  abort(reason: unknown): void {
    if (this.aborted) return;
    this.#end = { reason };
    for (const listener of [...(this.#listeners ?? [])]) listener();
  }

  addEventListener(type: "abort", listener: () => void): void {
    this.#listeners ??= new Set();
    this.#listeners.add(listener);
    this.#signal?.addEventListener(type, listener);
  }

  removeEventListener(type: "abort", listener: () => void): void {
    this.#listeners?.delete(listener);
    this.#signal?.removeEventListener(type, listener);
  }

  /** Bounds a wait within this call: by its signal, and by `ms` if they are given. */
  bounds(ms?: number, error?: () => EnvelockError): WaitBounds {
    if (ms === undefined || error === undefined) return { signal: this };
    return { signal: this, limit: { clock: this.clock, ms, error } };
  }
}

interface Ended {
  readonly reason: unknown;
}
