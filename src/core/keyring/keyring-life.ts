import { oldestOf } from "../base/ages.ts";
import { quietly } from "../base/quietly.ts";
import type { ForgetFilter } from "../key-source/forget-filter.ts";
import type { Gate } from "./gate.ts";

/** An object that keeps data keys of a keyring in clear beside it. */
export interface DataKeyKeeper {
  /** Wipes the data keys that match the filter. @returns how many */
  forget(filter: ForgetFilter): number;
  /** The time since the oldest one was unwrapped, in milliseconds. Undefined if none is kept. */
  oldestMs(): number | undefined;
}

/**
 * Tells objects that keep data keys of a keyring beside it, such as `DataKeys`, about the end of those keys. Not part of the public
 * surface.
 */
export class KeyringLife {
  readonly #keepers: Set<DataKeyKeeper> = new Set();
  #closing: Set<() => void> | undefined;
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

  /** Lets `Keyring.forget` and `Keyring.status` reach an object that keeps data keys. @returns a function that ends that */
  watch(keeper: DataKeyKeeper): () => void {
    this.#keepers.add(keeper);
    return () => this.#keepers.delete(keeper);
  }

  /** Subscribes to `Keyring.close`, which happens once. @returns a function that ends the subscription */
  onClose(listener: () => void): () => void {
    this.#closing ??= new Set();
    this.#closing.add(listener);
    return () => this.#closing?.delete(listener);
  }

  /** Tells all keepers, also after one that throws. @returns how many data keys were dropped */
  forget(filter: ForgetFilter): number {
    let forgotten = 0;
    for (const keeper of [...this.#keepers]) forgotten += quietly(() => keeper.forget(filter)) ?? 0;
    return forgotten;
  }

  /** The age of the oldest data key of all keepers. Undefined if none keeps one. */
  oldestMs(): number | undefined {
    return oldestOf([...this.#keepers].map((keeper) => keeper.oldestMs()));
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const listener of [...(this.#closing ?? [])]) quietly(listener);
    this.#keepers.clear();
    this.#closing = undefined;
  }
}
