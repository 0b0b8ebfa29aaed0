import { type OwnedBytes, toBase64Url } from "../core/base/bytes.ts";
import { CALL_OPTIONS, type CallOptions, callSignal } from "../core/base/call-options.ts";
import type { Clock } from "../core/base/clock.ts";
import type { OptionNames } from "../core/base/options.ts";
import { plaintextBytesOf } from "../core/crypto/body-sizes.ts";
import { requireRange } from "../core/resilience/checks.ts";
import type { SeekableBlob, SeekableStreamOptions } from "../core/stream/seekable.ts";
import type { BlobDescription } from "./description.ts";
import type { PinnedSource } from "./pinned-source.ts";
import { type BlobProgress, checkedListener, progressTo } from "./progress.ts";

export interface BlobStreamOptions extends CallOptions {
  /** The number of threads that open chunks, the caller's own among them. Defaults to 1: as for `Keyring.decryptStream`. */
  readonly lanes?: SeekableStreamOptions["lanes"];
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
   * Reads like `read`, as a stream of verified batches: one request as long as nothing breaks. A failure errors the stream, so a clean end
   * tells that everything came. A reader that brings its own memory (`getReader({ mode: "byob" })`) gets whole chunks written into it.
   *
   * @throws `invalid-argument`; the stream fails as `SeekableBlob.read`
   */
  stream(start = 0, end: number = Number.MAX_SAFE_INTEGER, options: BlobStreamOptions = {}): ReadableStream<OwnedBytes> {
    const given = callSignal(options, BLOB_STREAM_OPTIONS, "stream");
    const onProgress = checkedListener(options.onProgress);
    requireRange(start, end);
    const { size, head } = this.#source;
    const total = Math.max(0, Math.min(end, plaintextBytesOf(size - head.header.length) ?? 0) - start);
    const progress = progressTo(onProgress, total, this.#clock);
    let before = 0;
    return this.#blob.stream(start, end, {
      ...(given && { signal: given }),
      ...(options.lanes !== undefined && { lanes: options.lanes }),
      onProgress(bytes) {
        progress(bytes - before);
        before = bytes;
      },
    });
  }

  /** Wipes the keys. A second call does nothing; later calls throw `closed`. */
  close(): void {
    this.#blob.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

export const BLOB_STREAM_OPTIONS: OptionNames<BlobStreamOptions> = { ...CALL_OPTIONS, lanes: true, onProgress: true };
