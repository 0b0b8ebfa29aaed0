import { quietly } from "../base/quietly.ts";
import type { ForgetFilter } from "../key-source/forget-filter.ts";
import type { Gate } from "./gate.ts";

/**
 * Tells objects that keep data keys of a keyring beside it, such as `DataKeys`, about the end of those keys. Not part of the public
 * surface.
 */
export class KeyringLife {
  readonly #forgetting: Set<(filter: ForgetFilter) => number> = new Set();
  readonly #closing: Set<() => void> = new Set();
  /** Decides on each use of a data key, also of those that are kept beside the keyring. */
  readonly gate: Gate | undefined;
  /** The keyring's tenant, which `forget` may ask for. */
  readonly tenant: string | undefined;
  #isClosed = false;

  constructor(gate?: Gate, tenant?: string) {
    this.gate = gate;
    this.tenant = tenant;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /**
   * Subscribes to `Keyring.forget`.
   *
   * @param listener wipes the data keys that match the filter and returns how many
   * @returns a function that ends the subscription
   */
  onForget(listener: (filter: ForgetFilter) => number): () => void {
    this.#forgetting.add(listener);
    return () => this.#forgetting.delete(listener);
  }

  /** Subscribes to `Keyring.close`, which happens once. @returns a function that ends the subscription */
  onClose(listener: () => void): () => void {
    this.#closing.add(listener);
    return () => this.#closing.delete(listener);
  }

  /** Tells all listeners, also after one that throws. @returns how many data keys were dropped */
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
