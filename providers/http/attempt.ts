import type { Clock } from "../../src/core/base/clock.ts";
import { EnvelockError } from "../../src/core/base/errors.ts";
import { waitWithin } from "../../src/core/base/wait.ts";
import { callController } from "../../src/core/base/when-aborted.ts";

export interface AttemptBounds {
  readonly clock: Clock;
  readonly timeoutMs: number;
  /** The awaited work, as the subject of a sentence. */
  readonly what: string;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Runs `work` until it ends, its time is up or the caller's signal aborts, whichever comes first, even if `work` ignores its signal. The
 * signal that `work` gets aborts when the wait ends early.
 *
 * @throws `timeout`, the caller's reason, and what `work` rejects with
 */
export async function attempt<T>({ clock, timeoutMs, what, signal }: AttemptBounds, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  signal?.throwIfAborted();
  const controller = callController();
  const error = (): EnvelockError => new EnvelockError("timeout", `${what} did not answer in ${timeoutMs} ms`);
  return await waitWithin<T>({ signal, limit: { clock, ms: timeoutMs, error } }, (resolve, reject) => {
    let isSettled = false;
    const run = async (): Promise<T> => await work(controller.signal); // a throw is a rejection too
    run()
      .finally(() => {
        isSettled = true;
      })
      .then(resolve, reject);
    return () => {
      if (!isSettled) controller.abort();
    };
  });
}
