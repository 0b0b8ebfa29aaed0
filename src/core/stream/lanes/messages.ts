import type { ChunkMode } from "../chunk-job.ts";

/** What the pool tells a worker. Buffers are transferred, so that neither side keeps what the other works on. */
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
 * What a worker answers, to batches in the order in which they came. A batch that was refused brings no bytes back. One whose stream the
 * worker does not know was not worked on.
 */
export type LaneAnswer =
  | { readonly kind: "ready" }
  | { readonly kind: "done"; readonly input: ArrayBuffer; readonly output: ArrayBuffer; readonly writtenBytes: number }
  | { readonly kind: "refused" }
  | { readonly kind: "unknown-stream" };
