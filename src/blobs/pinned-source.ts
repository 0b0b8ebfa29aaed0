import { equalPublicBytes, isBytes } from "../core/base/bytes.ts";
import type { Clock } from "../core/base/clock.ts";
import { EnvelockError, malformed } from "../core/base/errors.ts";
import { sleep } from "../core/base/wait.ts";
import type { SeekableSource } from "../core/stream/seekable-source.ts";
import { type BlobHead, headOf } from "./blob-head.ts";
import type { StoredBlob } from "./blob-store.ts";
import { isSourceChanged, sourceChanged, unanswered } from "./failures.ts";
import { ATTEMPTS, delayAfter, isPassing } from "./retries.ts";
import { SequentialRun } from "./sequential-run.ts";

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
  readonly #runs = new Set<SequentialRun>();
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

  /**
   * Begins one long request for bytes that are going to be read one range after the other: a read that starts where the last one of the run
   * ended takes its bytes from there.
   */
  beginRun(start: number, end: number, signal: AbortSignal): SequentialRun {
    const run = new SequentialRun(start, end, (from) => this.#pieces(from, end, signal));
    this.#runs.add(run);
    return run;
  }

  /** Ends a run, and its request. */
  endRun(run: SequentialRun): void {
    this.#runs.delete(run);
    run.close();
  }

  async read(start: number, end: number, signal?: AbortSignal): Promise<Uint8Array> {
    const run = [...this.#runs].find((each) => each.reserve(start, end));
    try {
      return await this.#read(start, end, signal, run);
    } finally {
      run?.release();
    }
  }

  async #read(start: number, end: number, signal: AbortSignal | undefined, run: SequentialRun | undefined): Promise<Uint8Array> {
    const found = new Uint8Array(end - start);
    const { header } = this.#head;
    let filled = 0;
    if (run === undefined && start < this.#headerBytes) {
      const known = header.subarray(start, Math.min(end, this.#headerBytes));
      found.set(known);
      filled = known.length;
    }
    let fruitless = 0;
    let changes = 0;
    while (filled < found.length) {
      const before = filled;
      let empty = 0;
      let failure: unknown;
      try {
        for await (const piece of run?.take(end) ?? this.#pieces(start + filled, end, signal)) {
          if (!isBytes(piece) || piece.length > found.length - filled) throw malformed("the store gave more than it was asked for");
          if (piece.length === 0 && ++empty > MOST_EMPTY)
            throw new EnvelockError("unavailable", "the store sends empty pieces", { whose: "service" });
          found.set(piece, filled);
          filled += piece.length;
        }
        if (filled === found.length) return found;
        run?.restart();
        failure = new EnvelockError("unavailable", "the store ended a range before its end", { whose: "service" });
      } catch (error) {
        run?.restart();
        signal?.throwIfAborted();
        if (isSourceChanged(error)) {
          if (++changes > MOST_CHANGES) throw error;
          await this.#follow(error, signal);
          continue;
        }
        failure = EnvelockError.is(error) ? error : unanswered("a read", error);
      }
      if (filled === found.length) return found;
      fruitless = filled > before ? 0 : fruitless + 1;
      if (!isPassing(failure) || fruitless >= ATTEMPTS) throw failure;
      if (fruitless > 0) await sleep(this.#reopening.clock, delayAfter(fruitless, failure, this.#reopening.clock), signal);
    }
    return found;
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

/** More pieces without a byte than this, in one answer, are no answer. */
const MOST_EMPTY = 1000;
/** More rewraps than this during one read are no rewraps. */
const MOST_CHANGES = 16;
