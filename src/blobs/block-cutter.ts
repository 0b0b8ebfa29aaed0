import { engine } from "#engine";
import type { OwnedBytes } from "../core/base/bytes.ts";
import { EnvelockError } from "../core/base/errors.ts";
import { SEALED_CHUNK_BYTES } from "../core/crypto/body-sizes.ts";
import type { Outputs } from "../core/stream/outputs.ts";
import type { BlockRules } from "./blob-store.ts";

/**
 * Cuts an envelope into the blocks of a store: the header first where it can be a block of its own, then blocks of the length that
 * `BlockSizes` gives, the last one shorter.
 *
 * @param pieces used up one by one; those that `memory` was the output of lie in their block already, and are not copied
 * @param headerBytes how many bytes the first block takes; undefined if it has the same length as the others
 * @param memory where blocks lie: the caller gives back each block that is not needed any more
 * @returns blocks that stay as they are until they are given back, for one iteration
 * @throws `invalid-argument` with `detail` `too-large` if more blocks would be needed than the store takes
 */
export async function* blocksOf(
  pieces: AsyncIterable<Uint8Array>,
  sizes: BlockSizes,
  headerBytes: number | undefined,
  memory: BlockMemory,
): AsyncGenerator<Uint8Array, void, undefined> {
  let index = 0;
  let cut = 0; // bytes in the blocks before
  let wanted = headerBytes ?? sizes.bytesOf(0);
  let block = memory.begin(sizes.firstRoom(wanted, cut));
  let filled = 0;
  for await (const piece of pieces) {
    for (let at = 0; at < piece.length; ) {
      if (filled === block.length) {
        const larger = memory.begin(Math.min(wanted, 4 * block.length));
        larger.set(block);
        memory.give(block);
        block = larger;
      }
      const run = piece.subarray(at, at + block.length - filled);
      const isThere = run.buffer === block.buffer && run.byteOffset === block.byteOffset + filled;
      if (!isThere) block.set(run, filled);
      filled += run.length;
      at += run.length;
      if (filled < wanted) continue;
      yield block;
      cut += filled;
      wanted = sizes.bytesOf(++index);
      block = memory.begin(sizes.firstRoom(wanted, cut));
      filled = 0;
    }
    memory.rest = block.subarray(filled);
  }
  if (filled > 0) yield block.subarray(0, filled);
}

/**
 * Memory for blocks, which is used again when a block is given back. Fresh memory for each block costs page faults and collections.
 *
 * Sealed chunks are made in the block that is being filled, as long as it takes whole chunks, so that they are not copied. The
 * chunk that crosses its end is made beside it, in memory that is used again: a batch must have been cut before the next one is made.
 */
export class BlockMemory implements Outputs {
  readonly #free: Uint8Array<ArrayBuffer>[] = [];
  #spare: OwnedBytes | undefined;
  /** What is left of the block that is being filled. */
  rest: OwnedBytes = new Uint8Array(0);

  get room(): number {
    return Math.max(this.rest.length, SEALED_CHUNK_BYTES);
  }

  take(bytes: number): OwnedBytes {
    if (bytes <= this.rest.length) return this.rest.subarray(0, bytes);
    if (this.#spare?.length !== bytes) this.#spare = engine.allocate(bytes);
    return this.#spare;
  }

  cut(target: OwnedBytes, bytes: number): OwnedBytes {
    return target.subarray(0, bytes);
  }

  /** Returns a block with any content. */
  begin(bytes: number): Uint8Array<ArrayBuffer> {
    const at = this.#free.findIndex(({ length }) => length >= bytes);
    const [found = new Uint8Array(bytes)] = at < 0 ? [] : this.#free.splice(at, 1);
    return found.subarray(0, bytes);
  }

  /** Takes back a block, or the beginning of one, that no request sends any more. */
  give({ buffer }: Uint8Array): void {
    if (buffer instanceof ArrayBuffer) this.#free.push(new Uint8Array(buffer));
  }
}

/** The lengths of blocks, chosen so that all of a blob fits the number that the store takes. */
export class BlockSizes {
  readonly #rules: BlockRules;
  readonly #first: number;
  readonly #totalBytes: number | undefined;

  /** @param storedBytes the length of the envelope, if it is known */
  constructor(rules: BlockRules, storedBytes: number | undefined) {
    this.#rules = rules;
    this.#totalBytes = storedBytes;
    const least = Math.ceil((storedBytes ?? 0) / Math.max(1, rules.mostBlocks - 1));
    this.#first = least <= rules.bytes ? rules.bytes : Math.ceil(least / STEP_BYTES) * STEP_BYTES;
    if (this.#first > rules.mostBytes) throw this.#tooLarge();
  }

  /** The length of block `index`. @throws `invalid-argument` if the store takes no more */
  bytesOf(index: number): number {
    const { mostBlocks, mostBytes, areEqual } = this.#rules;
    if (index >= mostBlocks) throw this.#tooLarge();
    if (this.#totalBytes !== undefined || areEqual) return this.#first;
    const doublings = Math.floor(index / Math.ceil(mostBlocks / DOUBLINGS));
    return Math.min(this.#first * 2 ** doublings, mostBytes);
  }

  /**
   * Returns how much memory a block of `wanted` bytes takes at first: all that it can still get if the total is known, else little while the
   * source may be short.
   *
   * @param cutBytes the bytes of the blocks before
   */
  firstRoom(wanted: number, cutBytes: number): number {
    if (this.#totalBytes !== undefined) return Math.min(wanted, Math.max(1, this.#totalBytes - cutBytes));
    return cutBytes < this.#first ? Math.min(wanted, FIRST_ROOM_BYTES) : wanted;
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
/** What a blob of unknown length gets at first. */
const FIRST_ROOM_BYTES = 131_072;
/** How often blocks of a source of unknown length double until the store takes no more of them. */
const DOUBLINGS = 10;
