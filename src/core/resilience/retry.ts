import type { EnvelockError } from "../base/errors.ts";
import { sleep } from "../base/wait.ts";
import type { ProviderCall } from "../telemetry/events.ts";
import { QUEUE_FULL } from "./known-limits.ts";
import type { Operation } from "./operation.ts";

export interface RetryOptions {
  /**
   * The wait before each further attempt, which also limits their number. Default 1, 2, 4, 8 and 16 s. After a provider has asked for fewer
   * calls, further attempts follow at the last delay until the deadline.
   */
  readonly delaysMs?: readonly number[];
  /** `full` waits a random time up to the delay, so that many callers do not come back at once. Default `full`. */
  readonly jitter?: "full" | "none";
}

export type RetryPolicy = Required<RetryOptions>;

/** The candidates to try, such as providers, or pairs of provider and recipient. */
export interface Attempts<C, T> {
  readonly call: ProviderCall;
  providerOf(candidate: C): RetriedProvider;
  /** @param attempt counts from 1, for this candidate */
  run(candidate: C, attempt: number): Promise<T>;
  /** Makes the error to throw in the end, from the last failure of each candidate. */
  giveUp(failures: readonly EnvelockError[]): EnvelockError;
}

export interface RetriedProvider {
  readonly retry: RetryPolicy;
  /** Turns whatever an attempt threw into an error of the library's. */
  failureOf(error: unknown): EnvelockError;
  /** Reports that another attempt follows after `delayMs`. */
  tellRetry(call: ProviderCall, attempt: number, failure: EnvelockError, delayMs: number): void;
}

/**
 * Continues after the first attempt at the first candidate, which the caller makes because it mostly succeeds. Tries each other candidate
 * once, in order. Then it tries candidates with retryable failures again, the soonest first, until one succeeds. It begins no wait that
 * would outlast the deadline.
 *
 * @throws the abort's reason, at once; else what `giveUp` makes
 */
export async function tryOn<C, T>(
  firstError: unknown,
  [first, ...others]: readonly [C, ...C[]],
  attempts: Attempts<C, T>,
  operation: Operation,
): Promise<T> {
  const failed = [failedTry(attempts, first, 1, firstError, operation)];
  for (const candidate of others) {
    try {
      return await attempts.run(candidate, 1);
    } catch (error) {
      failed.push(failedTry(attempts, candidate, 1, error, operation));
    }
  }
  for (;;) {
    const next = failed.reduce(sooner);
    const delayMs = Math.max(0, next.readyAt - operation.clock.monotonicMs());
    if (delayMs >= operation.remainingMs) throw attempts.giveUp(failed.map(({ failure }) => failure));
    const attempt = next.attempt + 1;
    attempts.providerOf(next.candidate).tellRetry(attempts.call, attempt, next.failure, delayMs);
    if (delayMs > 0) await sleep(operation.clock, delayMs, operation);
    try {
      return await attempts.run(next.candidate, attempt);
    } catch (error) {
      failed[failed.indexOf(next)] = failedTry(attempts, next.candidate, attempt, error, operation);
    }
  }
}

/** Marks the refusal of an open breaker. A call that begins with it is not kept waiting. */
export const CIRCUIT_OPEN = "circuit-open";

interface FailedTry<C> {
  readonly candidate: C;
  readonly attempt: number;
  readonly failure: EnvelockError;
  /** The time of the next attempt. Infinite if it would be in vain, or one too many. */
  readonly readyAt: number;
}

function sooner<C>(a: FailedTry<C>, b: FailedTry<C>): FailedTry<C> {
  return b.readyAt < a.readyAt ? b : a;
}

function failedTry<C, T>(attempts: Attempts<C, T>, candidate: C, attempt: number, error: unknown, operation: Operation): FailedTry<C> {
  operation.throwIfAborted();
  const provider = attempts.providerOf(candidate);
  const { delaysMs, jitter } = provider.retry;
  const failure = provider.failureOf(error);
  const longestMs = delaysMs[attempt - 1] ?? delayBeyond(delaysMs, failure);
  if (!failure.retryable || longestMs === undefined || (attempt === 1 && SHED.has(failure.detail))) {
    return { candidate, attempt, failure, readyAt: Number.POSITIVE_INFINITY };
  }
  const { clock } = operation;
  const delayMs = Math.max(jitter === "full" ? clock.random() * longestMs : longestMs, failure.retryAfterMs ?? 0);
  return { candidate, attempt, failure, readyAt: clock.monotonicMs() + delayMs };
}

/**
 * Returns the delay beyond the list. A throttled caller only has to wait for its turn, so the number of attempts is no reason to give up.
 */
function delayBeyond(delaysMs: readonly number[], { code }: EnvelockError): number | undefined {
  const lastMs = delaysMs.at(-1);
  return code === "rate-limited" && lastMs !== undefined ? Math.max(lastMs, LEAST_DELAY_BEYOND_MS) : undefined;
}

const LEAST_DELAY_BEYOND_MS = 1000;
/** The details of refusals of this program's own. A call that begins with one is not kept waiting. */
const SHED: ReadonlySet<string | undefined> = new Set([CIRCUIT_OPEN, QUEUE_FULL]);
