import type { KeySpec } from "./emulated-key.ts";

/**
 * What a vault lets through in any 10 seconds: a sum in which each operation weighs by its key. Rejected requests do not count.
 * Managed HSMs have no such limit.
 */
export class TransactionLimits {
  readonly #now: () => number;
  readonly #recent: { readonly atMs: number; readonly weight: number }[] = [];
  #sum = 0;
  /** The largest sum of any window, as a share of what is allowed. */
  peak = 0;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** @returns whether one more fits */
  take(spec: KeySpec): boolean {
    const nowMs = this.#now();
    const weight = 1 / (OTHER_TRANSACTIONS[`${spec.type} ${spec.bits}`] ?? 4000);
    for (let [first] = this.#recent; first !== undefined && first.atMs <= nowMs - WINDOW_MS; [first] = this.#recent) {
      this.#recent.shift();
      this.#sum -= first.weight;
    }
    if (this.#sum + weight > 1 + 1e-9) return false;
    this.#recent.push({ atMs: nowMs, weight });
    this.#sum += weight;
    this.peak = Math.max(this.peak, this.#sum);
    return true;
  }
}

const WINDOW_MS = 10_000;
/** Per vault and region in 10 seconds, all operations but creating. */
const OTHER_TRANSACTIONS: Readonly<Record<string, number>> = {
  "RSA 2048": 4000,
  "RSA 3072": 1000,
  "RSA 4096": 500,
  "RSA-HSM 2048": 2000,
  "RSA-HSM 3072": 500,
  "RSA-HSM 4096": 250,
};
