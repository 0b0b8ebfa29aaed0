import type { Clock } from "../base/clock.ts";
import type { EnvelockError } from "../base/errors.ts";
import type { WaitBounds } from "../base/wait.ts";
import { type AbortSource, givePlace, whenAborted } from "../base/when-aborted.ts";
import type { ObservedOperation, OperationReport } from "../telemetry/observer.ts";

/**
 * The bounds of one call: the caller's signal and the deadline. They cost nothing until the call has to wait: only then is the clock read
 * and the signal listened to.
 */
export class Operation implements ObservedOperation, AbortSource {
  readonly clock: Clock;
  /** Collects what the observer reports when the call ends. Undefined without listeners. */
  report: OperationReport | undefined;
  readonly #deadlineMs: number;
  readonly #signal: AbortSignal | undefined;
  #deadlineAt: number | undefined;
  #end: Ended | undefined;
  #listeners: Set<() => void> | undefined;
  #stopListening: () => void = () => undefined;

  constructor(clock: Clock, deadlineMs: number, signal: AbortSignal | undefined) {
    this.clock = clock;
    this.#deadlineMs = deadlineMs;
    this.#signal = signal;
    givePlace(this);
  }

  /** The time left until the deadline, 0 or less once it has passed. Counts from the first wait, or from `start`. */
  get remainingMs(): number {
    const now = this.clock.monotonicMs();
    this.#deadlineAt ??= now + this.#deadlineMs;
    return this.#deadlineAt - now;
  }

  /** Starts the deadline. For calls that first wait with a deadline of another kind. */
  start(): void {
    this.#deadlineAt ??= this.clock.monotonicMs() + this.#deadlineMs;
  }

  /** Whether a caller may abort it. Calls that the core starts by itself have no signal. */
  get hasSignal(): boolean {
    return this.#signal !== undefined;
  }

  get aborted(): boolean {
    return this.#end !== undefined || this.#signal?.aborted === true;
  }

  /** The reason of the abort. */
  get reason(): unknown {
    return this.#end === undefined ? this.#signal?.reason : this.#end.reason;
  }

  throwIfAborted(): void {
    if (this.aborted) throw this.reason;
  }

  /** Ends the call from inside, once no caller waits for it. */
  abort(reason: unknown): void {
    if (this.aborted) return;
    this.#end = { reason };
    this.#tell();
  }

  addEventListener(_type: "abort", listener: () => void): void {
    this.#listeners ??= new Set();
    if (this.#listeners.size === 0) this.#stopListening = whenAborted(this.#signal, () => this.#tell());
    this.#listeners.add(listener);
  }

  removeEventListener(_type: "abort", listener: () => void): void {
    this.#listeners?.delete(listener);
    if (this.#listeners?.size === 0) this.#stopListening();
  }

  /** Bounds a wait within this call: by its signal, and by `ms` if given. */
  bounds(ms?: number, error?: () => EnvelockError): WaitBounds {
    if (ms === undefined || error === undefined) return { signal: this };
    return { signal: this, limit: { clock: this.clock, ms, error } };
  }

  #tell(): void {
    for (const listener of [...(this.#listeners ?? [])]) listener();
  }
}

interface Ended {
  readonly reason: unknown;
}
