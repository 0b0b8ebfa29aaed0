import { type OwnedBytes, toBase64Url, wipe } from "../core/base/bytes.ts";
import { CALL_OPTIONS, type CallOptions, callSignal } from "../core/base/call-options.ts";
import type { Clock } from "../core/base/clock.ts";
import type { OptionNames } from "../core/base/options.ts";
import { CHUNK_BYTES } from "../core/contracts/suite.ts";
import { BODY_PREFIX_BYTES, plaintextBytesOf, SEALED_CHUNK_BYTES } from "../core/crypto/body-sizes.ts";
import { requireRange } from "../core/resilience/checks.ts";
import type { SeekableBlob } from "../core/stream/seekable.ts";
import type { BlobDescription } from "./description.ts";
import type { PinnedSource } from "./pinned-source.ts";
import { type BlobProgress, checkedListener, progressTo } from "./progress.ts";
import type { SequentialRun } from "./sequential-run.ts";

export interface BlobStreamOptions extends CallOptions {
  /** Called with each batch that is handed out. */
  readonly onProgress?: (progress: BlobProgress) => void;
}

/**
 * A blob that is open for reading: parts of it, or all of it as a stream. It gives out verified bytes alone, all of one content. The caller
 * closes it.
 */
export class EncryptedBlob {
  readonly name: string;
  readonly #blob: SeekableBlob;
  readonly #source: PinnedSource;
  readonly #clock: Clock;
  readonly #describe: () => BlobDescription | undefined;

  /** Use `encryptedStore(…).get`. */
  constructor(name: string, blob: SeekableBlob, source: PinnedSource, clock: Clock, describe: () => BlobDescription | undefined) {
    this.name = name;
    this.#blob = blob;
    this.#source = source;
    this.#clock = clock;
    this.#describe = describe;
  }

  /** The store's name for the version that is read. A rewrap changes it. */
  get etag(): string {
    return this.#source.head.blob.etag;
  }

  /** A strong entity tag, in quotes, for the content: a rewrap does not change it, and any other write does. */
  get contentTag(): string {
    return `"${toBase64Url(this.#source.head.bodyPrefix.subarray(-24))}"`;
  }

  /** The length of the envelope in the store. */
  get storedBytes(): number {
    return this.#source.head.blob.size;
  }

  /**
   * What `describe` of `put` said. Undefined if it said nothing, or if the store has lost it: a store that drops metadata is not found out.
   *
   * @throws `authentication-failed` or `malformed-envelope` if it was changed
   */
  get description(): BlobDescription | undefined {
    return this.#describe();
  }

  /** Returns the plaintext's length, once the last chunk has opened. @throws as `SeekableBlob.size` */
  async size(options: CallOptions = {}): Promise<number> {
    return await this.#blob.size(options);
  }

  /** Reads the plaintext from `start` to before `end`, cut at the verified end. @throws as `SeekableBlob.read` */
  async read(start: number, end: number, options: CallOptions = {}): Promise<OwnedBytes> {
    return await this.#blob.read(start, end, options);
  }

  /**
   * Reads like `read`, as a stream of verified batches: one request as long as nothing breaks, one batch ahead of the reader. A failure
   * errors the stream, so a clean end tells that everything came.
   *
   * @throws `invalid-argument`; the stream fails as `SeekableBlob.read`
   */
  stream(start = 0, end: number = Number.MAX_SAFE_INTEGER, options: BlobStreamOptions = {}): ReadableStream<OwnedBytes> {
    const given = callSignal(options, STREAM_OPTIONS, "stream");
    const onProgress = checkedListener(options.onProgress);
    requireRange(start, end);
    const stop = new AbortController();
    const signal = given === undefined ? stop.signal : AbortSignal.any([given, stop.signal]);
    const { size, head } = this.#source;
    const claimed = plaintextBytesOf(size - head.header.length) ?? 0;
    const to = Math.min(end, claimed);
    const total = Math.max(0, to - start);
    const progress = progressTo(onProgress, end === Number.MAX_SAFE_INTEGER ? total : Math.min(total, end - start), this.#clock);
    let run: SequentialRun | undefined;
    let ahead: Promise<OwnedBytes> | undefined;
    let next = start;
    let windowBytes = FIRST_WINDOW_BYTES;
    const readNext = (): Promise<OwnedBytes> | undefined => {
      if (next >= to) return undefined;
      const stopAt = Math.min(to, (Math.floor(next / CHUNK_BYTES) + windowBytes / CHUNK_BYTES) * CHUNK_BYTES);
      const window = this.#blob.read(next, stopAt, { signal });
      window.catch(() => undefined); // a failure waits for its turn
      next = stopAt;
      windowBytes = MOST_WINDOW_BYTES;
      return window;
    };
    const finish = (): void => {
      if (run !== undefined) this.#source.endRun(run);
    };
    return new ReadableStream<OwnedBytes>(
      {
        pull: async (controller) => {
          try {
            if (next < to) run ??= this.#source.beginRun(...this.#storedRange(start, to, end >= claimed), signal);
            const batch = await (ahead ?? readNext());
            ahead = readNext();
            if (batch !== undefined) {
              progress(batch.length);
              controller.enqueue(batch);
            }
            if (ahead !== undefined) return;
            if (end >= claimed) await this.#blob.size({ signal });
            finish();
            controller.close();
          } catch (error) {
            stop.abort(error);
            finish();
            throw error;
          }
        },
        cancel: (reason) => {
          stop.abort(reason);
          finish();
          ahead?.then(wipe, () => undefined);
        },
      },
      { highWaterMark: 0 },
    );
  }

  /** The bytes of the envelope that hold a range of the plaintext, up to the end if the length is to be verified too. */
  #storedRange(start: number, end: number, isWhole: boolean): [start: number, end: number] {
    const { size, head } = this.#source;
    const bodyOffset = head.header.length + BODY_PREFIX_BYTES;
    const from = bodyOffset + Math.floor(start / CHUNK_BYTES) * SEALED_CHUNK_BYTES;
    return [from, isWhole ? size : Math.min(size, bodyOffset + Math.ceil(end / CHUNK_BYTES) * SEALED_CHUNK_BYTES)];
  }

  /** Wipes the keys. A second call does nothing; later calls throw `closed`. */
  close(): void {
    this.#blob.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

const STREAM_OPTIONS: OptionNames<BlobStreamOptions> = { ...CALL_OPTIONS, onProgress: true };
const FIRST_WINDOW_BYTES = 262_144;
const MOST_WINDOW_BYTES = 1_048_576;
