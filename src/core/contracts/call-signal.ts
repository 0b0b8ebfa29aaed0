import { callController } from "../base/when-aborted.ts";

/**
 * The abort of one call of a backend. Its signal is made on first read, because making one costs as much as an encryption. It never fires
 * after the call has ended.
 */
export class CallSignal {
  #controller: AbortController | undefined;
  #options: object | undefined;

  get signal(): AbortSignal {
    this.#controller ??= callController();
    return this.#controller.signal;
  }

  /** Tells the backend that its answer is no longer awaited. Only for a call that has not ended. */
  abort(reason: unknown): void {
    this.#controller ??= callController();
    this.#controller.abort(reason);
  }

  /** Notes the options object that carries this signal as a getter. */
  carriedBy<T extends CarryingOptions>(options: T): T {
    this.#options = options;
    return options;
  }

  /** Whether `options` carry this very signal and it was never read, so that its state is known without making it. */
  isUnreadIn(options: object): boolean {
    return this.#options === options && this.#controller === undefined;
  }
}

/**
 * Throws the reason if the signal of `options` is aborted. For a provider that answers at once: it avoids making a signal for a call that
 * has just begun.
 *
 * @param options as the provider got them
 */
export function throwIfAborted(options: { readonly signal?: AbortSignal }): void {
  if (CALL_SIGNAL in options && options[CALL_SIGNAL] instanceof CallSignal && options[CALL_SIGNAL].isUnreadIn(options)) return;
  options.signal?.throwIfAborted();
}

/** The key under which options name their call. A copy of the options carries it too, but is not the object that the call knows. */
export const CALL_SIGNAL: unique symbol = Symbol("call");

interface CarryingOptions {
  readonly signal: AbortSignal;
  readonly [CALL_SIGNAL]: CallSignal;
}
