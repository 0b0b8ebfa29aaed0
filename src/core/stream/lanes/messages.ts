import type { ChunkMode } from "../chunk-job.ts";

/** The messages from the pool to a worker. Buffers are transferred, so that neither side keeps memory that the other works on. */
export type LaneOrder =
  | { readonly kind: "join"; readonly stream: number; readonly mode: ChunkMode; readonly key: Uint8Array; readonly base: Uint8Array }
  | { readonly kind: "leave"; readonly stream: number }
  | {
      readonly kind: "batch";
      readonly stream: number;
      readonly firstChunk: number;
      readonly isEnd: boolean;
      readonly input: ArrayBuffer;
      readonly inputBytes: number;
      readonly output: ArrayBuffer;
    };

/**
 * The answers of a worker, in the order of the batches. A refused batch brings no bytes back. A batch of a stream that the worker does not
 * know was not worked on.
 */
export type LaneAnswer =
  | { readonly kind: "ready" }
  | { readonly kind: "done"; readonly input: ArrayBuffer; readonly output: ArrayBuffer; readonly writtenBytes: number }
  | { readonly kind: "refused" }
  | { readonly kind: "unknown-stream" };
