import { oldestOf } from "../core/base/ages.ts";
import { toHex } from "../core/base/bytes.ts";
import type { DataKey } from "../core/data-key/data-key.ts";
import { TOKEN_PREFIX_BYTES } from "../core/format/token.ts";

/** Unwrapped data keys by kid, with the time of their unwrap. Wipes each key that leaves. */
export class HeldKeys {
  readonly #keys = new Map<string, { readonly key: DataKey; readonly bornAt: number }>();

  get size(): number {
    return this.#keys.size;
  }

  get(kid: string): DataKey | undefined {
    return this.#keys.get(kid)?.key;
  }

  has(kid: string): boolean {
    return this.#keys.has(kid);
  }

  kids(): readonly string[] {
    return [...this.#keys.keys()];
  }

  /** The time since the key was unwrapped; 0 if it is not held. */
  ageMs(kid: string, nowMs: number): number {
    const held = this.#keys.get(kid);
    return held === undefined ? 0 : nowMs - held.bornAt;
  }

  /** The time since the oldest key was unwrapped. Undefined if none is held. */
  oldestMs(nowMs: number): number | undefined {
    return oldestOf([...this.#keys.values()].map(({ bornAt }) => nowMs - bornAt));
  }

  /** Takes ownership of a key. */
  put(kid: string, key: DataKey, nowMs: number): void {
    this.drop(kid);
    this.#keys.set(kid, { key, bornAt: nowMs });
  }

  drop(kid: string): void {
    this.#keys.get(kid)?.key.destroy();
    this.#keys.delete(kid);
  }

  dropAll(isMet: (kid: string) => boolean = () => true): number {
    const kids = this.kids().filter(isMet);
    for (const kid of kids) this.drop(kid);
    return kids.length;
  }
}

/** Returns the kid that a token names. */
export function kidOf(token: Uint8Array): string {
  return toHex(token.subarray(1, TOKEN_PREFIX_BYTES));
}
