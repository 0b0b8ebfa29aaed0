import { isBytes, type OwnedBytes, wipe } from "../base/bytes.ts";
import { malformed } from "../base/errors.ts";
import { whenAborted } from "../base/when-aborted.ts";
import { TAG_BYTES } from "../contracts/suite.ts";
import { type Batch, DirectBatch, GatheredBatch } from "./batch.ts";
import type { ChunkJob } from "./chunk-job.ts";
import { ChunkSplitter } from "./chunk-splitter.ts";
import type { StreamLanes } from "./lanes/lanes.ts";
import { engineOutputs, type Outputs } from "./outputs.ts";

/**
 * Seals or opens the chunks of one body from pieces of any size, and returns the output in order, in whole batches. Holds a bounded number
 * of batches for a body of any length.
 *
 * A piece must not change before the next one is asked for. Ends `lanes`.
 *
 * @throws `malformed-envelope` if a sealed body is cut short between chunks; `authentication-failed`; what `pieces` throws
 */
export async function* pumpChunks(
  pieces: AsyncIterable<Uint8Array>,
  job: ChunkJob,
  lanes: StreamLanes,
  { signal, part = WHOLE_BODY, outputs = engineOutputs }: PumpOptions = {},
): AsyncGenerator<OwnedBytes, void, undefined> {
  const { firstChunk, isEnd, firstBatchChunks = Number.MAX_SAFE_INTEGER } = part;
  const splitter = new ChunkSplitter(job.chunkBytes);
  const inFlight: InFlight[] = [];
  let batch: Batch | undefined;
  let chunk = firstChunk;
  const outputsOfNext = (): Outputs => (inFlight.length === 0 ? outputs : engineOutputs); // others would be given out before it
  const batchChunks = (): number => {
    const most = chunk === firstChunk ? Math.min(firstBatchChunks, lanes.batchChunks) : lanes.batchChunks;
    const { room = 0 } = outputsOfNext();
    const fitting = Math.floor(room / job.outputBytes(job.chunkBytes, false));
    return fitting === 0 ? most : Math.min(fitting, most);
  };
  const nextBatch = (): Batch => {
    signal?.throwIfAborted();
    const lane = lanes.reserve();
    return lane === undefined ? new DirectBatch(job, chunk, batchChunks(), outputsOfNext()) : new GatheredBatch(lane, job, chunk);
  };
  const stopListening = whenAborted(signal, () => lanes.leave()); // pending output of a lane then fails
  try {
    for await (const piece of pieces) {
      splitter.feed(piece);
      for (;;) {
        const run = splitter.take(batch?.room ?? batchChunks());
        if (run === undefined) break;
        batch ??= nextBatch();
        batch.add(run, false);
        chunk += run.length / job.chunkBytes;
        if (batch.room > 0) continue;
        inFlight.push(underWay(batch.finish(false)));
        batch = undefined;
        await lanes.turn();
        for (let [head] = inFlight; head && (head.isDone || inFlight.length >= lanes.maxInFlight); [head] = inFlight) {
          inFlight.shift();
          yield await head.output;
        }
      }
    }
    if (isEnd) {
      if (job.mode === "open" && splitter.rest.length < TAG_BYTES) throw malformed("the body is cut short: its last chunk is missing");
      batch ??= nextBatch();
      batch.add(splitter.rest, true);
    } else if (splitter.rest.length > 0) throw malformed("the part of a body ends within a chunk");
    if (batch !== undefined) inFlight.push(underWay(batch.finish(isEnd)));
    batch = undefined;
    for (let head = inFlight.shift(); head !== undefined; head = inFlight.shift()) yield await head.output;
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  } finally {
    stopListening();
    batch?.abandon();
    splitter.wipe();
    lanes.leave();
    // no lane may still work when the caller wipes the keys; output that is not handed out is wiped too
    for (const given of await Promise.allSettled(inFlight.map(({ output }) => output))) {
      if (given.status === "fulfilled") wipe(given.value);
    }
  }
}

export interface PumpOptions {
  /** Ends a wait for a lane too. */
  readonly signal?: AbortSignal | undefined;
  /** The part of the body that the pieces are. Default: all of it. */
  readonly part?: BodyPart;
  /** The memory of the output, where this thread does the work. Default: a new array for each batch. */
  readonly outputs?: Outputs | undefined;
}

/** Neighbouring chunks of a body. */
export interface BodyPart {
  readonly firstChunk: number;
  /** Whether the body ends with them. If it does not, the pieces are whole chunks. */
  readonly isEnd: boolean;
  /** How many chunks the first batch has at most on this thread, so that it comes early. */
  readonly firstBatchChunks?: number;
}

/** An output that may still be in the making. */
interface InFlight {
  readonly output: OwnedBytes | Promise<OwnedBytes>;
  isDone: boolean;
}

function underWay(output: OwnedBytes | Promise<OwnedBytes>): InFlight {
  if (isBytes(output)) return { output, isDone: true };
  const entry: InFlight = { output, isDone: false };
  const done = (): void => {
    entry.isDone = true;
  };
  output.then(done, done); // a failure waits for its turn, so that verified output before it is given out first
  return entry;
}

const WHOLE_BODY: BodyPart = { firstChunk: 0, isEnd: true };
