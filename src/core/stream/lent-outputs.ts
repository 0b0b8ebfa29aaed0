import type { OwnedBytes } from "../base/bytes.ts";
import { engineOutputs, type Outputs } from "./outputs.ts";

/**
 * Writes a batch straight into the memory that a reader has handed in for it (a BYOB reader of a byte stream), if one chunk or more fits
 * there. What does not fit is made in an array of its own.
 */
export class LentOutputs implements Outputs {
  #lent: OwnedBytes | undefined;
  #used: OwnedBytes | undefined;

  /** Offers memory to the next batch alone. No other code may see it until that batch was given out. */
  lend(memory: OwnedBytes): void {
    this.#lent = memory;
  }

  /** Ends the offer. Returns whether the batch was written there. */
  takeBack(batch: OwnedBytes | undefined): boolean {
    const isUsed = batch !== undefined && this.#used !== undefined && batch.buffer === this.#used.buffer;
    this.#lent = undefined;
    this.#used = undefined;
    return isUsed;
  }

  get room(): number | undefined {
    return this.#lent?.length;
  }

  take(bytes: number): OwnedBytes {
    const lent = this.#lent;
    if (lent === undefined || lent.length < bytes) return engineOutputs.take(bytes);
    this.#lent = undefined;
    this.#used = lent.subarray(0, bytes);
    return this.#used;
  }

  cut(target: OwnedBytes, bytes: number): OwnedBytes {
    return target === this.#used ? target.subarray(0, bytes) : engineOutputs.cut(target, bytes);
  }
}
