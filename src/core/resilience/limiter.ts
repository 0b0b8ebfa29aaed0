import { type WaitBounds, waitWithin } from "../base/wait.ts";

/** Lets a bounded number of calls run at once; the others wait, first come, first served. */
export class Limiter {
  readonly #maxConcurrent: number;
  #waiting: Set<() => void> | undefined; // made on first use: of many tenants, few ever wait
  #active = 0;

  constructor(maxConcurrent: number) {
    this.#maxConcurrent = maxConcurrent;
  }

  get active(): number {
    return this.#active;
  }

  get queued(): number {
    return this.#waiting?.size ?? 0;
  }

  /** Takes a place if one is free. The caller gives it back with `leave`. */
  tryEnter(): boolean {
    if (this.#active >= this.#maxConcurrent) return false;
    this.#active++;
    return true;
  }

  /**
   * Waits for a place.
   *
   * @throws as `waitWithin`; the caller then holds no place
   */
  enter(bounds: WaitBounds): Promise<void> {
    return waitWithin<void>(bounds, (resolve) => {
      const enter = (): void => {
        resolve();
      };
      this.#waiting ??= new Set();
      this.#waiting.add(enter);
      return () => this.#waiting?.delete(enter);
    });
  }

  /** Gives the place to the call that has waited longest. */
  leave(): void {
    const [next] = this.#waiting ?? NONE;
    if (next === undefined) this.#active--;
    else next();
  }
}

const NONE: readonly (() => void)[] = [];
