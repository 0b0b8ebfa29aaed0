import { engine } from "#engine";
import { authenticationFailed } from "../base/errors.ts";
import { CHUNK_BYTES, TAG_BYTES } from "../contracts/suite.ts";
import { chunkCount, openChunks, SEALED_CHUNK_BYTES, sealChunks } from "../crypto/cobblestone.ts";
import type { ChunkCipher, ChunkKeys, Written } from "../crypto/engine/engine.ts";

export type ChunkMode = "seal" | "open";

/** Seals or opens the chunks of one body, a run of neighbours at a time. docs/format.md §6 */
export interface ChunkJob {
  readonly mode: ChunkMode;
  /** The length of a whole chunk of input. */
  readonly chunkBytes: number;
  /** The length of the output for `inputBytes`. When sealing, the end of the body adds the short last chunk. */
  outputBytes(inputBytes: number, isEnd: boolean): number;
  /**
   * Seals or opens `input`, whose first chunk is number `firstChunk`, into `target` at `offset`.
   *
   * @param isEnd whether the body ends with `input`; otherwise `input` is whole chunks
   * @returns how many bytes were written; with this the caller proves that `target` is filled
   * @throws `authentication-failed`; the caller then wipes `target`
   */
  process(firstChunk: number, input: Uint8Array, isEnd: boolean, target: Uint8Array, offset: number): Written;
}

/** @param keys read in each call; the caller wipes them when there are no more */
export function chunkJob(mode: ChunkMode, keys: ChunkKeys): ChunkJob {
  let made: ChunkCipher | undefined;
  const cipher = (): ChunkCipher => {
    made ??= engine.chunkCipher(keys.key, MANY_CHUNKS);
    return made;
  };
  if (mode === "seal") {
    return {
      mode,
      chunkBytes: CHUNK_BYTES,
      outputBytes: (inputBytes, isEnd) => inputBytes + TAG_BYTES * (isEnd ? chunkCount(inputBytes) : inputBytes / CHUNK_BYTES),
      process: (firstChunk, input, isEnd, target, offset) =>
        engine.coarse?.sealChunks(keys, firstChunk, input, isEnd, target, offset) ??
        sealChunks(cipher(), keys.base, firstChunk, input, isEnd, target, offset),
    };
  }
  return {
    mode,
    chunkBytes: SEALED_CHUNK_BYTES,
    outputBytes: (inputBytes) => inputBytes - TAG_BYTES * Math.ceil(inputBytes / SEALED_CHUNK_BYTES),
    process(firstChunk, input, _isEnd, target, offset) {
      const written = engine.coarse?.openChunks(keys, firstChunk, input, target, offset);
      if (written === false) throw authenticationFailed();
      return written ?? openChunks(cipher(), keys.base, firstChunk, input, target, offset);
    },
  };
}

const MANY_CHUNKS = Number.MAX_SAFE_INTEGER;
