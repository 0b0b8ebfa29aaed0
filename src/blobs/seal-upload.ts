import { isBytes, viewOf } from "../core/base/bytes.ts";
import { EnvelockError, invalidArgument } from "../core/base/errors.ts";
import { type OptionNames, readArgument, refuseUnknown } from "../core/base/options.ts";
import { typeInWords } from "../core/format/looks-like.ts";
import { checkedBytes } from "../core/resilience/checks.ts";
import { holdErrors } from "../core/stream/input-pieces.ts";
import { streamPieces } from "../core/stream/stream-pieces.ts";

/** What an upload comes from: bytes, a Blob or File, a web stream, a Node stream, or any iterable of bytes. */
export type BlobSource = Uint8Array | Blob | ReadableStream<Uint8Array> | AsyncIterable<Uint8Array> | Iterable<Uint8Array>;

export interface SealUploadOptions {
  /** The exact length, where it is known. A source of another length fails. */
  readonly expectedBytes?: number;
  /** The greatest length. A source that gives more fails at once, with `detail` `too-large`. */
  readonly maxBytes?: number;
}

/**
 * Turns a source of any kind into pieces that end only if the source was whole. A parser of forms ends a file that is over its limit as
 * if it were complete: its `truncated` makes the pieces fail here, and so does a source that was destroyed or broke off.
 *
 * `EncryptedStore.put` does this itself. Use it before `keyring.encryptPieces` and the like, and commit only after the last piece.
 *
 * @returns pieces, for one iteration
 * @throws `invalid-argument` for unknown or bad options, for what is no source, and with `detail` `source-used` for a stream that was read
 *   before; the iteration throws it with `detail` `source-truncated`, `too-large` or `other-length`, and else what the source throws
 * @example
 * ```ts
 * import type { Keyring } from "envelock";
 * import { sealUpload } from "envelock/blobs";
 *
 * // `file` as busboy and @fastify/multipart give it
 * export function sealed(keyring: Keyring, file: AsyncIterable<Uint8Array>, name: string): AsyncIterable<Uint8Array> {
 *   return keyring.encryptPieces(sealUpload(file, { maxBytes: 50_000_000 }), { context: { object: name } });
 * }
 * ```
 */
export function sealUpload(source: BlobSource, options: SealUploadOptions = {}): AsyncIterable<Uint8Array> {
  refuseUnknown(options, OPTIONS, "sealUpload");
  const { expectedBytes, maxBytes } = options;
  const expected = checkedBytes(expectedBytes, "expectedBytes");
  const most = checkedBytes(maxBytes, "maxBytes");
  if (expected !== undefined && most !== undefined && expected > most) throw tooLarge(most);
  const pieces = readArgument("the source", () => {
    const given = piecesOf(source);
    requireUnused(source);
    holdErrors(source);
    return given;
  });
  return whole(source, pieces, expected, most);
}

/** The length of a source that says it beforehand. */
export function knownBytesOf(source: BlobSource): number | undefined {
  return readArgument("the source", () => {
    if (isBytes(source)) return source.length;
    return typeof Blob === "function" && source instanceof Blob ? source.size : undefined;
  });
}

async function* whole(
  source: BlobSource,
  pieces: AsyncIterable<Uint8Array>,
  expected: number | undefined,
  most: number | undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  requireUnused(source);
  if (givesOnce(source)) USED.add(source);
  let taken = 0;
  for await (const piece of untorn(pieces)) {
    if (!isBytes(piece)) throw invalidArgument(`a source gives Uint8Arrays, not ${typeInWords(piece)}`);
    const steady = viewOf(piece);
    taken += steady.length;
    if (most !== undefined && taken > most) throw tooLarge(most);
    if (expected !== undefined && taken > expected) throw otherLength(expected, `at least ${taken}`);
    if (steady.length > 0) yield steady;
  }
  requireWhole(source);
  if (expected !== undefined && taken < expected) throw otherLength(expected, `${taken}`);
}

/** Reads the marks that parsers and Node's streams set on a source that ended before its time. */
function requireWhole(source: object): void {
  const marks = ["truncated", "readableAborted", "aborted"].filter((mark) => Reflect.get(source, mark) === true);
  const isTornOff = Reflect.get(source, "readableEnded") === false && Reflect.get(source, "destroyed") === true;
  if (marks.length > 0 || isTornOff) throw truncated(marks[0] ?? "destroyed");
}

/** Refuses a stream whose bytes were given to another reader: it would end at once, as if it were empty. */
function requireUnused(source: object): void {
  const isLocked = Reflect.get(source, "locked") === true && "getReader" in source;
  if (!isLocked && !USED.has(source) && Reflect.get(source, "readableEnded") !== true) return;
  throw new EnvelockError("invalid-argument", "the source was read before, and gives its bytes once", {
    detail: "source-used",
    hint: isLocked
      ? "release the reader that locks the stream"
      : "take the upload before a body parser reads it, and a new stream for a retry",
  });
}

/** Whether a second iteration would find nothing: true for streams and for iterators, such as those of generators. */
function givesOnce(source: BlobSource): boolean {
  if (isBytes(source) || (typeof Blob === "function" && source instanceof Blob)) return false;
  return "getReader" in source || "next" in source || "readableEnded" in source;
}

/** Gives the same pieces, and a typed error for a stream that was destroyed before its end. */
async function* untorn(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    yield* pieces;
  } catch (error) {
    const code: unknown = typeof error === "object" && error !== null ? Reflect.get(error, "code") : undefined;
    throw code === "ERR_STREAM_PREMATURE_CLOSE" ? truncated("destroyed", error) : error;
  }
}

function truncated(why: string, cause?: unknown): EnvelockError {
  return new EnvelockError("invalid-argument", `the source ended before it was whole (${why})`, {
    detail: "source-truncated",
    hint: "nothing was committed; raise the parser's limit and state maxBytes here, or have the file sent again",
    ...(cause !== undefined && { cause }),
  });
}

function piecesOf(source: BlobSource): AsyncIterable<Uint8Array> {
  if (isBytes(source)) return onePiece(viewOf(source));
  const given: unknown = source;
  if (typeof Blob === "function" && source instanceof Blob) return streamPieces(source.stream());
  if (typeof given === "object" && given !== null) {
    if ("getReader" in source && typeof source.getReader === "function") return streamPieces(source);
    if (Symbol.asyncIterator in source && typeof source[Symbol.asyncIterator] === "function") return source;
    if (Symbol.iterator in source && typeof source[Symbol.iterator] === "function") return eachPiece(source);
  }
  throw invalidArgument(
    `a source is bytes, a Blob, a stream or an iterable of bytes, not ${typeInWords(given)}`,
    typeof given === "string" ? "new TextEncoder().encode(text) makes bytes of it." : undefined,
  );
}

async function* onePiece(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) yield bytes.subarray(at, at + PIECE_BYTES);
}

async function* eachPiece(pieces: Iterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  yield* pieces;
}

function tooLarge(most: number): EnvelockError {
  return new EnvelockError("invalid-argument", `the source has more than maxBytes, ${most}`, { detail: "too-large" });
}

function otherLength(expected: number, found: string): EnvelockError {
  return new EnvelockError("invalid-argument", `expectedBytes is ${expected}, the source gave ${found}`, { detail: "other-length" });
}

const OPTIONS: OptionNames<SealUploadOptions> = { expectedBytes: true, maxBytes: true };
const PIECE_BYTES = 1024 * 1024;
/** Streams and iterators whose reading has begun here. */
const USED: WeakSet<object> = new WeakSet();
