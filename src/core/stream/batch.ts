import { type OwnedBytes, wipe } from "../base/bytes.ts";
import { requireFilled } from "../base/filled.ts";
import type { ChunkJob } from "./chunk-job.ts";
import type { Lane } from "./lanes/lanes.ts";
import type { Outputs } from "./outputs.ts";

/** Some neighbouring chunks of a body on their way through the cipher, which become one piece of output. */
export interface Batch {
  /** The number of whole chunks that it still takes. */
  readonly room: number;
  /** Takes whole chunks, or at the end of the body the rest. The caller may reuse the bytes at once. */
  add(run: Uint8Array, isEnd: boolean): void;
  /** Returns the output, in its own ArrayBuffer. */
  finish(isEnd: boolean): OwnedBytes | Promise<OwnedBytes>;
  /** Releases the lane that it has reserved. */
  abandon(): void;
}

/** Works on this thread, straight from the caller's pieces. For an engine that answers at once. */
export class DirectBatch implements Batch {
  readonly #job: ChunkJob;
  readonly #firstChunk: number;
  readonly #chunks: number;
  readonly #outputs: Outputs;
  #taken = 0;
  #target: OwnedBytes = NOTHING;
  /** The length of the output that the input so far makes. */
  #promised = 0;
  #filled = 0;

  constructor(job: ChunkJob, firstChunk: number, chunks: number, outputs: Outputs) {
    this.#job = job;
    this.#firstChunk = firstChunk;
    this.#chunks = chunks;
    this.#outputs = outputs;
  }

  get room(): number {
    return this.#chunks - this.#taken;
  }

  add(run: Uint8Array, isEnd: boolean): void {
    const bytes = this.#job.outputBytes(run.length, isEnd);
    if (this.#target.length === 0) this.#target = this.#outputs.take(isEnd ? bytes : this.#fullBytes());
    try {
      const written = this.#job.process(this.#firstChunk + this.#taken, run, isEnd, this.#target, this.#filled);
      if (typeof written !== "number") throw new TypeError("a direct batch needs an engine that answers at once");
      this.#filled += written;
      this.#promised += bytes;
    } catch (error) {
      wipe(this.#target);
      throw error;
    }
    this.#taken += Math.ceil(run.length / this.#job.chunkBytes);
  }

  finish(): OwnedBytes {
    const isWhole = this.#promised === this.#target.length;
    return requireFilled(isWhole ? this.#target : this.#outputs.cut(this.#target, this.#promised), this.#filled);
  }

  abandon(): void {
    wipe(this.#target);
  }

  // with room for the end of the body too, which follows the whole chunks
  #fullBytes(): number {
    return this.#job.outputBytes(this.#chunks * this.#job.chunkBytes, false);
  }
}

/** Gathers chunks for a lane, which works while this thread goes on. */
export class GatheredBatch implements Batch {
  readonly #lane: Lane;
  readonly #chunkBytes: number;
  readonly #firstChunk: number;
  readonly #input: OwnedBytes;
  #filled = 0;

  constructor(lane: Lane, job: ChunkJob, firstChunk: number) {
    this.#lane = lane;
    this.#chunkBytes = job.chunkBytes;
    this.#firstChunk = firstChunk;
    this.#input = lane.input;
  }

  get room(): number {
    return Math.floor((this.#input.length - this.#filled) / this.#chunkBytes);
  }

  add(run: Uint8Array): void {
    this.#input.set(run, this.#filled);
    this.#filled += run.length;
  }

  finish(isEnd: boolean): Promise<OwnedBytes> {
    return this.#lane.run(this.#firstChunk, this.#filled, isEnd);
  }

  abandon(): void {
    this.#lane.abandon();
  }
}

const NOTHING: OwnedBytes = new Uint8Array(0);
