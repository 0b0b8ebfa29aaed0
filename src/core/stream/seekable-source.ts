import { isBytes, viewOf } from "../base/bytes.ts";
import { EnvelockError, invalidArgument, malformed, unreadable } from "../base/errors.ts";

/** A place that holds an envelope and gives parts of it, such as a file or an object in a store. */
export interface SeekableSource {
  /** The envelope's length in bytes. Not trusted before the last chunk has opened. */
  readonly size: number;
  /** The name of this version of the envelope, such as a strong ETag. Defaults to that of the first read. */
  readonly etag?: string;
  /**
   * Reads the bytes from `start` to before `end`, with the ETag of their version if there is one. The source must not change them
   * afterwards.
   */
  read(start: number, end: number, signal?: AbortSignal): Promise<Uint8Array | SourcePart>;
  /**
   * Reads the same bytes as they come, all of one version: one request for a long range. Streams of the blob then use it in the place of one
   * `read` after the other. A piece must not change before the next one is asked for.
   */
  pieces?(start: number, end: number, signal?: AbortSignal): AsyncIterable<Uint8Array>;
}

export interface SourcePart {
  readonly bytes: Uint8Array;
  readonly etag?: string;
}

/** Wraps a source that is not trusted: checks that each read returns exactly the requested bytes and that all come from one version. */
export class CheckedSource {
  readonly size: number;
  readonly #source: SeekableSource;
  #etag: string | undefined;

  /** @throws `invalid-argument` */
  constructor(source: SeekableSource) {
    const { size, etag } = partsOf(source);
    if (!Number.isSafeInteger(size) || size < 0) throw invalidArgument(`size is ${size}, expected an integer from 0`);
    this.size = size;
    this.#source = source;
    this.#etag = etag;
  }

  /** @throws as `SeekableBlob.read` */
  async read(start: number, end: number, signal: AbortSignal | undefined): Promise<Uint8Array> {
    signal?.throwIfAborted();
    const { bytes, etag } = partOf(await this.#fetch(start, end, signal));
    if (etag !== undefined) this.#requireSame(etag);
    const steady = viewOf(bytes);
    if (steady.length !== end - start) throw malformed(`the source gave ${steady.length} bytes for a range of ${end - start}`);
    return steady;
  }

  /** Whether long ranges come piece by piece. */
  get hasPieces(): boolean {
    return typeof this.#source.pieces === "function";
  }

  /** Gives the bytes of a range as they come. @throws as `SeekableBlob.read` */
  async *pieces(start: number, end: number, signal: AbortSignal): AsyncGenerator<Uint8Array, void, undefined> {
    signal.throwIfAborted();
    const pieces = this.#source.pieces?.(start, end, signal) ?? [];
    let bytes = 0;
    try {
      for await (const piece of pieces) {
        if (!isBytes(piece)) throw invalidArgument("a source's pieces must be Uint8Arrays");
        const steady = viewOf(piece);
        bytes += steady.length;
        if (bytes > end - start) break;
        yield steady;
      }
    } catch (error) {
      throw failureOf(error, signal);
    }
    if (bytes !== end - start) throw malformed(`the source gave ${bytes} bytes for a range of ${end - start}`);
  }

  async #fetch(start: number, end: number, signal: AbortSignal | undefined): Promise<Uint8Array | SourcePart> {
    try {
      return await this.#source.read(start, end, signal);
    } catch (error) {
      throw failureOf(error, signal);
    }
  }

  #requireSame(etag: string): void {
    this.#etag ??= etag;
    if (this.#etag === etag) return;
    throw new EnvelockError("malformed-envelope", "the source has changed since it was opened", {
      detail: "source-changed",
      hint: "open it again",
    });
  }
}

/** @throws the signal's reason */
function failureOf(error: unknown, signal: AbortSignal | undefined): EnvelockError {
  signal?.throwIfAborted();
  if (error instanceof EnvelockError) return error;
  return new EnvelockError("unavailable", "the source could not be read", { cause: error });
}

function partOf(part: Uint8Array | SourcePart): SourcePart {
  if (isBytes(part)) return { bytes: part };
  if (isBytes(part?.bytes)) return part;
  throw invalidArgument("a source's read must give a Uint8Array, or one with its ETag");
}

/** Reads a source once. @throws `invalid-argument` for what is none */
function partsOf(source: SeekableSource): Pick<SeekableSource, "size" | "etag"> {
  const given: unknown = source;
  try {
    if (typeof given === "object" && given !== null && typeof source.read === "function") {
      const { size, etag } = source;
      return etag === undefined ? { size } : { size, etag };
    }
  } catch (error) {
    throw unreadable("the source of openSeekable", error);
  }
  throw invalidArgument(
    "openSeekable takes an object with size and read",
    "Give { size, read: async (start, end) => bytes }, where size is the length of the envelope.",
  );
}
