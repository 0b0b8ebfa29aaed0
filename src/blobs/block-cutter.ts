import { EnvelockError } from "../core/base/errors.ts";
import type { BlockRules } from "./blob-store.ts";

/**
 * Cuts an envelope into the blocks of a store: the header first where it can be a block of its own, then blocks of the length that
 * `BlockSizes` gives, the last one shorter.
 *
 * @param headerBytes how many bytes the first block takes; undefined if it has the same length as the others
 * @returns blocks in memory of their own, for one iteration
 * @throws `invalid-argument` with `detail` `too-large` if more blocks would be needed than the store takes
 */
export async function* blocksOf(
  pieces: AsyncIterable<Uint8Array>,
  sizes: BlockSizes,
  headerBytes: number | undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  let index = 0;
  let block = new Uint8Array(headerBytes ?? sizes.bytesOf(0));
  let filled = 0;
  for await (const piece of pieces) {
    for (let at = 0; at < piece.length; ) {
      const run = piece.subarray(at, at + block.length - filled);
      block.set(run, filled);
      filled += run.length;
      at += run.length;
      if (filled < block.length) continue;
      yield block;
      index++;
      block = new Uint8Array(sizes.bytesOf(index));
      filled = 0;
    }
  }
  if (filled > 0) yield block.subarray(0, filled);
}

/** The lengths of blocks, chosen so that all of a blob fits the number that the store takes. */
export class BlockSizes {
  readonly #rules: BlockRules;
  readonly #first: number;
  readonly #isKnown: boolean;

  /** @param storedBytes the length of the envelope, if it is known */
  constructor(rules: BlockRules, storedBytes: number | undefined) {
    this.#rules = rules;
    this.#isKnown = storedBytes !== undefined;
    const least = Math.ceil((storedBytes ?? 0) / Math.max(1, rules.mostBlocks - 1));
    this.#first = least <= rules.bytes ? rules.bytes : Math.ceil(least / STEP_BYTES) * STEP_BYTES;
    if (this.#first > rules.mostBytes) throw this.#tooLarge();
  }

  /** The length of block `index`. @throws `invalid-argument` if the store takes no more */
  bytesOf(index: number): number {
    const { mostBlocks, mostBytes, areEqual } = this.#rules;
    if (index >= mostBlocks) throw this.#tooLarge();
    if (this.#isKnown || areEqual) return this.#first;
    const doublings = Math.floor(index / Math.ceil(mostBlocks / DOUBLINGS));
    return Math.min(this.#first * 2 ** doublings, mostBytes);
  }

  #tooLarge(): EnvelockError {
    const { mostBlocks, areEqual } = this.#rules;
    return new EnvelockError("invalid-argument", `the source needs more blocks than this store takes, ${mostBlocks}`, {
      detail: "too-large",
      ...(areEqual && { hint: "state expectedBytes: blocks of this store all have one length, which is chosen at the start" }),
    });
  }
}

/** What lengths are multiples of. */
const STEP_BYTES = 1024 * 1024;
/** How often blocks of a source of unknown length double until the store takes no more of them. */
const DOUBLINGS = 10;
