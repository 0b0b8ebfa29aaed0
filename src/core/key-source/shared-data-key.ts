import type { DataKey } from "../data-key/data-key.ts";
import type { KeyVersion } from "../telemetry/events.ts";

/** A data key that several users hold at once: wiped when the last of them lets go. Whoever makes it holds it. */
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

  /** Once for each `hold`, and once for whoever made it. */
  release(): void {
    this.#holders--;
    if (this.#holders === 0) this.dataKey.destroy();
  }

  /** Whether the caller is the only one left, and may do with the data key what it likes. */
  get isHeldOnce(): boolean {
    return this.#holders === 1;
  }
}
