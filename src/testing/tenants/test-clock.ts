import type { Clock } from "../../core/base/clock.ts";
import { invalidArgument } from "../../core/base/errors.ts";
import { shownValue } from "../../core/base/options.ts";

/**
 * Time that stands still until a test moves it. `monotonicMs` begins at 0, `unixMs` at noon of a fixed day, and `random` always gives 0.5.
 *
 * It suits keys in this process, such as those of `FakeKeyService`. Calls over a network take real time, which this clock does not see.
 *
 * @example
 * ```ts
 * import { TestClock } from "envelock/testing/tenants";
 *
 * const clock = new TestClock();
 * await clock.advance(60_000);
 * console.log(clock.monotonicMs()); // 60000
 * ```
 */
export class TestClock implements Clock {
  readonly #timers = new Set<Timer>();
  #nowMs = 0;

  monotonicMs(): number {
    return this.#nowMs;
  }

  unixMs(): number {
    return START_MS + this.#nowMs;
  }

  random(): number {
    return 0.5;
  }

  after(delayMs: number, run: () => void, kind: "awaited" | "idle"): () => void {
    const timer: Timer = { atMs: this.#nowMs + delayMs, run, isAwaited: kind === "awaited" };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /**
   * Lets time pass. Runs each timer at its time, and what follows from it, before the next.
   *
   * @param ms at least 0
   * @throws `invalid-argument`
   */
  async advance(ms: number): Promise<void> {
    if (typeof ms !== "number" || !(ms >= 0))
      throw invalidArgument(`time cannot pass by ${shownValue(ms)} ms, expected a number of at least 0`);
    const endMs = this.#nowMs + ms;
    await settled();
    for (let next = this.#next(); next !== undefined && next.atMs <= endMs; next = this.#next()) {
      this.#fire(next);
      await settled();
    }
    this.#nowMs = endMs;
  }

  /** Lets as much time pass as some work waits for. Settles as the work does. */
  async finish<T>(work: Promise<T>): Promise<T> {
    let isSettled = false;
    const settle = (): void => {
      isSettled = true;
    };
    work.then(settle, settle);
    for (;;) {
      await settled();
      if (isSettled) return await work;
      // without a timer that is awaited, the work does something real, and no time passes
      const next = [...this.#timers].some(({ isAwaited }) => isAwaited) ? this.#next() : undefined;
      if (next !== undefined) this.#fire(next);
    }
  }

  #next(): Timer | undefined {
    let soonest: Timer | undefined;
    for (const timer of this.#timers) if (soonest === undefined || timer.atMs < soonest.atMs) soonest = timer;
    return soonest;
  }

  #fire(timer: Timer): void {
    this.#timers.delete(timer);
    this.#nowMs = Math.max(this.#nowMs, timer.atMs);
    timer.run();
  }
}

interface Timer {
  readonly atMs: number;
  readonly run: () => void;
  readonly isAwaited: boolean;
}

/**
 * Waits until what was begun without a timer has had its turn. WebCrypto works on other threads, in the order of the calls, so that small
 * calls of our own end behind those of before: unless one of its threads has to wait for a processor, so there are more turns than a chain of
 * such calls is long.
 */
async function settled(): Promise<void> {
  for (let turn = 0; turn < TURNS; turn++) {
    await Promise.all(Array.from({ length: THREADS }, async () => await crypto.subtle.digest("SHA-256", NOTHING)));
    await new Promise((resolve) => setImmediate(resolve));
  }
}

const START_MS: number = Date.parse("2026-11-22T12:00:00Z");
const TURNS = 16;
const THREADS = 4;
const NOTHING = new Uint8Array(1);
