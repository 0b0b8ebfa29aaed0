import { equalPublicBytes, isBytes } from "../core/base/bytes.ts";
import type { Clock } from "../core/base/clock.ts";
import { EnvelockError, malformed } from "../core/base/errors.ts";
import { sleep } from "../core/base/wait.ts";
import { SEALED_CHUNK_BYTES } from "../core/crypto/body-sizes.ts";
import type { SeekableSource } from "../core/stream/seekable-source.ts";
import { type BlobHead, headOf } from "./blob-head.ts";
import type { StoredBlob } from "./blob-store.ts";
import { isSourceChanged, sourceChanged, unanswered } from "./failures.ts";
import { ATTEMPTS, delayAfter, isPassing } from "./retries.ts";

/** What a pinned source needs to find the blob again. */
export interface Reopening {
  readonly clock: Clock;
  /** Opens the present version. Undefined if there is none. */
  open(signal: AbortSignal | undefined): Promise<StoredBlob | undefined>;
}

/**
 * An envelope in a store: the header that is in force, then the blob from its own header on. Reads are pinned to the ETag. After a break
 * they ask for the rest. When the blob was rewrapped meanwhile (the same data key, salt and commitment, and as many bytes) they continue
 * in the new version.
 */
export class PinnedSource implements SeekableSource {
  readonly size: number;
  readonly #name: string;
  readonly #reopening: Reopening;
  readonly #headerBytes: number;
  #head: BlobHead;

  constructor(name: string, head: BlobHead, reopening: Reopening) {
    this.#name = name;
    this.#head = head;
    this.#reopening = reopening;
    this.#headerBytes = head.header.length;
    this.size = head.header.length + head.blob.size - head.ownHeaderBytes;
  }

  /** The version that is read now. */
  get head(): BlobHead {
    return this.#head;
  }

  async read(start: number, end: number, signal?: AbortSignal): Promise<Uint8Array> {
    const found = new Uint8Array(end - start);
    let filled = 0;
    for await (const piece of this.#mended(start, end, signal)) {
      found.set(piece, filled);
      filled += piece.length;
    }
    return found;
  }

  /**
   * Reads a range as it comes, with one request as long as nothing breaks. Gives whole runs of chunks if the range begins with a chunk. All
   * of them lie in the same memory, so that it stays in the processor's cache: a piece is used up before the next one is asked for.
   */
  async *pieces(start: number, end: number, signal?: AbortSignal): AsyncGenerator<Uint8Array, void, undefined> {
    const memory = new Uint8Array(Math.min(end - start, RUN_BYTES));
    let filled = 0;
    for await (const piece of this.#mended(start, end, signal)) {
      for (let at = 0; at < piece.length; ) {
        const part = piece.subarray(at, at + memory.length - filled);
        memory.set(part, filled);
        filled += part.length;
        at += part.length;
        if (filled < memory.length) continue;
        yield memory;
        filled = 0;
      }
    }
    if (filled > 0) yield memory.subarray(0, filled);
  }

  /** Gives exactly the bytes of a range: the header that is in force, and the rest from the store, asked for again after each break. */
  async *#mended(start: number, end: number, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array, void, undefined> {
    let at = start;
    if (at < this.#headerBytes) {
      const known = this.#head.header.subarray(at, Math.min(end, this.#headerBytes));
      at += known.length;
      yield known;
    }
    let fruitless = 0;
    let changes = 0;
    while (at < end) {
      const before = at;
      let empty = 0;
      let failure: EnvelockError = new EnvelockError("unavailable", "the store ended a range before its end", { whose: "service" });
      try {
        for await (const piece of this.#pieces(at, end, signal)) {
          if (!isBytes(piece) || piece.length > end - at) throw malformed("the store gave more than it was asked for");
          if (piece.length === 0 && ++empty > MOST_EMPTY)
            throw new EnvelockError("unavailable", "the store sends empty pieces", { whose: "service" });
          at += piece.length;
          yield piece;
        }
        if (at === end) return;
      } catch (error) {
        signal?.throwIfAborted();
        if (isSourceChanged(error)) {
          if (++changes > MOST_CHANGES) throw error;
          await this.#follow(error, signal);
          continue;
        }
        failure = EnvelockError.is(error) ? error : unanswered("a read", error);
      }
      if (at === end) return;
      fruitless = at > before ? 0 : fruitless + 1;
      if (!isPassing(failure) || fruitless >= ATTEMPTS) throw failure;
      if (fruitless > 0) await sleep(this.#reopening.clock, delayAfter(fruitless, failure, this.#reopening.clock), signal);
    }
  }

  /** Gives what came with the opening, then reads the rest from the store. */
  async *#pieces(start: number, end: number, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array, void, undefined> {
    const { blob, ownHeaderBytes } = this.#head;
    const shift = ownHeaderBytes - this.#headerBytes;
    const [from, to] = [start + shift, end + shift];
    const held = blob.first.subarray(from, to);
    if (held.length > 0) yield held;
    if (from + held.length < to) yield* blob.read(from + held.length, to, { ifMatch: blob.etag, ...(signal && { signal }) });
  }

  /** Goes on in the version that is there now, if only its header is another. */
  async #follow(error: unknown, signal: AbortSignal | undefined): Promise<void> {
    const blob = await this.#reopening.open(signal);
    if (blob === undefined) throw error;
    const head = await headOf(this.#name, blob, signal);
    const isSame =
      equalPublicBytes(head.keyCommit, this.#head.keyCommit) &&
      equalPublicBytes(head.bodyPrefix, this.#head.bodyPrefix) &&
      blob.size - head.ownHeaderBytes === this.#head.blob.size - this.#head.ownHeaderBytes;
    if (!isSame) throw sourceChanged(this.#name);
    this.#head = head;
  }
}

/** The length of the pieces of a long range: whole chunks, and little enough for the cache. */
const RUN_BYTES = 16 * SEALED_CHUNK_BYTES;
/** More pieces without a byte than this, in one answer, are no answer. */
const MOST_EMPTY = 1000;
/** More rewraps than this during one read are no rewraps. */
const MOST_CHANGES = 16;
