import type { Clock } from "../../src/core/base/clock.ts";

/**
 * Time for workers that each either wait for a real answer or sleep. It moves on only when the last of them sleeps, to the end of the
 * shortest sleep: what is real, such as a request over loopback, takes none of it, however slow the machine is.
 */
export class WorkerClock implements Clock {
  readonly random: () => number;
  readonly #sleeps: Set<{ readonly atMs: number; readonly run: () => void }> = new Set();
  #nowMs = Date.parse("2026-11-22T12:00:00Z");
  #callsUnderWay = 0;

  /** @param random what spreads retries: at least 0, below 1 */
  constructor(random: () => number) {
    this.random = random;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  unixMs(): number {
    return this.#nowMs;
  }

  after(delayMs: number, run: () => void, kind: "awaited" | "idle"): () => void {
    if (kind === "idle") return () => {};
    const sleep = { atMs: this.#nowMs + delayMs, run };
    this.#sleeps.add(sleep);
    return () => this.#sleeps.delete(sleep);
  }

  async sleep(ms: number): Promise<void> {
    await new Promise<void>((resolve) => this.after(ms, resolve, "awaited"));
  }

  /** Lets time pass while nobody works. */
  pass(ms: number): void {
    this.#nowMs += ms;
  }

  /** Lets no time pass until a real answer has come. */
  async during<T>(answer: Promise<T>): Promise<T> {
    this.#callsUnderWay++;
    try {
      return await answer;
    } finally {
      this.#callsUnderWay--;
    }
  }

  /** Lets time pass until all of `workers` have ended. */
  async runOut(workers: readonly Promise<unknown>[]): Promise<void> {
    let working = workers.length;
    const all = Promise.all(workers.map((worker) => worker.finally(() => working--)));
    let hasFailed = false;
    all.catch(() => {
      hasFailed = true;
    });
    while (working > 0 && !hasFailed) {
      await new Promise((resolve) => setImmediate(resolve));
      if (this.#callsUnderWay === 0 && this.#sleeps.size === working) this.#wakeNext();
    }
    await all;
  }

  #wakeNext(): void {
    const [first, ...others] = this.#sleeps;
    if (first === undefined) return;
    const next = others.reduce((soonest, sleep) => (sleep.atMs < soonest.atMs ? sleep : soonest), first);
    this.#sleeps.delete(next);
    this.#nowMs = Math.max(this.#nowMs, next.atMs);
    next.run();
  }
}

/** The same sequence for the same seed. */
export function seededChance(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}
