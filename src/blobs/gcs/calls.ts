import { toBase64 } from "../../core/base/base64.ts";
import { concatBytes, toHex, utf8, writeUint32 } from "../../core/base/bytes.ts";
import type { Clock } from "../../core/base/clock.ts";
import { EnvelockError } from "../../core/base/errors.ts";
import { percentEncoded } from "../../core/base/percent-encoded.ts";
import { waitFor } from "../../core/base/wait.ts";
import type { BlobCondition } from "../blob-store.ts";
import {
  type BlobResponse,
  bodyOf,
  dropped,
  MOST_ERROR_TEXT,
  rangeTotal,
  retryAfterMs,
  sent,
  textBodyOf,
  unusable,
  type Wire,
  withHead,
} from "../http.ts";
import { type GcsObject, type GcsPage, isGeneration, objectIn, pageIn } from "./object.ts";
import { GcsRefusal, gcsError } from "./refusals.ts";

export interface GcsCallOptions {
  readonly signal?: AbortSignal | undefined;
}

/** What must hold at the moment of a call, by the service's own names: decimal digits. */
export interface GcsConditions {
  readonly ifGenerationMatch?: string;
  readonly ifMetagenerationMatch?: string;
}

/** What is stored beside the bytes. */
export interface GcsContent {
  readonly metadata: Readonly<Record<string, string>>;
  readonly storageClass?: string;
}

export interface GcsMedia {
  readonly generation: string;
  readonly totalBytes: number;
  readonly body: AsyncIterable<Uint8Array>;
}

/** How far an upload is: the object, if it is whole, else how many bytes the service keeps. */
export type GcsProgress = { readonly object: GcsObject } | { readonly kept: number };

/** The bucket that is spoken to. */
export interface GcsPlace {
  /** Without a slash at its end. */
  readonly base: URL;
  readonly bucket: string;
  readonly token: (refused?: string) => Promise<string>;
}

/** Speaks the JSON API with `fetch`. Its methods throw a `GcsRefusal` for what may be a result. */
export class GcsCalls {
  readonly #wire: Wire;
  readonly #place: GcsPlace;

  constructor(wire: Wire, place: GcsPlace) {
    this.#wire = wire;
    this.#place = place;
  }

  /** The clock by which waits for the service end. */
  get clock(): Clock {
    return this.#wire.clock;
  }

  /** Reads the description of an object. */
  async describe(name: string, options: GcsCallOptions): Promise<GcsObject> {
    return await this.#object("a look at an object", { path: this.#objectPath(name) }, options);
  }

  /** Reads bytes from `start` to before `end`. */
  async media(name: string, start: number, end: number, conditions: GcsConditions, options: GcsCallOptions): Promise<GcsMedia> {
    const what = "a read";
    const headers = { range: `bytes=${start}-${end - 1}` };
    const response = await this.#call(what, { path: this.#objectPath(name), query: { alt: "media", ...conditions }, headers }, options);
    return await withHead(response, () => {
      const totalBytes = rangeTotal(what, response, start, end);
      const generation = response.headers.get("x-goog-generation");
      if (!isGeneration(generation)) throw unusable(what);
      const { ifGenerationMatch: expected = generation } = conditions;
      if (generation !== expected) throw new GcsRefusal("changed", unusable(what)); // a service that does not heed the condition
      return { generation, totalBytes, body: bodyOf(this.#wire, what, response, options.signal) };
    });
  }

  /** Stores an object in one request. The service compares the checksum with what arrived. */
  async insert(
    name: string,
    bytes: Uint8Array,
    crc32c: string,
    content: GcsContent,
    stored: GcsConditions,
    options: GcsCallOptions,
  ): Promise<GcsObject> {
    const boundary = toHex(crypto.getRandomValues(new Uint8Array(16)));
    const head = `--${boundary}\r\ncontent-type: application/json; charset=UTF-8\r\n\r\n${resourceOf({ ...content, crc32c })}\r\n`;
    const beforeBytes = `${head}--${boundary}\r\ncontent-type: ${CONTENT_TYPE}\r\n\r\n`;
    const body = concatBytes(utf8(beforeBytes), bytes, utf8(`\r\n--${boundary}--\r\n`));
    const headers = { "content-type": `multipart/related; boundary=${boundary}` };
    const request = { method: "POST", path: this.#uploadPath, query: { uploadType: "multipart", name, ...stored }, headers, body };
    return await this.#object("a whole object", request, options);
  }

  /**
   * Begins an upload in one session. The condition is stated here.
   *
   * @returns the path and the query of the session, which nobody else may learn
   */
  async beginSession(name: string, content: GcsContent, stored: GcsConditions, options: GcsCallOptions): Promise<string> {
    const what = "the beginning of an upload";
    const headers = { "content-type": "application/json; charset=UTF-8", "x-upload-content-type": CONTENT_TYPE };
    const query = { uploadType: "resumable", name, ...stored };
    const request = { method: "POST", path: this.#uploadPath, query, headers, body: utf8(resourceOf(content)) };
    const response = await this.#call(what, request, options);
    await dropped(response);
    return this.#sessionOf(response.headers.get("location") ?? "", what);
  }

  /**
   * Sends bytes that begin at `at`.
   *
   * @param whole for the last ones, the length of the object and the checksum of all of it
   */
  async send(session: string, at: number, bytes: Uint8Array, whole: GcsWhole | undefined, options: GcsCallOptions): Promise<GcsProgress> {
    const total = whole?.bytes ?? "*";
    const range = bytes.length === 0 ? `bytes */${total}` : `bytes ${at}-${at + bytes.length - 1}/${total}`;
    const headers = { "content-range": range, ...(whole !== undefined && { "x-goog-hash": `crc32c=${whole.crc32c}` }) };
    return await this.#progress("a block of an upload", { method: "PUT", session, headers, body: bytes }, options);
  }

  /** Asks how far an upload is. */
  async status(session: string, options: GcsCallOptions): Promise<GcsProgress> {
    const headers = { "content-range": "bytes */*" };
    return await this.#progress("a look at an upload", { method: "PUT", session, headers, body: NOTHING }, options);
  }

  /** Drops an upload and what it has stored. */
  async cancel(session: string, options: GcsCallOptions): Promise<void> {
    await dropped(await this.#call("the abort of an upload", { method: "DELETE", session }, options));
  }

  /** Changes entries of the metadata; null removes one, and all others stay. */
  async patch(
    name: string,
    metadata: Readonly<Record<string, string | null>>,
    conditions: GcsConditions,
    options: GcsCallOptions,
  ): Promise<GcsObject> {
    const headers = { "content-type": "application/json; charset=UTF-8" };
    const request = {
      method: "PATCH",
      path: this.#objectPath(name),
      query: { ...conditions },
      headers,
      body: utf8(JSON.stringify({ metadata })),
    };
    return await this.#object("a change of metadata", request, options);
  }

  async remove(name: string, conditions: GcsConditions, options: GcsCallOptions): Promise<void> {
    await dropped(await this.#call("a delete", { method: "DELETE", path: this.#objectPath(name), query: { ...conditions } }, options));
  }

  /** Lists objects in the order of their UTF-8. @param query `startOffset` (included), `pageToken`, `maxResults` and the like */
  async list(query: Readonly<Record<string, string>>, options: GcsCallOptions): Promise<GcsPage> {
    const what = "a list";
    const fields = "kind,nextPageToken,items(name,size,generation,metageneration,metadata)";
    const response = await this.#call(what, { path: `${this.#bucketPath}/o`, query: { ...query, fields } }, options);
    return pageIn(await textBodyOf(this.#wire, what, response, options.signal), what);
  }

  get #bucketPath(): string {
    return `/storage/v1/b/${percentEncoded(this.#place.bucket)}`;
  }

  get #uploadPath(): string {
    return `/upload${this.#bucketPath}/o`;
  }

  #objectPath(name: string): string {
    return `${this.#bucketPath}/o/${percentEncoded(name)}`;
  }

  /** The host stays the configured one, whatever the answer names. */
  #sessionOf(location: string, what: string): string {
    if (!URL.canParse(location)) throw unusable(what);
    const { pathname, search, searchParams } = new URL(location);
    if (!SESSION_PATH.test(pathname) || !searchParams.has("upload_id")) throw unusable(what);
    return `${pathname}${search}`;
  }

  async #object(what: string, request: Call, options: GcsCallOptions): Promise<GcsObject> {
    const response = await this.#call(what, request, options);
    return objectIn(await textBodyOf(this.#wire, what, response, options.signal), what);
  }

  async #progress(what: string, request: Call, options: GcsCallOptions): Promise<GcsProgress> {
    const response = await this.#call(what, request, options);
    if (!isIncomplete(response)) return { object: objectIn(await textBodyOf(this.#wire, what, response, options.signal), what) };
    await dropped(response);
    const range = response.headers.get("range");
    const [, last] = /^(?:bytes=)?0-(\d{1,15})$/.exec(range ?? "") ?? [];
    if (range !== null && last === undefined) throw unusable(what);
    return { kept: last === undefined ? 0 : Number(last) + 1 };
  }

  /** What gives tokens may not be waited for without end. */
  async #token(refused: string | undefined, signal: AbortSignal | undefined): Promise<string> {
    const { clock, silenceMs } = this.#wire;
    const error = (): EnvelockError =>
      new EnvelockError("timeout", `what gives the access token of Cloud Storage gave none in ${silenceMs} ms`, { detail: "credential" });
    return await waitFor(this.#place.token(refused), { signal, limit: { clock, ms: silenceMs, error } });
  }

  /** Sends a request with a token, and once more with another one if the service refuses it. */
  async #call(what: string, request: Call, options: GcsCallOptions, refused?: string): Promise<BlobResponse> {
    const { method = "GET", path, session, query = {}, headers = {}, body } = request;
    const { signal } = options;
    signal?.throwIfAborted();
    const { base } = this.#place;
    const token = await this.#token(refused, signal);
    const target = session ?? `${path}${queryText(query)}`;
    const url = `${base.origin}${base.pathname.replace(/\/$/, "")}${target}`;
    const own = session === undefined ? {} : { "x-guploader-no-308": "yes" };
    const response = await sent(this.#wire, what, {
      method,
      url,
      headers: { ...headers, ...own, authorization: `Bearer ${token}` },
      signal,
      ...(body !== undefined && { body }),
    });
    const { status } = response;
    if ((status >= 200 && status < 300) || (session !== undefined && (status === 308 || (status === 499 && method === "DELETE"))))
      return response;
    const text = await textBodyOf(this.#wire, what, response, signal, MOST_ERROR_TEXT).catch(() => "");
    signal?.throwIfAborted();
    if (status === 401 && refused === undefined && (await this.#token(token, signal)) !== token)
      return await this.#call(what, request, options, token);
    throw gcsError({
      what,
      status,
      text,
      retryAfterMs: retryAfterMs(response.headers.get("retry-after")),
      isSession: session !== undefined,
    });
  }
}

/** The last word of an upload. */
export interface GcsWhole {
  readonly bytes: number;
  /** In base64. */
  readonly crc32c: string;
}

interface Call {
  readonly method?: string;
  readonly path?: string;
  /** Path and query of an upload, in place of `path`. */
  readonly session?: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
}

/** Makes the conditions of a write. Undefined for one that no object can meet: it names a version that cannot be. */
export function storedConditions(condition: BlobCondition): GcsConditions | undefined {
  if ("ifNone" in condition) return { ifGenerationMatch: "0" };
  if (!("ifMatch" in condition)) return {};
  return isGeneration(condition.ifMatch) ? { ifGenerationMatch: condition.ifMatch } : undefined;
}

/** A checksum as the service writes it: base64 of four bytes. */
export function checksumText(checksum: number): string {
  const bytes = new Uint8Array(4);
  writeUint32(bytes, 0, checksum);
  return toBase64(bytes);
}

function resourceOf({ metadata, storageClass, crc32c }: GcsContent & { readonly crc32c?: string }): string {
  return JSON.stringify({
    contentType: CONTENT_TYPE,
    metadata,
    ...(storageClass !== undefined && { storageClass }),
    ...(crc32c !== undefined && { crc32c }),
  });
}

/** The service says 308 in this way where it is asked to: browsers and some runtimes take 308 for a redirect. */
function isIncomplete({ status, headers }: BlobResponse): boolean {
  return status === 308 || headers.get("x-http-status-code-override") === "308";
}

function queryText(query: Readonly<Record<string, string>>): string {
  const parts = Object.entries(query).map(([name, value]) => `${name}=${percentEncoded(value)}`);
  return parts.length === 0 ? "" : `?${parts.join("&")}`;
}

const CONTENT_TYPE = "application/octet-stream";
const NOTHING: Uint8Array = new Uint8Array(0);
const SESSION_PATH = /^(?:\/resumable)?\/upload\/storage\/v1\/b\/[^/]+\/o$/;
