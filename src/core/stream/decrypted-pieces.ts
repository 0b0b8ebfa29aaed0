import type { OwnedBytes } from "../base/bytes.ts";
import { callSignal } from "../base/call-options.ts";
import { malformed } from "../base/errors.ts";
import { BODY_PREFIX_BYTES, wipeBodyKeys } from "../crypto/cobblestone.ts";
import { HEADER_PREFIX_BYTES, headerBytesOf, parseHeader } from "../format/envelope.ts";
import { type BoundOptions, openingOptions, resumeBody, type StreamAccess } from "./beginning.ts";
import { chunkJob } from "./chunk-job.ts";
import { InputPieces, requirePieces } from "./input-pieces.ts";
import { checkedLanes, type LaneCount } from "./lanes/lanes.ts";
import { STREAM_OPTIONS, type StreamOptions } from "./options.ts";
import type { Outputs } from "./outputs.ts";
import { pumpChunks } from "./pump.ts";

/**
 * Decrypts an envelope piece by piece. Returns only verified chunks, in order. Any fault of the rest ends in an error, never in a clean
 * end.
 *
 * @param outputs the memory of the batches, where that is not an array of their own
 * @throws `invalid-argument` for an unknown option, bad `lanes` or pieces that are none; the iterator throws as `Keyring.decrypt`, and what `pieces` throws
 */
export function decryptPieces(
  pieces: AsyncIterable<Uint8Array>,
  access: StreamAccess,
  options: StreamOptions,
  outputs?: Outputs,
): AsyncGenerator<OwnedBytes, void, undefined> {
  callSignal(options, STREAM_OPTIONS, "decryptPieces");
  requirePieces(pieces, "decryptPieces");
  const { lanes, onProgress } = options;
  return decrypted(pieces, access, openingOptions(access, options), checkedLanes(lanes), onProgress, outputs);
}

async function* decrypted(
  pieces: AsyncIterable<Uint8Array>,
  access: StreamAccess,
  bound: BoundOptions,
  lanes: LaneCount,
  onProgress: StreamOptions["onProgress"],
  outputs: Outputs | undefined,
): AsyncGenerator<OwnedBytes, void, undefined> {
  const { signal } = bound;
  signal?.throwIfAborted();
  const input = new EnvelopeInput(new InputPieces(pieces, signal));
  let hasFailed = false;
  try {
    const start = await input.take(HEADER_PREFIX_BYTES, "the header's start");
    const header = new Uint8Array(headerBytesOf(start)); // at most 64 KiB
    header.set(start);
    header.set(await input.take(header.length - start.length, "the header"), start.length);
    const { record } = parseHeader(header);
    const prefix = await input.take(BODY_PREFIX_BYTES, "salt and commitment");
    const keys = resumeBody(await access.startOpening(record, bound), prefix);
    try {
      const job = chunkJob("open", keys);
      let opened = 0;
      for await (const batch of pumpChunks(input, job, access.lanes.join(job, keys, { lanes }), { signal, outputs })) {
        opened += batch.length;
        if (onProgress !== undefined) await onProgress(opened);
        if (batch.length > 0) yield batch;
      }
    } finally {
      wipeBodyKeys(keys);
    }
  } catch (error) {
    hasFailed = true;
    throw error;
  } finally {
    // a source that fails on closing must not hide the earlier error
    if (hasFailed) await input.return().catch(() => undefined);
    else await input.return();
  }
}

/** Pieces of an envelope. A given number of bytes can be taken from their beginning. */
class EnvelopeInput implements AsyncIterableIterator<Uint8Array> {
  readonly #pieces: AsyncIterableIterator<Uint8Array>;
  #left: Uint8Array = NOTHING;

  constructor(pieces: AsyncIterableIterator<Uint8Array>) {
    this.#pieces = pieces;
  }

  /** Returns exactly the next `bytes`. @throws `malformed-envelope` if the source ends before */
  async take(bytes: number, what: string): Promise<Uint8Array> {
    const taken = new Uint8Array(bytes);
    for (let filled = 0; filled < bytes; ) {
      if (this.#left.length === 0) {
        const { done, value } = await this.#pieces.next();
        if (done === true) throw malformed(`${what} takes ${bytes} bytes, the source ended after ${filled} of them`);
        this.#left = value;
      }
      const part = this.#left.subarray(0, bytes - filled);
      taken.set(part, filled);
      filled += part.length;
      this.#left = this.#left.subarray(part.length);
    }
    return taken;
  }

  async next(): Promise<IteratorResult<Uint8Array>> {
    if (this.#left.length === 0) return await this.#pieces.next();
    const value = this.#left;
    this.#left = NOTHING;
    return { done: false, value };
  }

  async return(): Promise<IteratorResult<Uint8Array>> {
    return (await this.#pieces.return?.()) ?? { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}

const NOTHING: Uint8Array = new Uint8Array(0);
