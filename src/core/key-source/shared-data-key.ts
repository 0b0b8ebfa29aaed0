import type { DataKey } from "../data-key/data-key.ts";
import type { KeyVersion } from "../telemetry/events.ts";

/** A data key that several users hold at once. It is wiped when the last of them releases it. Its maker is the first holder. */
export class SharedDataKey {
  readonly dataKey: DataKey;
  /** The key versions that wrapped or unwrapped it. */
  readonly keys: readonly KeyVersion[];
  #holders = 1;

  constructor(dataKey: DataKey, keys: readonly KeyVersion[]) {
    this.dataKey = dataKey;
    this.keys = keys;
  }

  /** Adds holders. @param times how many */
  hold(times = 1): void {
    this.#holders += times;
  }

  /** Ends one hold. Called once for each `hold`, and once by the maker. */
  release(): void {
    this.#holders--;
    if (this.#holders === 0) this.dataKey.destroy();
  }

  /** Whether the caller is the only holder left, and may take ownership of the data key. */
  get isHeldOnce(): boolean {
    return this.#holders === 1;
  }
}
