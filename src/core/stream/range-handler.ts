import { engine } from "#engine";
import { ascii, type OwnedBytes, toHex } from "../base/bytes.ts";
import type { CallOptions } from "../base/call-options.ts";
import { invalidArgument } from "../base/errors.ts";
import { type OptionNames, readArgument, refuseUnknown, requireMethods } from "../base/options.ts";
import { checkedValidators, passesIfRange, preconditionOf } from "./http-preconditions.ts";
import { type ByteRange, parseRange } from "./http-range.ts";

/** A blob that the handler serves: a `SeekableBlob`, or an object with the same methods. */
export interface RangeReadable {
  /** Returns the verified length of the plaintext. */
  size(options?: CallOptions): Promise<number>;
  stream(start: number, end: number, options?: CallOptions): ReadableStream<OwnedBytes>;
}

export interface RangeHandlerOptions {
  /** The media type of the plaintext. Defaults to `application/octet-stream`. */
  readonly contentType?: string;
  /** A strong entity tag in quotes, such as `"v7"`, which names the version that is served. */
  readonly etag?: string;
  /** The time at which the served version was made, in whole seconds. */
  readonly lastModified?: Date;
  /** The most ranges in one request. A request for more gets the whole. Defaults to 16. */
  readonly maxRanges?: number;
}

/**
 * Answers GET and HEAD for a blob: the whole, one range, several (multipart/byteranges), a suffix, 416 with the verified size, and 304 or
 * 412 where the preconditions of RFC 9110 §13 say so. Works with any framework that has `Request` and `Response`. A body that fails on its
 * way ends in an error, never in a clean end.
 *
 * @throws `invalid-argument` for bad options; the handler throws what `SeekableBlob.read` throws
 * @example
 * const answer = httpRangeHandler(blob, { contentType: "video/mp4", etag: '"v7"' });
 * const response = await answer(request);
 */
export function httpRangeHandler(blob: RangeReadable, options: RangeHandlerOptions = {}): (request: Request) => Promise<Response> {
  refuseUnknown(options, RANGE_HANDLER_OPTIONS, "httpRangeHandler");
  const { contentType = "application/octet-stream", etag, lastModified, maxRanges = 16 } = options;
  if (!Number.isInteger(maxRanges) || maxRanges < 1) throw invalidArgument(`maxRanges is ${maxRanges}, expected an integer from 1`);
  if (!HEADER_TEXT.test(contentType)) throw invalidArgument("contentType must be the text of a header");
  const validators = checkedValidators(etag, lastModified);
  const named: Record<string, string> = {
    ...(etag !== undefined && { etag }),
    ...(lastModified !== undefined && { "last-modified": lastModified.toUTCString() }),
  };
  const common: Record<string, string> = { "accept-ranges": "bytes", ...named };
  requireMethods(blob, ["size", "stream"], "httpRangeHandler takes a blob");
  return async (request) => {
    requireRequest(request);
    const { method, headers, signal } = request;
    if (method !== "GET" && method !== "HEAD") return new Response(null, { status: 405, headers: { allow: "GET, HEAD" } });
    const precondition = preconditionOf(headers, validators);
    if (precondition !== "go") return answer(precondition, precondition === 304 ? named : {});
    const size = await blob.size({ signal });
    const isRangeAsked = method === "GET" && passesIfRange(headers.get("if-range"), validators);
    const ranges = parseRange(isRangeAsked ? headers.get("range") : null, size, maxRanges);
    if (ranges === "unsatisfiable") return answer(416, { ...common, "content-range": `bytes */${size}` });
    const [range, second] = ranges === "whole" ? [] : ranges;
    if (range === undefined || ranges === "whole") {
      const body = method === "GET" ? blob.stream(0, size, { signal }) : null;
      return answer(200, { ...common, "content-type": contentType, "content-length": `${size}` }, body);
    }
    if (second === undefined) {
      const told = { ...common, "content-type": contentType, "content-range": contentRange(range, size) };
      return answer(206, { ...told, "content-length": `${range.end - range.start}` }, blob.stream(range.start, range.end, { signal }));
    }
    const parts = multipart(ranges, size, contentType);
    const told = { "content-type": `multipart/byteranges; boundary=${parts.boundary}`, "content-length": `${parts.bytes}` };
    return answer(206, { ...common, ...told }, multipartBody(blob, parts, signal));
  };
}

/** @throws `invalid-argument` for what is no `Request` */
export function requireRequest(request: Request): void {
  const given: unknown = request;
  const isRequest = readArgument("the request", () => {
    if (typeof given !== "object" || given === null || !("method" in given) || !("headers" in given)) return false;
    const { method, headers } = given;
    return typeof method === "string" && typeof headers === "object" && headers !== null && "get" in headers;
  });
  if (!isRequest)
    throw invalidArgument("the handler answers a Request", "Express and Fastify have other ones: see docs/recipes/serve-ranges.md");
}

function answer(status: number, headers: Record<string, string>, body: ReadableStream<OwnedBytes> | null = null): Response {
  return new Response(body, { status, headers });
}

function contentRange({ start, end }: ByteRange, size: number): string {
  return `bytes ${start}-${end - 1}/${size}`;
}

interface Multipart {
  readonly boundary: string;
  readonly bytes: number;
  readonly parts: readonly { readonly head: OwnedBytes; readonly range: ByteRange }[];
  readonly tail: OwnedBytes;
}

// RFC 9110 §14.6
function multipart(ranges: readonly ByteRange[], size: number, contentType: string): Multipart {
  const boundary = toHex(engine.randomNonce(16));
  const parts = ranges.map((range, at) => ({
    head: ascii(
      `${at === 0 ? "" : "\r\n"}--${boundary}\r\ncontent-type: ${contentType}\r\ncontent-range: ${contentRange(range, size)}\r\n\r\n`,
    ),
    range,
  }));
  const tail = ascii(`\r\n--${boundary}--\r\n`);
  const bytes = parts.reduce((sum, { head, range }) => sum + head.length + range.end - range.start, tail.length);
  return { boundary, bytes, parts, tail };
}

function multipartBody(blob: RangeReadable, { parts, tail }: Multipart, signal: AbortSignal): ReadableStream<OwnedBytes> {
  const pieces = (async function* (): AsyncGenerator<OwnedBytes, void, undefined> {
    for (const { head, range } of parts) {
      yield head;
      yield* piecesOf(blob.stream(range.start, range.end, { signal }));
    }
    yield tail;
  })();
  return new ReadableStream<OwnedBytes>(
    {
      async pull(controller) {
        const { done, value } = await pieces.next();
        if (done === true) controller.close();
        else controller.enqueue(value);
      },
      async cancel() {
        await pieces.return();
      },
    },
    { highWaterMark: 0 },
  );
}

/** Reads with a reader, because not every browser iterates its streams. */
async function* piecesOf(stream: ReadableStream<OwnedBytes>): AsyncGenerator<OwnedBytes, void, undefined> {
  const reader = stream.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    await reader.cancel();
  }
}

const HEADER_TEXT = /^[\x20-\x7e]+$/;
const RANGE_HANDLER_OPTIONS: OptionNames<RangeHandlerOptions> = { contentType: true, etag: true, lastModified: true, maxRanges: true };
