import type { OwnedBytes } from "../../base/bytes.ts";
import { EnvelockError, invalidArgument } from "../../base/errors.ts";
import type { ChunkKeys } from "../../crypto/engine/engine.ts";
import type { ChunkJob } from "../chunk-job.ts";

/**
 * Seals and opens chunks beside the caller's own thread. `#lanes` in the package's import map picks the implementation: `node.ts` over
 * worker_threads, `portable.ts` over WebCrypto's own threads.
 */
export interface LanePool {
  /** Joins for one stream. `keys` must stay until `leave`. @throws `invalid-argument` for bad `lanes`; `closed` */
  join(job: ChunkJob, keys: ChunkKeys, options: LaneOptions): StreamLanes;
  /** Takes no more streams, and ends all lanes once the streams in flight are done. A second call does nothing. */
  close(): Promise<void>;
}

/** The number of threads that work on one stream, the caller's own among them. `auto` adds threads once a stream proves to be large. */
export type LaneCount = "auto" | number;

export interface LaneOptions {
  readonly lanes?: LaneCount | undefined;
  /** The stream's length, if known. */
  readonly plaintextBytes?: number | undefined;
}

export interface StreamLanes {
  /** The number of chunks in the next batch. Smaller while many streams are open, whose batches together would take much memory. */
  readonly batchChunks: number;
  /** The most batches that may wait for their turn, including the one that this thread works on. */
  readonly maxInFlight: number;
  /** Reserves a lane for the next batch. Returns undefined if the caller's own thread is to do it. */
  reserve(): Lane | undefined;
  /**
   * Lets the event loop turn: answers of other threads come in, and other work gets its turn. A source that never waits would hold up both,
   * because promises alone never let the loop turn. Undefined where each batch waits anyway.
   */
  turn(): Promise<void> | undefined;
  /** Gives up all batches, present and future: they fail with `closed`, and their bytes are wiped. */
  leave(): void;
}

/** The place of one batch in a lane. The caller fills `input`, then calls `run`; or it calls `abandon`. */
export interface Lane {
  /** The input, with room for `batchChunks` chunks. */
  readonly input: OwnedBytes;
  /**
   * Works on the first `inputBytes` of `input`, which must not be used any more.
   *
   * @returns the output, in its own ArrayBuffer
   * @throws `authentication-failed`; `unavailable` if the lane died; `closed`
   */
  run(firstChunk: number, inputBytes: number, isEnd: boolean): Promise<OwnedBytes>;
  abandon(): void;
}

/** The error of batches whose stream has left. */
export function streamEnded(): EnvelockError {
  return new EnvelockError("closed", "the stream or its keyring has been closed");
}

/** Checks a lane count. */
export function checkedLanes(lanes: LaneCount = 1): LaneCount {
  if (lanes === "auto" || (Number.isInteger(lanes) && lanes >= 1 && lanes <= MAX_LANES)) return lanes;
  throw invalidArgument(`lanes is ${lanes}, expected "auto" or an integer from 1 to ${MAX_LANES}`);
}

const MAX_LANES = 64;
