import { wipe } from "../base/bytes.ts";
import { invalidArgument } from "../base/errors.ts";

/** Cuts pieces of any size into runs of whole chunks. Copies only chunks that span two pieces. */
export class ChunkSplitter {
  readonly #chunkBytes: number;
  #carry: Uint8Array = NOTHING;
  #carried = 0;
  #piece: Uint8Array = NOTHING;
  #pieceBytes = 0;
  #at = 0;

  constructor(chunkBytes: number) {
    this.#chunkBytes = chunkBytes;
  }

  /** Takes the next piece, once the one before is used up. It must not change before `take` returns undefined. */
  feed(piece: Uint8Array): void {
    this.#piece = piece;
    this.#pieceBytes = piece.length;
    this.#at = 0;
  }

  /**
   * Takes up to `maxChunks` neighbouring whole chunks, valid until the next call. Returns undefined once the piece is used up.
   *
   * @throws `invalid-argument` if the piece lost its memory after it was fed: the rest of it would be dropped in silence
   */
  take(maxChunks: number): Uint8Array | undefined {
    if (this.#piece.length !== this.#pieceBytes)
      throw invalidArgument(DETACHED, "resize or transfer a piece only once the next one is asked for");
    if (this.#carried > 0) {
      this.#fillCarry();
      if (this.#carried < this.#chunkBytes) return undefined;
      this.#carried = 0;
      return this.#carry;
    }
    const chunks = Math.min(maxChunks, Math.floor((this.#piece.length - this.#at) / this.#chunkBytes));
    if (chunks === 0) {
      this.#fillCarry();
      return undefined;
    }
    const start = this.#at;
    this.#at += chunks * this.#chunkBytes;
    return this.#piece.subarray(start, this.#at);
  }

  /** Returns the rest after the last piece: less than a chunk. */
  get rest(): Uint8Array {
    return this.#carry.subarray(0, this.#carried);
  }

  wipe(): void {
    wipe(this.#carry);
  }

  #fillCarry(): void {
    const bytes = Math.min(this.#chunkBytes - this.#carried, this.#piece.length - this.#at);
    if (bytes === 0) return;
    if (this.#carry.length === 0) this.#carry = new Uint8Array(this.#chunkBytes);
    this.#carry.set(this.#piece.subarray(this.#at, this.#at + bytes), this.#carried);
    this.#carried += bytes;
    this.#at += bytes;
  }
}

const DETACHED = "a stream's piece was resized or detached before all of it was used";
const NOTHING: Uint8Array = new Uint8Array(0);
