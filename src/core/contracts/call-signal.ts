/**
 * The abort of one call of a backend. Its signal is made when it is first read, because one costs as much as an encryption, and it
 * never fires once the call has ended.
 */
export class CallSignal {
  #controller: AbortController | undefined;
  #options: object | undefined;

  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    return this.#controller.signal;
  }

  /** Tells the backend that nothing waits for its answer any more. Only for a call that has not ended. */
  abort(reason: unknown): void {
    this.#controller ??= new AbortController();
    this.#controller.abort(reason);
  }

  /** Notes the options object that carries this signal as a getter. */
  carriedBy<T extends CarryingOptions>(options: T): T {
    this.#options = options;
    return options;
  }

  /** Whether `options` carry this very signal, and whether it is aborted is known without making one. */
  isUnreadIn(options: object): boolean {
    return this.#options === options && this.#controller === undefined;
  }
}

/**
 * Throws the reason if the signal of `options` is aborted. For a provider that answers at once: reading the signal of a call that has
 * just begun would make one for nothing.
 *
 * @param options as the provider got them
 */
export function throwIfAborted(options: { readonly signal?: AbortSignal }): void {
  if (CALL_SIGNAL in options && options[CALL_SIGNAL] instanceof CallSignal && options[CALL_SIGNAL].isUnreadIn(options)) return;
  options.signal?.throwIfAborted();
}

/** Where options say which call they belong to. A copy of them says so too, but is not the object that the call knows. */
export const CALL_SIGNAL: unique symbol = Symbol("call");

interface CarryingOptions {
  readonly signal: AbortSignal;
  readonly [CALL_SIGNAL]: CallSignal;
}
