import { quietly } from "../base/quietly.ts";
import type { ForgetFilter } from "../key-source/forget-filter.ts";

/** Tells those that keep data keys of a keyring beside it, such as `DataKeys`, what becomes of the keyring. Not part of the public surface. */
export class KeyringLife {
  readonly #forgetting: Set<(filter: ForgetFilter) => number> = new Set();
  readonly #closing: Set<() => void> = new Set();
  #isClosed = false;

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /**
   * Hears of each `Keyring.forget`.
   *
   * @param listener wipes what the filter meets and returns how many data keys that were
   * @returns what stops listening
   */
  onForget(listener: (filter: ForgetFilter) => number): () => void {
    this.#forgetting.add(listener);
    return () => this.#forgetting.delete(listener);
  }

  /** Hears of `Keyring.close`, once. @returns what stops listening */
  onClose(listener: () => void): () => void {
    this.#closing.add(listener);
    return () => this.#closing.delete(listener);
  }

  /** Tells all, also after one that throws. @returns how many data keys were let go */
  forget(filter: ForgetFilter): number {
    let forgotten = 0;
    for (const listener of [...this.#forgetting]) forgotten += quietly(() => listener(filter)) ?? 0;
    return forgotten;
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const listener of [...this.#closing]) quietly(listener);
    this.#forgetting.clear();
    this.#closing.clear();
  }
}
