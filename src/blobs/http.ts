import { concatBytes, copyOf, type OwnedBytes } from "../core/base/bytes.ts";
import type { Clock } from "../core/base/clock.ts";
import { EnvelockError } from "../core/base/errors.ts";
import { percentEncoded } from "../core/base/percent-encoded.ts";
import { waitFor } from "../core/base/wait.ts";
import type { BlobCondition } from "./blob-store.ts";
import { shown, unanswered } from "./failures.ts";

/** The part of `fetch` that stores are spoken to with: the global one, or another of its shape. */
export type BlobFetch = (url: string, request: BlobRequest) => Promise<BlobResponse>;

export interface BlobRequest {
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array<ArrayBuffer>;
  /** Always `manual`: a redirect is no answer of a store. */
  readonly redirect: "manual";
  readonly signal?: AbortSignal;
}

export interface BlobResponse {
  readonly status: number;
  readonly headers: { get(name: string): string | null; forEach(each: (value: string, name: string) => void): void };
  readonly body: ReadableStream<Uint8Array> | null;
  text(): Promise<string>;
}

/** What every request has in common. */
export interface Wire {
  readonly fetch: BlobFetch;
  readonly clock: Clock;
  /** How long a store may be silent, in milliseconds. */
  readonly silenceMs: number;
}

/** The answer to a read of a range. */
export interface BlobDownload {
  readonly etag: string;
  readonly totalBytes: number;
  /** Names in lower case, without the prefix of their headers. */
  readonly metadata: Readonly<Record<string, string>>;
  readonly body: AsyncIterable<Uint8Array>;
}

/** The conditions of a request, as headers state them. */
export interface WriteConditions {
  readonly ifMatch?: string;
  readonly ifNoneMatch?: "*";
}

export interface WireRequest {
  readonly method: string;
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Makes the options with which a client of an SDK takes a signal. Each call gets a signal of its own: clients add a listener for each
 * request, and a runtime takes more than ten on the signal of a caller for a leak and says so.
 */
export function abortable(signal: AbortSignal | undefined): { abortSignal?: AbortSignal } {
  return signal === undefined ? {} : { abortSignal: AbortSignal.any([signal]) };
}

/**
 * Sends a request and waits for the head of the answer.
 *
 * @param what the request in words, without secrets: a URL may hold a signature
 * @throws `unavailable`, `timeout`; the signal's reason
 */
export async function sent({ fetch, clock, silenceMs }: Wire, what: string, request: WireRequest): Promise<BlobResponse> {
  const { method, url, headers = {}, body, signal } = request;
  signal?.throwIfAborted();
  const stop = new AbortController();
  const either = signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal]);
  try {
    const answer = fetch(url, {
      method,
      headers,
      redirect: "manual",
      signal: either,
      ...(body !== undefined && { body: sendable(body) }),
    });
    return await waitFor(answer, { signal, limit: { clock, ms: silenceMs, error: () => silent(what, silenceMs) } });
  } catch (error) {
    stop.abort(error);
    signal?.throwIfAborted();
    throw unanswered(what, error);
  }
}

/** Gives the body of an answer, piece by piece. @throws `unavailable` if it breaks off, `timeout` if nothing comes */
export async function* bodyOf(
  { clock, silenceMs }: Wire,
  what: string,
  { body }: BlobResponse,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  if (body === null) return;
  const reader = body.getReader();
  let isOver = false;
  try {
    for (;;) {
      const limit = { clock, ms: silenceMs, error: () => silent(what, silenceMs) };
      const { done, value } = await waitFor(reader.read(), { signal, limit });
      isOver = done;
      if (done) return;
      yield value;
    }
  } catch (error) {
    signal?.throwIfAborted();
    throw unanswered(what, error);
  } finally {
    if (!isOver) reader.cancel().catch(() => undefined); // ends the connection, also while a read waits
  }
}

/** Gathers pieces. @throws `provider-failure` if they are more than was asked for: a store must not fill the memory */
export async function gatheredBytes(pieces: AsyncIterable<Uint8Array>, mostBytes: number): Promise<OwnedBytes> {
  const all: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of pieces) {
    bytes += piece.length;
    if (bytes > mostBytes)
      throw new EnvelockError("provider-failure", `the store gave more than the ${mostBytes} bytes that it was asked for`);
    all.push(piece);
  }
  return concatBytes(...all);
}

/** Reads the text of an answer, at most so much that no store can fill the memory. */
export async function textBodyOf(
  wire: Wire,
  what: string,
  response: BlobResponse,
  signal?: AbortSignal,
  mostBytes: number = MOST_TEXT,
): Promise<string> {
  return new TextDecoder().decode(await gatheredBytes(bodyOf(wire, what, response, signal), mostBytes));
}

/** An answer, as far as it is needed to drop its body. */
export interface Droppable {
  readonly body: { cancel(): Promise<void> } | null;
}

/** Drops a body that nobody needs, so that its connection is free. */
export async function dropped({ body }: Droppable): Promise<void> {
  await body?.cancel().catch(() => undefined);
}

/** Makes the body that a client of an SDK gave droppable: a stream of the web, or of Node. */
export function droppable(body: unknown): Droppable {
  if (body instanceof ReadableStream) return { body };
  if (typeof body !== "object" || body === null || !("destroy" in body)) return { body: null };
  const { destroy } = body;
  return { body: { cancel: async () => typeof destroy === "function" && destroy.call(body) } };
}

/**
 * Makes a result of the head of an answer whose body comes later.
 *
 * @throws what `read` throws: then nobody reads the body, and it is dropped
 */
export async function withHead<T>(response: Droppable, read: () => T): Promise<T> {
  try {
    return read();
  } catch (error) {
    await dropped(response);
    throw error;
  }
}

/** Reads the length of the whole blob from the answer to a read of a range. @throws `provider-failure` for more than that range */
export function rangeTotal(what: string, { status, headers }: BlobResponse, start: number, end: number): number {
  const whole = status === 200 ? lengthOf(headers) : undefined;
  const totalBytes = whole ?? totalOf(headers.get("content-range"));
  if (totalBytes === undefined || (whole !== undefined && (start > 0 || whole > end))) throw unusable(what);
  return totalBytes;
}

/** Reads a Content-Length header. */
export function lengthOf(headers: BlobResponse["headers"]): number | undefined {
  const length = headers.get("content-length");
  return length !== null && /^\d{1,15}$/.test(length) ? Number(length) : undefined;
}

/** Reads the length of the whole from a Content-Range header. */
export function totalOf(contentRange: string | null | undefined): number | undefined {
  const total = Number(/^bytes \d+-\d+\/(\d+)$/.exec(contentRange ?? "")?.[1] ?? Number.NaN);
  return Number.isSafeInteger(total) ? total : undefined;
}

/** Reads the metadata of an answer. @param prefix what the names of its headers begin with, in lower case */
export function metadataIn({ headers }: BlobResponse, prefix: string): Readonly<Record<string, string>> {
  const metadata: Record<string, string> = {};
  headers.forEach((value, name) => {
    if (name.toLowerCase().startsWith(prefix)) metadata[name.toLowerCase().slice(prefix.length)] = value;
  });
  return metadata;
}

/** An ETag with its quotation marks, which lists and clients leave out. */
export function quoted(etag: string): string {
  return etag.startsWith('"') ? etag : `"${etag}"`;
}

/** Makes the conditions of a request from that of a commit. */
export function conditionsOf(condition: BlobCondition): WriteConditions {
  if ("ifNone" in condition) return { ifNoneMatch: "*" };
  return "ifMatch" in condition ? { ifMatch: condition.ifMatch } : {};
}

/** Reads the base URL of a store. Undefined for what is none, or is neither https nor on this machine. */
export function safeBase(url: string): URL | undefined {
  const base = typeof url === "string" && URL.canParse(url) ? new URL(url) : undefined;
  if (base?.protocol === "https:") return base;
  return base?.protocol === "http:" && /^(127\.\d+\.\d+\.\d+|localhost|\[::1\])$/.test(base.hostname) ? base : undefined;
}

/** The error for an answer that lacks what the protocol promises. */
export function unusable(what: string): EnvelockError {
  return new EnvelockError("provider-failure", `the store gave no usable answer to ${what}`, { whose: "service" });
}

/** The wait that a Retry-After header of seconds asks for. */
export function retryAfterMs(header: string | null | undefined): number | undefined {
  return header !== null && header !== undefined && /^\d{1,5}$/.test(header) ? Number(header) * 1000 : undefined;
}

/** How many bytes a base64 text stands for. */
export function base64Length(text: string): number {
  return Math.floor((text.replaceAll("=", "").length * 3) / 4);
}

/** Escapes each segment of a name for a URL. */
export function escapedName(name: string): string {
  return name.split("/").map(percentEncoded).join("/");
}

/** The same memory, if no other thread shares it. */
function sendable(bytes: Uint8Array): OwnedBytes {
  const { buffer, byteOffset, byteLength } = bytes;
  return buffer instanceof ArrayBuffer ? new Uint8Array(buffer, byteOffset, byteLength) : copyOf(bytes);
}

function silent(what: string, silenceMs: number): EnvelockError {
  return new EnvelockError("timeout", `the store was silent for ${silenceMs} ms during ${shown(what)}`, { whose: "service" });
}

/** A page of a list. */
const MOST_TEXT = 2 ** 26;
/** What is read of an answer that tells of an error. */
export const MOST_ERROR_TEXT = 65_536;
/** How long a store may be silent, unless options say otherwise. */
export const SILENCE_MS = 60_000;
