import { isRsa, type KeyKind } from "./key-material.ts";

/**
 * The limit of a vault over any 10 seconds: a sum in which each operation is weighted by its key. Refused operations do not count.
 * Managed HSMs have no such limit.
 */
export class TransactionLimits {
  readonly #creating: SlidingWindow;
  readonly #other: SlidingWindow;
  readonly #secrets: SlidingWindow;

  constructor(now: () => number) {
    this.#creating = new SlidingWindow(now);
    this.#other = new SlidingWindow(now);
    this.#secrets = new SlidingWindow(now);
  }

  /** @returns whether one more operation with such a key fits */
  take({ type, bits }: KeyKind): boolean {
    const isHsm = type.endsWith("-HSM");
    return this.#other.take((isRsa(type) ? (RSA_WEIGHTS[bits] ?? 1) : 1) / (isHsm ? 2000 : 4000));
  }

  /** @returns whether one more key of the kind may be made */
  takeCreation({ type }: KeyKind): boolean {
    return this.#creating.take(1 / (type.endsWith("-HSM") ? 10 : 20));
  }

  /** @returns whether one more secret may be read */
  takeSecret(): boolean {
    return this.#secrets.take(1 / 4000);
  }

  /** The largest sum of key operations in any window, as a share of the limit. */
  get peak(): number {
    return this.#other.peak;
  }
}

class SlidingWindow {
  readonly #now: () => number;
  readonly #recent: { readonly atMs: number; readonly weight: number }[] = [];
  #sum = 0;
  peak = 0;

  constructor(now: () => number) {
    this.#now = now;
  }

  take(weight: number): boolean {
    const nowMs = this.#now();
    for (let [first] = this.#recent; first !== undefined && first.atMs <= nowMs - WINDOW_MS; [first] = this.#recent) {
      this.#recent.shift();
      this.#sum -= first.weight;
    }
    if (this.#sum + weight > 1 + ROUNDING) return false;
    this.#recent.push({ atMs: nowMs, weight });
    this.#sum += weight;
    this.peak = Math.max(this.peak, this.#sum);
    return true;
  }
}

const WINDOW_MS = 10_000;
const ROUNDING = 1e-9;
/** The weight of an operation by key size, relative to RSA 2048, of which 4,000 fit (2,000 in hardware). */
const RSA_WEIGHTS: Readonly<Record<number, number>> = { 2048: 1, 3072: 4, 4096: 8 };
