import type { DataKey } from "../data-key/data-key.ts";
import type { KeyVersion } from "../telemetry/events.ts";

/** A data key that several users hold at once: wiped when the last of them lets go. Its maker is the first holder. */
export class SharedDataKey {
  readonly dataKey: DataKey;
  /** The key versions that wrapped or unwrapped it. */
  readonly keys: readonly KeyVersion[];
  #holders = 1;

  constructor(dataKey: DataKey, keys: readonly KeyVersion[]) {
    this.dataKey = dataKey;
    this.keys = keys;
  }

  /** @param times how many further users there are */
  hold(times = 1): void {
    this.#holders += times;
  }

  /** Called once for each `hold`, and once by its maker. */
  release(): void {
    this.#holders--;
    if (this.#holders === 0) this.dataKey.destroy();
  }

  /** Whether the caller is the only holder left, and may take the data key over. */
  get isHeldOnce(): boolean {
    return this.#holders === 1;
  }
}
