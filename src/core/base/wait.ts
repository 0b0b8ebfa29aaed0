import type { Clock } from "./clock.ts";
import { type AbortSource, whenAborted } from "./when-aborted.ts";

/** The longest time to wait, and the error when it has passed. */
export interface TimeLimit {
  readonly clock: Clock;
  readonly ms: number;
  error(): unknown;
}

/** The bounds of one wait. Without either part, the wait lasts until the awaited work has settled. */
export interface WaitBounds {
  readonly signal?: AbortSource | undefined;
  readonly limit?: TimeLimit | undefined;
}

/**
 * Settles as `pending` does, unless the signal is or becomes aborted or the limit passes first. The work itself goes on. Leaves no
 * timer and no listener behind.
 *
 * @param onLate gets what `pending` still resolves to after the wait has ended without it
 * @throws the signal's reason, the limit's error, and what `pending` rejects with
 */
export function waitFor<T>(pending: Promise<T>, bounds: WaitBounds, onLate?: (value: T) => void): Promise<T> {
  if (bounds.signal === undefined && bounds.limit === undefined) return pending;
  return waitWithin<T>(bounds, (resolve, reject) => {
    pending.then((value) => {
      if (!resolve(value)) onLate?.(value);
    }, reject);
    return undefined;
  });
}

/**
 * Waits until `begin` calls one of its functions, the signal is or becomes aborted, or the limit passes: whichever comes first. Later
 * calls change nothing, and return false.
 *
 * @param begin may return what is to be done when the wait ends, however it ends
 * @throws the signal's reason, the limit's error, and what `begin` rejects with
 */
export function waitWithin<T>({ signal, limit }: WaitBounds, begin: Beginning<T>): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    let isOver = false;
    let cancelTimer: (() => void) | undefined;
    let tidy: (() => void) | undefined;
    let stopListening: (() => void) | undefined;
    const ends = (): boolean => {
      if (isOver) return false;
      isOver = true;
      cancelTimer?.();
      stopListening?.();
      tidy?.();
      return true;
    };
    const succeed = (value: T): boolean => {
      if (!ends()) return false;
      resolve(value);
      return true;
    };
    const fail = (reason: unknown): boolean => {
      if (!ends()) return false;
      reject(reason);
      return true;
    };
    const onAbort = (): void => {
      fail(signal?.reason);
    };
    const begun = begin(succeed, fail);
    if (isOver) return begun?.();
    tidy = begun;
    if (signal?.aborted === true) return onAbort();
    stopListening = whenAborted(signal, onAbort);
    cancelTimer = limit?.clock.after(limit.ms, () => fail(limit.error()), "awaited");
  });
}

/** Waits for `delayMs`. @throws the signal's reason, at once */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSource): Promise<void> {
  return waitWithin<void>({ signal }, (resolve) => clock.after(delayMs, resolve, "awaited"));
}

type Beginning<T> = (resolve: (value: T) => boolean, reject: (reason: unknown) => boolean) => (() => void) | undefined;
