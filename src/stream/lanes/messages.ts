import type { ChunkMode } from "../chunk-job.ts";

/** What the pool tells a worker. Buffers are transferred, so that neither side keeps what the other works on. */
export type LaneOrder =
  | { readonly kind: "join"; readonly stream: number; readonly mode: ChunkMode; readonly key: Uint8Array; readonly base: Uint8Array }
  | { readonly kind: "leave"; readonly stream: number }
  | {
      readonly kind: "batch";
      readonly stream: number;
      readonly batch: number;
      readonly firstChunk: number;
      readonly isEnd: boolean;
      readonly input: ArrayBuffer;
      readonly inputBytes: number;
      readonly output: ArrayBuffer;
    };

/** What a worker answers. Of a batch that was refused no bytes come back. */
export type LaneAnswer =
  | { readonly kind: "ready" }
  | { readonly kind: "done"; readonly batch: number; readonly input: ArrayBuffer; readonly output: ArrayBuffer }
  | { readonly kind: "refused"; readonly batch: number };
