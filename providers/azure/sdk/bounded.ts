import type { Clock } from "../../../src/core/base/clock.ts";
import { EnvelockError } from "../../../src/core/base/errors.ts";

export interface Bounds {
  readonly clock: Clock;
  readonly timeoutMs: number;
  /** What is waited for, as the subject of a sentence. */
  readonly what: string;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Runs `work` until it ends, its time is up or the caller's signal aborts: whichever is first, also if `work` heeds no signal.
 *
 * @throws `timeout`, and the caller's reason
 */
export function bounded<T>({ clock, timeoutMs, what, signal }: Bounds, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const controller = new AbortController();
    const stop = (reason: unknown): void => {
      release();
      reject(reason);
      controller.abort();
    };
    const onAbort = (): void => stop(signal?.reason);
    const cancelTimer = clock.after(
      timeoutMs,
      () => stop(new EnvelockError("timeout", `${what} did not answer in ${timeoutMs} ms`)),
      "awaited",
    );
    const release = (): void => {
      cancelTimer();
      signal?.removeEventListener("abort", onAbort);
    };
    signal?.addEventListener("abort", onAbort, { once: true });
    const run = async (): Promise<T> => await work(controller.signal); // a throw is a rejection too
    run().then(resolve, reject).finally(release);
  });
}

/** Waits for what others wait for too, until the caller's own signal aborts. */
export function shared<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const onAbort = (): void => reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}
