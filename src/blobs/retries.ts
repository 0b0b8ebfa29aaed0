import type { Clock } from "../core/base/clock.ts";
import { EnvelockError } from "../core/base/errors.ts";
import { sleep } from "../core/base/wait.ts";

/** What repeated calls of a store need. */
export interface Persistence {
  readonly clock: Clock;
  readonly signal: AbortSignal | undefined;
}

/**
 * Repeats a call of a store that failed with a retryable error: five attempts, with growing waits between them, or the wait that the store
 * asked for.
 *
 * @throws the last error; the signal's reason, at once
 */
export async function repeated<T>(work: () => Promise<T>, { clock, signal }: Persistence): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    signal?.throwIfAborted();
    try {
      return await work();
    } catch (error) {
      signal?.throwIfAborted();
      if (attempt >= ATTEMPTS || !isPassing(error)) throw error;
      await sleep(clock, delayAfter(attempt, error, clock), signal);
    }
  }
}

/** Whether a further attempt may succeed. */
export function isPassing(error: unknown): boolean {
  return EnvelockError.is(error) && error.retryable;
}

/** The wait before the attempt that follows `attempt`, in milliseconds. */
export function delayAfter(attempt: number, error: unknown, clock: Clock): number {
  const asked = EnvelockError.is(error) ? error.retryAfterMs : undefined;
  if (asked !== undefined) return Math.min(asked, MOST_ASKED_MS);
  return FIRST_DELAY_MS * 2 ** (attempt - 1) * (0.5 + clock.random() / 2);
}

export const ATTEMPTS = 5;
const FIRST_DELAY_MS = 200;
const MOST_ASKED_MS = 60_000;
