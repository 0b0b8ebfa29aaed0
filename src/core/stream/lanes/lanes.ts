import type { OwnedBytes } from "../../base/bytes.ts";
import { EnvelockError, invalidArgument } from "../../base/errors.ts";
import type { ChunkJob, ChunkKeys } from "../chunk-job.ts";

/**
 * Where chunks are sealed and opened beside the caller's own thread. `#lanes` in the package's import map picks the implementation:
 * `node.ts` over worker_threads, `portable.ts` over WebCrypto's own threads.
 */
export interface LanePool {
  /** Takes part for one stream. `keys` must stay until `leave`. @throws `invalid-argument` for bad `lanes`; `closed` */
  join(job: ChunkJob, keys: ChunkKeys, options: LaneOptions): StreamLanes;
  /** Takes no more streams, and ends all lanes once those under way are done. Twice is fine. */
  close(): Promise<void>;
}

/** How many threads work on one stream, the caller's own among them. `auto` asks for more once a stream has shown to be large. */
export type LaneCount = "auto" | number;

export interface LaneOptions {
  readonly lanes?: LaneCount | undefined;
  /** The stream's length, if known. */
  readonly plaintextBytes?: number | undefined;
}

export interface StreamLanes {
  /** Chunks in the next batch. */
  readonly batchChunks: number;
  /** Batches that may wait for their turn, the one that this thread works on included. */
  readonly maxInFlight: number;
  /** A lane reserved for the next batch, or undefined: then the caller's own thread does it. */
  reserve(): Lane | undefined;
  /** Lets answers of other threads come in, or undefined if none are due: promises alone never let the event loop turn. */
  turn(): Promise<void> | undefined;
  /** Gives up what is under way and what comes after: it fails with `closed`, and its bytes are wiped. */
  leave(): void;
}

/** One batch's place in a lane: fill `input`, then `run`; or `abandon`. */
export interface Lane {
  /** Room for `batchChunks` chunks. */
  readonly input: OwnedBytes;
  /**
   * Works on the first `inputBytes` of `input`, which is gone from here on.
   *
   * @returns the output, in its own ArrayBuffer
   * @throws `authentication-failed`; `unavailable` if the lane died; `closed`
   */
  run(firstChunk: number, inputBytes: number, isEnd: boolean): Promise<OwnedBytes>;
  abandon(): void;
}

/** What batches of a stream fail with that has left. */
export function streamEnded(): EnvelockError {
  return new EnvelockError("closed", "the stream or its keyring has been closed");
}

/** Checks a lane count. */
export function checkedLanes(lanes: LaneCount = 1): LaneCount {
  if (lanes === "auto" || (Number.isInteger(lanes) && lanes >= 1 && lanes <= MAX_LANES)) return lanes;
  throw invalidArgument(`lanes is ${lanes}, expected "auto" or an integer from 1 to ${MAX_LANES}`);
}

const MAX_LANES = 64;
