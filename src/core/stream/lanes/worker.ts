import { parentPort } from "node:worker_threads";
import { wipe } from "../../base/bytes.ts";
import type { ChunkKeys } from "../../crypto/engine/engine.ts";
import { type ChunkJob, chunkJob } from "../chunk-job.ts";
import type { LaneAnswer, LaneOrder } from "./messages.ts";

// The entry of a lane: a worker thread that seals and opens batches for streams of the thread that started it.

const jobs = new Map<number, { readonly job: ChunkJob; readonly keys: ChunkKeys }>();

function answer(message: LaneAnswer, transfer: readonly ArrayBuffer[] = []): void {
  parentPort?.postMessage(message, transfer);
}

function work({ stream, firstChunk, isEnd, input, inputBytes, output }: LaneOrder & { kind: "batch" }): void {
  const target = new Uint8Array(output);
  const joined = jobs.get(stream);
  if (joined === undefined) {
    wipe(target, new Uint8Array(input));
    answer({ kind: "unknown-stream" });
    return;
  }
  try {
    const writtenBytes = joined.job.process(firstChunk, new Uint8Array(input, 0, inputBytes), isEnd, target, 0);
    if (typeof writtenBytes !== "number") throw new TypeError("a worker needs an engine that answers at once");
    answer({ kind: "done", input, output, writtenBytes }, [input, output]);
  } catch {
    wipe(target, new Uint8Array(input)); // the only possible failure is a tag that does not match
    answer({ kind: "refused" });
  }
}

parentPort?.on("message", (order: LaneOrder) => {
  if (order.kind === "batch") return work(order);
  if (order.kind === "join") {
    jobs.set(order.stream, { job: chunkJob(order.mode, order), keys: order });
    return;
  }
  const keys = jobs.get(order.stream)?.keys;
  wipe(keys?.key, keys?.base);
  jobs.delete(order.stream);
});
answer({ kind: "ready" });
