import { engine } from "#engine";
import { concatBytes, type OwnedBytes, wipe } from "../base/bytes.ts";
import { CALL_OPTIONS, type CallOptions, callSignal, VALUE_OPTIONS, type ValueOptions } from "../base/call-options.ts";
import { EnvelockError, malformed } from "../base/errors.ts";
import { requireFilled } from "../base/filled.ts";
import type { OptionNames } from "../base/options.ts";
import { CHUNK_BYTES } from "../contracts/suite.ts";
import { BODY_PREFIX_BYTES, plaintextBytesOf, SEALED_CHUNK_BYTES, wipeBodyKeys } from "../crypto/cobblestone.ts";
import { HEADER_PREFIX_BYTES, headerBytesOf, parseHeader } from "../format/envelope.ts";
import { requireRange } from "../resilience/checks.ts";
import { type KeyUse, openingOptions, resumeBody, type StreamAccess } from "./beginning.ts";
import { type ChunkJob, chunkJob } from "./chunk-job.ts";
import { InputPieces } from "./input-pieces.ts";
import { checkedLanes, type LaneCount, type LaneOptions, type StreamLanes } from "./lanes/lanes.ts";
import { LentOutputs } from "./lent-outputs.ts";
import type { StreamOptions } from "./options.ts";
import type { Outputs } from "./outputs.ts";
import { pumpChunks } from "./pump.ts";
import { CheckedSource, type SeekableSource } from "./seekable-source.ts";
import { pullBatch } from "./web-stream.ts";

export interface SeekableStreamOptions extends CallOptions {
  /**
   * The number of threads that open chunks, the caller's own among them: as for `decryptStream`. Defaults to 1. It counts for a source that
   * has `pieces`.
   */
  readonly lanes?: LaneCount;
  /**
   * Called with each batch with the plaintext bytes that were given out so far. A promise that it returns is waited for; a failure errors
   * the stream.
   */
  readonly onProgress?: StreamOptions["onProgress"];
}

/**
 * An envelope of which any part can be read. Fetches the header once and then only the chunks that a read needs. It returns verified bytes
 * alone.
 */
export class SeekableBlob {
  readonly #source: CheckedSource;
  readonly #job: ChunkJob;
  readonly #join: SeekableCipher["join"];
  readonly #wipe: () => void;
  readonly #bodyOffset: number;
  readonly #claimedBytes: number;
  #isSizeVerified = false;
  #isClosed = false;

  /** Use `keyring.openSeekable`. */
  constructor(source: CheckedSource, cipher: SeekableCipher, bodyOffset: number, claimedBytes: number) {
    this.#source = source;
    this.#job = cipher.job;
    this.#join = cipher.join;
    this.#wipe = cipher.wipe;
    this.#bodyOffset = bodyOffset;
    this.#claimedBytes = claimedBytes;
  }

  /**
   * Returns the plaintext's length, once the last chunk has opened. Before that, an attacker that cuts the blob short could claim another.
   *
   * @throws as `read`
   */
  async size(options: CallOptions = {}): Promise<number> {
    callSignal(options, CALL_OPTIONS, "size");
    this.#requireOpen();
    if (!this.#isSizeVerified) await this.#chunks(this.#lastChunk, this.#lastChunk, options);
    return this.#claimedBytes;
  }

  /**
   * Reads the plaintext from `start` to before `end`, cut at the blob's verified end.
   *
   * @returns the bytes, in their own ArrayBuffer
   * @throws `invalid-argument` for a range that is none; `authentication-failed` if anything that was read has been changed or the
   *   source lies about the size; `malformed-envelope` if the source gives less than it was asked for, or, with `detail`
   *   `source-changed`, if its ETag is another; `unavailable` with the source's own error as cause; `closed`
   */
  async read(start: number, end: number, options: CallOptions = {}): Promise<OwnedBytes> {
    callSignal(options, CALL_OPTIONS, "read");
    const range = await this.#range(start, end, options);
    if (range.start === range.end) return new Uint8Array(0);
    const first = chunkOf(range.start);
    const opened = await this.#chunks(first, chunkOf(range.end - 1), options);
    const from = range.start - first * CHUNK_BYTES;
    if (opened.length === range.end - range.start) return opened;
    const plaintext = opened.slice(from, from + range.end - range.start);
    wipe(opened);
    return plaintext;
  }

  /**
   * Reads like `read`, as a stream of verified batches in bounded memory. Any failure after the first batch errors the stream, so a clean
   * end tells that everything came. The last batch comes once the blob's end is verified, if the range reaches it.
   *
   * The result is a byte stream. A source that has `pieces` fills the memory of a reader that brings its own
   * (`getReader({ mode: "byob" })`) with whole chunks of 16 KiB, without any other memory for plaintext.
   */
  stream(start = 0, end: number = Number.MAX_SAFE_INTEGER, options: SeekableStreamOptions = {}): ReadableStream<OwnedBytes> {
    const given = callSignal(options, SEEKABLE_STREAM_OPTIONS, "stream");
    const { onProgress } = options;
    const lanes = checkedLanes(options.lanes);
    const stop = new AbortController();
    const signal = given === undefined ? stop.signal : AbortSignal.any([given, stop.signal]);
    const outputs = new LentOutputs();
    let batches: AsyncGenerator<OwnedBytes, void, undefined> | undefined;
    let givenBytes = 0;
    const next = async (): Promise<OwnedBytes | undefined> => {
      batches ??= this.#source.hasPieces ? this.#flow(start, end, signal, { lanes, outputs }) : this.#windows(start, end, signal);
      const { value } = await batches.next();
      if (value === undefined) return undefined;
      givenBytes += value.length;
      if (onProgress !== undefined) await onProgress(givenBytes);
      return value;
    };
    return new ReadableStream(
      {
        type: "bytes",
        pull: (controller) => pullBatch(controller, outputs, next),
        cancel: (reason) => {
          stop.abort(reason);
          batches?.return().catch(() => undefined);
        },
      },
      { highWaterMark: 0 },
    );
  }

  /** Wipes the keys. A second call does nothing; any other later call throws `closed`. */
  close(): void {
    this.#isClosed = true;
    this.#wipe();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  get #lastChunk(): number {
    return chunkOf(this.#claimedBytes);
  }

  #requireOpen(): void {
    if (this.#isClosed) throw new EnvelockError("closed", "this blob has been closed");
  }

  /** Computes the range within the blob. A range that reaches the end is cut there, after the end was verified. */
  async #range(start: number, end: number, options: CallOptions): Promise<Range> {
    requireRange(start, end);
    this.#requireOpen();
    const lastChunkStart = this.#lastChunk * CHUNK_BYTES;
    if (end <= lastChunkStart || start === end) return { start, end };
    const isLastChunkRead = start < this.#claimedBytes && lastChunkStart < this.#claimedBytes; // then reading verifies it
    const size = isLastChunkRead ? this.#claimedBytes : await this.size(options);
    return { start: Math.min(start, size), end: Math.min(end, size) };
  }

  /** Opens a range with one read of the source after the other. */
  async *#windows(start: number, end: number, signal: AbortSignal): AsyncGenerator<OwnedBytes, void, undefined> {
    const range = await this.#range(start, end, { signal });
    for (let next = range.start; next < range.end; ) {
      const stopAt = Math.min(range.end, (chunkOf(next) + WINDOW_CHUNKS) * CHUNK_BYTES);
      yield await this.read(next, stopAt, { signal });
      next = stopAt;
    }
  }

  /** Opens a range from pieces as they come, without gathering them first. A range that reaches the end takes in the last chunk. */
  async *#flow(start: number, end: number, signal: AbortSignal, { lanes, outputs }: Flow): AsyncGenerator<OwnedBytes, void, undefined> {
    requireRange(start, end);
    this.#requireOpen();
    if (start === end) return;
    const isEnd = end > this.#lastChunk * CHUNK_BYTES || end >= this.#claimedBytes;
    const first = Math.min(chunkOf(start), this.#lastChunk);
    const last = isEnd ? this.#lastChunk : chunkOf(end - 1);
    const storedStart = this.#bodyOffset + first * SEALED_CHUNK_BYTES;
    const storedEnd = isEnd ? this.#source.size : this.#bodyOffset + (last + 1) * SEALED_CHUNK_BYTES;
    const pieces = new InputPieces(this.#source.pieces(storedStart, storedEnd, signal), signal);
    const part = { firstChunk: first, isEnd, firstBatchChunks: FIRST_BATCH_CHUNKS };
    const to = Math.min(end, this.#claimedBytes);
    const threads = this.#join({ lanes, plaintextBytes: to - start });
    let at = first * CHUNK_BYTES;
    let held: OwnedBytes | undefined; // what comes right before the end, until the end is verified
    try {
      for await (const batch of pumpChunks(pieces, this.#job, threads, { signal, part, outputs })) {
        this.#requireOpen();
        const wanted = cut(batch, start - at, to - at);
        at += batch.length;
        if (isEnd && at >= to) held ??= wanted;
        else yield wanted;
      }
    } catch (error) {
      if (held !== undefined) wipe(held);
      this.#requireOpen(); // `close` may have wiped the keys meanwhile, which would look like a change of the data
      throw error;
    }
    if (isEnd) this.#isSizeVerified = true;
    if (held !== undefined && held.length > 0) yield held;
  }

  /** Fetches and opens neighbouring chunks with one read. */
  async #chunks(first: number, last: number, { signal }: CallOptions): Promise<OwnedBytes> {
    this.#requireOpen();
    const start = this.#bodyOffset + first * SEALED_CHUNK_BYTES;
    const end = Math.min(this.#bodyOffset + (last + 1) * SEALED_CHUNK_BYTES, this.#source.size);
    const sealed = await this.#source.read(start, end, signal);
    const plaintext = engine.allocate(this.#job.outputBytes(sealed.length, false)); // no larger than the bytes that came
    try {
      requireFilled(plaintext, await this.#job.process(first, sealed, false, plaintext, 0));
      this.#requireOpen(); // `close` may have wiped the keys meanwhile, which would look like a change of the data
    } catch (error) {
      wipe(plaintext);
      this.#requireOpen(); // as above
      throw error;
    }
    if (last === this.#lastChunk) this.#isSizeVerified = true;
    return plaintext;
  }
}

/**
 * @param useKey called once with the data key, before it is known whether the body belongs to it
 * @throws as `Keyring.decrypt`, and as `SeekableBlob.read`
 */
export async function openSeekable(
  access: StreamAccess,
  source: SeekableSource,
  options: ValueOptions,
  useKey?: KeyUse,
): Promise<SeekableBlob> {
  callSignal(options, VALUE_OPTIONS, "openSeekable");
  const bound = openingOptions(access, options);
  const { signal } = bound;
  const checked = new CheckedSource(source);
  const prefix = await checked.read(0, Math.min(HEADER_PREFIX_BYTES, checked.size), signal);
  const headerBytes = headerBytesOf(prefix);
  const bodyOffset = headerBytes + BODY_PREFIX_BYTES;
  const isCut = checked.size <= headerBytes; // `parseHeader` then says what is missing
  const start = isCut ? prefix : concatBytes(prefix, await checked.read(prefix.length, Math.min(bodyOffset, checked.size), signal));
  const { record } = parseHeader(start.subarray(0, headerBytes)); // before the length of the body: docs/format.md §4.1
  const claimedBytes = plaintextBytesOf(checked.size - headerBytes);
  if (claimedBytes === undefined) throw malformed(`no envelope with this header has ${checked.size} bytes`);
  const keys = resumeBody(await access.startOpening(record, bound), start.subarray(headerBytes), useKey);
  const job = chunkJob("open", keys);
  const cipher = { job, join: (options: LaneOptions) => access.lanes.join(job, keys, options), wipe: () => wipeBodyKeys(keys) };
  return new SeekableBlob(checked, cipher, bodyOffset, claimedBytes);
}

/** What opens the chunks of one blob. */
interface SeekableCipher {
  readonly job: ChunkJob;
  /** Begins a stream of chunks. */
  join(options: LaneOptions): StreamLanes;
  /** Wipes the keys. */
  wipe(): void;
}

/** How the chunks of a stream are opened. */
interface Flow {
  readonly lanes: LaneCount;
  readonly outputs: Outputs;
}

interface Range {
  readonly start: number;
  readonly end: number;
}

/** Cuts a batch to the bytes from `start` to before `end`, in their own ArrayBuffer. Wipes a batch that it has copied from. */
function cut(batch: OwnedBytes, start: number, end: number): OwnedBytes {
  if (start <= 0 && end >= batch.length) return batch;
  const part = batch.slice(Math.max(0, start), Math.max(0, end));
  wipe(batch);
  return part;
}

function chunkOf(offset: number): number {
  return Math.floor(offset / CHUNK_BYTES);
}

const SEEKABLE_STREAM_OPTIONS: OptionNames<SeekableStreamOptions> = { ...CALL_OPTIONS, lanes: true, onProgress: true };
const FIRST_BATCH_CHUNKS = 16;
const WINDOW_CHUNKS = 64; // 1 MiB in one read of the source
