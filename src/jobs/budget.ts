import type { Clock } from "../core/base/clock.ts";
import { sleep } from "../core/base/wait.ts";
import type { JobStore } from "../core/contracts/job-store.ts";
import { callWith, rowOf } from "./records.ts";

/**
 * Paces the calls of a fleet. A worker reserves a stretch of the database's time in the row of the budget, by compare-and-swap, and makes
 * its calls within that stretch. No two workers have the same stretch, so the fleet keeps to the rate, however many workers come and go.
 */
export class FleetBudget {
  readonly #jobs: JobStore;
  readonly #job: string;
  readonly #id: string;
  readonly #perSecond: number;
  readonly #clock: Clock;
  readonly #signal: AbortSignal | undefined;
  #calls = 0;
  #nextAtMs = 0;
  #endAtMs = 0;
  #before: Promise<void> = Promise.resolve();

  constructor(jobs: JobStore, job: string, id: string, perSecond: number, clock: Clock, signal: AbortSignal | undefined) {
    this.#jobs = jobs;
    this.#job = job;
    this.#id = id;
    this.#perSecond = perSecond;
    this.#clock = clock;
    this.#signal = signal;
  }

  /** Waits until `calls` may be made. Calls of this process are served in turn. @throws what the store throws, and the signal's reason */
  async take(calls: number): Promise<void> {
    const own = this.#before.then(() => this.#takeNext(calls));
    this.#before = own.catch(() => undefined);
    await own;
  }

  async #takeNext(calls: number): Promise<void> {
    const eachMs = 1000 / this.#perSecond;
    const isSpent = this.#calls < calls || Math.max(this.#nextAtMs, this.#clock.monotonicMs()) + calls * eachMs > this.#endAtMs + SLACK_MS;
    if (isSpent) await this.#reserve(Math.max(calls, Math.ceil(this.#perSecond * STRETCH_SECONDS)));
    const waitMs = this.#nextAtMs - this.#clock.monotonicMs();
    if (waitMs > 0) await sleep(this.#clock, waitMs, this.#signal);
    this.#calls -= calls;
    this.#nextAtMs = Math.max(this.#nextAtMs, this.#clock.monotonicMs()) + calls * eachMs;
  }

  /** Reserves the time of so many calls behind that of all others. */
  async #reserve(calls: number): Promise<void> {
    const lengthMs = (calls * 1000) / this.#perSecond;
    const place = { kind: "budget", job: this.#job, id: this.#id } as const;
    for (;;) {
      const row = await this.#jobs.get(place, callWith(this.#signal));
      if (row === undefined) {
        await this.#jobs.insertIfAbsent(rowOf("budget", this.#job, this.#id, 1, {}), callWith(this.#signal));
        continue;
      }
      const askedAtMs = this.#clock.monotonicMs();
      const next = rowOf("budget", this.#job, this.#id, row.revision + 1, {});
      const isOurs = await this.#jobs.compareAndSwap(next, row.revision, { leaseMs: row.leaseMs + lengthMs }, callWith(this.#signal));
      if (!isOurs) continue;
      this.#calls = calls;
      // the database measured between question and answer: the stretch begins by the answer, and ends by the question
      this.#nextAtMs = this.#clock.monotonicMs() + row.leaseMs;
      this.#endAtMs = askedAtMs + row.leaseMs + lengthMs;
      return;
    }
  }
}

/** The length of the time that a worker reserves at once. */
const STRETCH_SECONDS = 0.25;
/** A timer that fires late may use the end of its stretch. */
const SLACK_MS = 20;
