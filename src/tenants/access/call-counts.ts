import type { EnvelockError, ErrorCode } from "../../core/base/errors.ts";

/** The last calls of a tenant's keys: how long they took, and how they ended. */
export class CallCounts {
  readonly #durationsMs: number[] = [];
  readonly #codes: Partial<Record<ErrorCode, number>> = {};
  #next = 0;

  note(error: EnvelockError | undefined, durationMs: number): void {
    this.#durationsMs[this.#next] = durationMs;
    this.#next = (this.#next + 1) % MOST_DURATIONS;
    if (error !== undefined) this.#codes[error.code] = (this.#codes[error.code] ?? 0) + 1;
  }

  /** Failures by code, since the keyring was opened. */
  get codes(): Readonly<Partial<Record<ErrorCode, number>>> {
    return { ...this.#codes };
  }

  /** The duration that this share of the last 64 calls stayed within, such as 0.99. Undefined without calls. */
  durationMs(share: number): number | undefined {
    const sorted = [...this.#durationsMs].sort((a, b) => a - b);
    return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
  }
}

const MOST_DURATIONS = 64;
