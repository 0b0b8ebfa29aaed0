import type { Limit, Operation } from "./operation.ts";

/** At most so many at once; who comes first is served first. */
export class Limiter {
  readonly #maxConcurrent: number;
  readonly #waiting = new Set<() => void>();
  #active = 0;

  constructor(maxConcurrent: number) {
    this.#maxConcurrent = maxConcurrent;
  }

  get active(): number {
    return this.#active;
  }

  get queued(): number {
    return this.#waiting.size;
  }

  /** Takes a place if one is free. Each place is given back with `leave`. */
  tryEnter(): boolean {
    if (this.#active >= this.#maxConcurrent) return false;
    this.#active++;
    return true;
  }

  /**
   * Waits for a place.
   *
   * @throws the abort's reason or the limit's error, and then holds no place
   */
  enter(operation: Operation, limit: Limit): Promise<void> {
    return new Promise((resolve, reject) => {
      operation.throwIfAborted();
      const finish = (): void => {
        this.#waiting.delete(enter);
        cancelTimer();
        stopListening();
      };
      const enter = (): void => {
        finish();
        resolve();
      };
      const giveUp = (reason: unknown): void => {
        finish();
        reject(reason);
      };
      const cancelTimer = operation.clock.after(limit.ms, () => giveUp(limit.error()), "awaited");
      const stopListening = operation.onAbort(giveUp);
      this.#waiting.add(enter);
    });
  }

  /** Gives the place to the one that waits longest. */
  leave(): void {
    const [next] = this.#waiting;
    if (next === undefined) this.#active--;
    else next();
  }
}
