import { type OwnedBytes, wipe } from "../core/base/bytes.ts";
import { invalidArgument } from "../core/base/errors.ts";
import { InputPieces } from "../core/stream/input-pieces.ts";
import { streamPieces } from "../core/stream/stream-pieces.ts";

/** Bytes that come in pieces: a web stream, a stream of Node, an async iterable. */
export type PieceSource = AsyncIterable<Uint8Array> | ReadableStream<Uint8Array>;

/** Iterates a source once. An abort interrupts it, also while it waits. @throws `invalid-argument` for what is none */
export function piecesOf(source: PieceSource, signal: AbortSignal | undefined): AsyncIterable<Uint8Array> {
  const given: unknown = source;
  if (typeof given === "object" && given !== null) {
    if (isWebStream(source)) return new InputPieces(streamPieces(source), signal);
    if (Symbol.asyncIterator in source) return new InputPieces(source, signal);
  }
  throw invalidArgument("the source must be a web stream or an async iterable of Uint8Arrays");
}

/**
 * Cuts a source into blocks of exactly `blockBytes`, the last one shorter. Memory grows with what came, so a length that is not trusted
 * allocates nothing.
 *
 * @returns blocks that stay as they are only until the next one is asked for
 */
export async function* blocksOf(pieces: AsyncIterable<Uint8Array>, blockBytes: number): AsyncGenerator<Uint8Array, void, undefined> {
  let block = new Uint8Array(Math.min(blockBytes, FIRST_BYTES));
  let filled = 0;
  try {
    for await (const piece of pieces) {
      for (let at = 0; at < piece.length; ) {
        if (filled === block.length) block = grown(block, Math.min(blockBytes, 2 * block.length));
        const run = piece.subarray(at, at + block.length - filled);
        block.set(run, filled);
        filled += run.length;
        at += run.length;
        if (filled < blockBytes) continue;
        yield block;
        filled = 0;
      }
    }
    if (filled > 0) yield block.subarray(0, filled);
  } finally {
    wipe(block);
  }
}

/** Makes a stream of pieces that are made on demand. A cancel interrupts the work through `stop` and does not wait for the source. */
export function streamOf(pieces: AsyncGenerator<OwnedBytes, void, undefined>, stop: AbortController): ReadableStream<OwnedBytes> {
  return new ReadableStream<OwnedBytes>(
    {
      async pull(controller) {
        const { done, value } = await pieces.next();
        if (done === true) controller.close();
        else controller.enqueue(value);
      },
      cancel(reason) {
        stop.abort(reason);
        pieces.return().catch(() => undefined); // the consumer has left: no caller would get the error
      },
    },
    { highWaterMark: 0 },
  );
}

/** Joins the signal of a call and that of a stream. */
export function joined(signal: AbortSignal | undefined, stop: AbortController): AbortSignal {
  return signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal]);
}

function isWebStream(source: PieceSource): source is ReadableStream<Uint8Array> {
  return "getReader" in source && typeof source.getReader === "function";
}

function grown(block: Uint8Array, bytes: number): Uint8Array<ArrayBuffer> {
  const larger = new Uint8Array(bytes);
  larger.set(block);
  wipe(block);
  return larger;
}

const FIRST_BYTES = 65_536;
