import type { CallOptions } from "../base/call-options.ts";
import type { Clock } from "../base/clock.ts";
import type { ObservedOperation, OperationReport } from "../telemetry/observer.ts";

/**
 * What bounds one call from its start to its end: the caller's signal and the deadline. Costs nothing until somebody has to wait:
 * the clock is read and the signal listened to only then.
 */
export class Operation implements ObservedOperation {
  readonly clock: Clock;
  /** What is told of the call when it ends; none if nobody listens. */
  report: OperationReport | undefined;
  readonly #deadlineMs: number;
  readonly #signal: AbortSignal | undefined;
  #deadlineAt: number | undefined;
  #end: Ended | undefined;
  #listeners: Set<AbortListener> | undefined;

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

  get isAborted(): boolean {
    return this.#end !== undefined || this.#signal?.aborted === true;
  }

  /** What whoever aborted gave as a reason. */
  get reason(): unknown {
    return this.#end === undefined ? this.#signal?.reason : this.#end.reason;
  }

  throwIfAborted(): void {
    if (this.isAborted) throw this.reason;
  }

  /** Ends the call from inside, for calls that nobody waits for any more. */
  abort(reason: unknown): void {
    if (this.isAborted) return;
    this.#end = { reason };
    for (const listener of [...(this.#listeners ?? [])]) listener(reason);
  }

  /** @returns what stops listening */
  onAbort(listener: AbortListener): () => void {
    const signal = this.#signal;
    const listeners = this.#listeners ?? new Set();
    this.#listeners = listeners;
    listeners.add(listener);
    const fromSignal = (): void => listener(signal?.reason);
    signal?.addEventListener("abort", fromSignal, { once: true });
    return () => {
      listeners.delete(listener);
      signal?.removeEventListener("abort", fromSignal);
    };
  }

  /** @throws the abort's reason, at once */
  sleep(delayMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.throwIfAborted();
      const stopListening = this.onAbort((reason) => {
        cancelTimer();
        stopListening();
        reject(reason);
      });
      const wake = (): void => {
        stopListening();
        resolve();
      };
      const cancelTimer = this.clock.after(delayMs, wake, "awaited");
    });
  }
}

/** How long to wait, and what to say when that is over. */
export interface Limit {
  readonly ms: number;
  error(): Error;
}

/**
 * Settles as `pending` does, unless the operation is aborted or the limit passes first. Leaves no timer and no listener behind.
 *
 * @param onLate gets what `pending` still resolves to when nobody waits for it any more
 */
export function bounded<T>(pending: Promise<T>, operation: Operation, limit: Limit | undefined, onLate?: (value: T) => void): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    let isDone = false;
    const finish = (): void => {
      isDone = true;
      cancelTimer?.();
      stopListening();
    };
    const giveUp = (reason: unknown): void => {
      finish();
      reject(reason);
    };
    const stopListening = operation.onAbort(giveUp);
    const cancelTimer = limit && operation.clock.after(limit.ms, () => giveUp(limit.error()), "awaited");
    pending.then(
      (value) => {
        if (isDone) return onLate?.(value);
        finish();
        resolve(value);
      },
      (error: unknown) => {
        if (!isDone) giveUp(error);
      },
    );
    if (operation.isAborted) giveUp(operation.reason);
  });
}

/** Work that several callers wait for, as one of them waits: an abort ends that wait, and not the work. */
export function abortable<T>(pending: Promise<T>, clock: Clock, { signal }: CallOptions = {}): Promise<T> {
  return signal === undefined ? pending : bounded(pending, new Operation(clock, Number.POSITIVE_INFINITY, signal), undefined);
}

type AbortListener = (reason: unknown) => void;

interface Ended {
  readonly reason: unknown;
}
