import { engine } from "#engine";
import { copyOf, type OwnedBytes, wipe } from "../base/bytes.ts";
import type { ChunkJob } from "./chunk-job.ts";
import type { Lane } from "./lanes/lanes.ts";

/** Some neighbouring chunks of a body on their way through the cipher, then one piece of output. */
export interface Batch {
  /** How many more whole chunks it takes. */
  readonly room: number;
  /** Takes whole chunks, or at the body's end what is left. The bytes are the caller's again at once. */
  add(run: Uint8Array, isEnd: boolean): void;
  /** The output, in its own ArrayBuffer. */
  finish(isEnd: boolean): OwnedBytes | Promise<OwnedBytes>;
  /** Gives up what a lane was reserved for. */
  abandon(): void;
}

/** On this thread, straight out of the caller's pieces: for an engine that answers at once. */
export class DirectBatch implements Batch {
  readonly #job: ChunkJob;
  readonly #firstChunk: number;
  readonly #chunks: number;
  #taken = 0;
  #target: OwnedBytes = NOTHING;
  #filled = 0;

  constructor(job: ChunkJob, firstChunk: number, chunks: number) {
    this.#job = job;
    this.#firstChunk = firstChunk;
    this.#chunks = chunks;
  }

  get room(): number {
    return this.#chunks - this.#taken;
  }

  add(run: Uint8Array, isEnd: boolean): void {
    const bytes = this.#job.outputBytes(run.length, isEnd);
    if (this.#target.length === 0) this.#target = engine.allocate(isEnd ? bytes : this.#fullBytes());
    try {
      this.#job.process(this.#firstChunk + this.#taken, run, isEnd, this.#target, this.#filled);
    } catch (error) {
      wipe(this.#target);
      throw error;
    }
    this.#filled += bytes;
    this.#taken += Math.ceil(run.length / this.#job.chunkBytes);
  }

  finish(): OwnedBytes {
    if (this.#filled === this.#target.length) return this.#target;
    const output = copyOf(this.#target.subarray(0, this.#filled));
    wipe(this.#target);
    return output;
  }

  abandon(): void {
    wipe(this.#target);
  }

  // room for the end of the body too, which comes on top of the whole chunks
  #fullBytes(): number {
    return this.#job.outputBytes(this.#chunks * this.#job.chunkBytes, false);
  }
}

/** Gathered for a lane that works while this thread goes on. */
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
