import type { AzureClock } from "../../../providers/azure/index.ts";

/** A clock that stands still until it is told to go on. */
export class FakeClock implements AzureClock {
  #nowMs: number;
  readonly #timers: Set<{ readonly atMs: number; readonly run: () => void }> = new Set();

  constructor(nowMs: number = Date.parse("2026-11-22T12:00:00Z")) {
    this.#nowMs = nowMs;
  }

  readonly now = (): number => this.#nowMs;

  after(delayMs: number, run: () => void): () => void {
    const timer = { atMs: this.#nowMs + delayMs, run };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  get timerCount(): number {
    return this.#timers.size;
  }

  advance(ms: number): void {
    this.#nowMs += ms;
    for (const timer of [...this.#timers].sort((a, b) => a.atMs - b.atMs)) {
      if (timer.atMs > this.#nowMs || !this.#timers.delete(timer)) continue;
      timer.run();
    }
  }
}
