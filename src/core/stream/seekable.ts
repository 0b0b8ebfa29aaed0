import { engine } from "#engine";
import { concatBytes, type OwnedBytes, wipe } from "../base/bytes.ts";
import { CALL_OPTIONS, type CallOptions, callSignal, VALUE_OPTIONS, type ValueOptions } from "../base/call-options.ts";
import { EnvelockError, malformed } from "../base/errors.ts";
import { requireFilled } from "../base/filled.ts";
import { CHUNK_BYTES } from "../contracts/suite.ts";
import { BODY_PREFIX_BYTES, plaintextBytesOf, SEALED_CHUNK_BYTES, wipeBodyKeys } from "../crypto/cobblestone.ts";
import { HEADER_PREFIX_BYTES, headerBytesOf, parseHeader } from "../format/envelope.ts";
import { requireRange } from "../resilience/checks.ts";
import { type KeyUse, openingOptions, resumeBody, type StreamAccess } from "./beginning.ts";
import { type ChunkJob, chunkJob } from "./chunk-job.ts";
import { CheckedSource, type SeekableSource } from "./seekable-source.ts";

/**
 * An envelope of which any part can be read. Fetches the header once and then only the chunks that a read needs. It returns verified bytes
 * alone.
 */
export class SeekableBlob {
  readonly #source: CheckedSource;
  readonly #job: ChunkJob;
  readonly #wipe: () => void;
  readonly #bodyOffset: number;
  readonly #claimedBytes: number;
  #isSizeVerified = false;
  #isClosed = false;

  /** Use `keyring.openSeekable`. */
  constructor(source: CheckedSource, job: ChunkJob, wipeKeys: () => void, bodyOffset: number, claimedBytes: number) {
    this.#source = source;
    this.#job = job;
    this.#wipe = wipeKeys;
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
   * end tells that everything came.
   */
  stream(start = 0, end: number = Number.MAX_SAFE_INTEGER, options: CallOptions = {}): ReadableStream<OwnedBytes> {
    const given = callSignal(options, CALL_OPTIONS, "stream");
    const stop = new AbortController();
    const signal = given === undefined ? stop.signal : AbortSignal.any([given, stop.signal]);
    let next = start;
    let range: Range | undefined;
    return new ReadableStream<OwnedBytes>(
      {
        pull: async (controller) => {
          range ??= await this.#range(start, end, { signal });
          if (next >= range.end) return controller.close();
          const stopAt = Math.min(range.end, (chunkOf(next) + WINDOW_CHUNKS) * CHUNK_BYTES);
          const batch = await this.read(next, stopAt, { signal });
          next = stopAt;
          controller.enqueue(batch);
          if (next >= range.end) controller.close();
        },
        cancel: (reason) => stop.abort(reason),
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
  return new SeekableBlob(checked, chunkJob("open", keys), () => wipeBodyKeys(keys), bodyOffset, claimedBytes);
}

interface Range {
  readonly start: number;
  readonly end: number;
}

function chunkOf(offset: number): number {
  return Math.floor(offset / CHUNK_BYTES);
}

const WINDOW_CHUNKS = 64; // 1 MiB in one read of the source
