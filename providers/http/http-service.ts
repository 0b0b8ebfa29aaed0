import { concatBytes, isBytes, textOf } from "../../src/core/base/bytes.ts";
import { type Clock, systemClock } from "../../src/core/base/clock.ts";
import { EnvelockError, invalidArgument } from "../../src/core/base/errors.ts";
import { type HttpFetch, type HttpFetchAnswer, wholeReaderOf } from "../../src/core/base/http-fetch.ts";
import { withoutMark } from "../../src/core/base/text-mark.ts";
import { attempt } from "./attempt.ts";
import { formHint, type WrongForm } from "./form-hint.ts";
import { transportFailure } from "./transport-failures.ts";

/** The options of every provider over HTTP. */
export interface HttpOptions {
  /**
   * The function that sends requests. Default: the global `fetch`. Another one can bring a private certificate authority, a client
   * certificate or a proxy.
   */
  readonly fetch?: HttpFetch;
  /** The longest time for one request, in milliseconds. Default 10,000. */
  readonly timeoutMs?: number;
  /** Time and timers. Default: the machine's. */
  readonly clock?: Clock;
}

export interface HttpRequest {
  readonly method: "GET" | "POST" | "PUT";
  /** The path. Begins with a slash; escaped. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** The requested thing, as the subject of a sentence in errors: never a secret. */
  readonly what: string;
}

/** An answer that was read whole. Its text may quote the request, so no error may hold it. */
export interface HttpAnswer {
  readonly status: number;
  /** The body as text: for answers that are no JSON. Empty if it is not well-formed UTF-8. */
  readonly text: string;
  /** The body as JSON, undefined if it is none. */
  readonly json: unknown;
  /** The time of the answer by the service's clock, in Unix milliseconds; undefined without a `date` header. */
  readonly serverUnixMs: number | undefined;
  /** The wait that the service asks for, from `retry-after` in seconds. */
  readonly retryAfterMs: number | undefined;
  header(name: string): string | undefined;
}

/**
 * Sends requests to one host under the rules for providers: it follows no redirect, reads an answer up to 64 KiB, gives a request a
 * deadline, and puts no body into an error.
 */
export class HttpService {
  /** `https://host:port`, without a slash at its end. */
  readonly origin: string;
  readonly #fetch: HttpFetch;
  readonly #timeoutMs: number;
  readonly #clock: Clock;

  /**
   * @param plainHosts addresses that may be reached by HTTP too: link-local ones of metadata services, which have no certificate
   * @throws `invalid-argument` unless `origin` is an HTTPS origin, or an HTTP one on loopback or of `plainHosts`
   */
  constructor(
    origin: string,
    { fetch = globalThis.fetch, timeoutMs = DEFAULT_TIMEOUT_MS, clock = systemClock }: HttpOptions,
    plainHosts: readonly string[] = [],
  ) {
    this.origin = checkedOrigin(origin, plainHosts);
    if (typeof fetch !== "function") throw invalidArgument("fetch must be a function of the shape of the global fetch");
    if (!(Number.isFinite(timeoutMs) && timeoutMs >= 1 && timeoutMs <= MAX_TIMEOUT_MS)) {
      throw invalidArgument(`timeoutMs is ${timeoutMs}, expected 1 to ${MAX_TIMEOUT_MS} milliseconds`);
    }
    this.#fetch = fetch;
    this.#timeoutMs = timeoutMs;
    this.#clock = clock;
  }

  /**
   * Sends one request and reads its answer. Judges no status except redirects.
   *
   * @throws `timeout`; `unavailable` if there was no answer; `provider-failure` for a redirect or an answer that is too long; the
   *   signal's reason
   */
  async send({ method, path, headers = {}, body, what }: HttpRequest, signal: AbortSignal | undefined): Promise<HttpAnswer> {
    try {
      return await attempt({ clock: this.#clock, timeoutMs: this.#timeoutMs, what, signal }, async (abort) => {
        const request = { method, headers, ...(body !== undefined && { body }), redirect: "manual", signal: abort } as const;
        const answer = await this.#fetch(this.origin + path, request);
        const text = await boundedText(answer, what);
        if (answer.status === 0 || (answer.status >= 300 && answer.status < 400)) throw redirected(what);
        return httpAnswer(answer, text, this.#clock);
      });
    } catch (error) {
      signal?.throwIfAborted();
      throw transportFailure(error, what);
    }
  }
}

function httpAnswer({ status, headers }: HttpFetchAnswer, text: string, clock: Clock): HttpAnswer {
  const header = (name: string): string | undefined => headers.get(name) ?? undefined;
  const date = Date.parse(header("date") ?? "");
  return {
    status,
    header,
    text,
    json: jsonOf(text),
    serverUnixMs: Number.isNaN(date) ? undefined : date,
    retryAfterMs: waitOf(header("retry-after"), clock),
  };
}

/** Reads the body. A reader that is cancelled closes the connection. */
async function boundedText(answer: HttpFetchAnswer, what: string): Promise<string> {
  const readWhole = wholeReaderOf(answer);
  if (readWhole !== undefined) {
    const whole = await readWhole(MAX_ANSWER_BYTES);
    if (whole === undefined) throw tooLong(what);
    return textOf(whole) ?? "";
  }
  const { body } = answer;
  if (body === null) return "";
  const reader = body.getReader();
  const parts: Uint8Array[] = [];
  let bytes = 0;
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      if (!isBytes(next.value)) throw new EnvelockError("provider-failure", `${what}: the answer holds something other than bytes`);
      bytes += next.value.length;
      if (bytes > MAX_ANSWER_BYTES) throw tooLong(what);
      parts.push(next.value);
    }
  } catch (error) {
    await reader.cancel().catch(() => undefined); // the first error is the one to report
    throw error;
  }
  const [only = new Uint8Array()] = parts;
  return textOf(parts.length > 1 ? concatBytes(...parts) : only) ?? "";
}

/** Parses an answer as JSON, whatever its content type: services use several. A mark of the byte order is no part of it. RFC 8259 §8.1 */
function jsonOf(text: string): unknown {
  try {
    return JSON.parse(withoutMark(text));
  } catch {
    return undefined;
  }
}

// RFC 9110 §10.2.3: seconds, or a date
function waitOf(text: string | undefined, clock: Clock): number | undefined {
  if (text === undefined) return undefined;
  if (/^[0-9]{1,6}$/.test(text)) return Number(text) * 1000;
  const date = HTTP_DATE.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(date) ? undefined : Math.max(0, date - clock.unixMs());
}

function checkedOrigin(origin: string, plainHosts: readonly string[]): string {
  const url = typeof origin === "string" && URL.canParse(origin) ? new URL(origin) : undefined;
  if (url === undefined || origin.replace(/\/$/, "") !== url.origin)
    throw invalidArgument(
      "an endpoint is an origin such as https://vault.example:8200, without a path or user",
      formHint(origin, WRONG_ORIGINS, "give scheme, host and port, and nothing else"),
    );
  const mayBePlain = ["127.0.0.1", "[::1]", "localhost", ...plainHosts].includes(url.hostname);
  if (url.protocol === "https:" || (url.protocol === "http:" && mayBePlain)) return url.origin;
  throw invalidArgument(
    "an endpoint must be https: it is shown data keys and credentials; http is for loopback alone",
    "serve it over TLS; for a private certificate authority give httpsFetch({ ca }) of envelock/node as `fetch`",
  );
}

function redirected(what: string): EnvelockError {
  return new EnvelockError("provider-failure", `${what}: the service answered with a redirect, which is not followed`, {
    detail: "redirect",
    hint: "name the host that answers in the configuration: a redirect could carry the credential elsewhere",
  });
}

function tooLong(what: string): EnvelockError {
  return new EnvelockError("provider-failure", `${what}: an answer of more than ${MAX_ANSWER_BYTES} bytes was cut off`, {
    detail: "transport",
    retryable: true,
  });
}

/** The form `Sun, 06 Nov 1994 08:49:37 GMT`, because `Date.parse` takes much else. RFC 9110 §5.6.7 */
const HTTP_DATE = /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/;
const WRONG_ORIGINS: readonly WrongForm[] = [
  [/^\w+:\/\/[^/]*@/, "leave out user and password: credentials have an option of their own"],
  [/^https?:\/\/[^/?#]+[/?#]./, "leave out what follows host and port"],
  [/^[\w.-]+(?::\d+)?(?:\/|$)/, "begin it with https://"],
];
const DEFAULT_TIMEOUT_MS = 10_000;
const MAX_TIMEOUT_MS = 2 ** 31 - 1;
const MAX_ANSWER_BYTES = 65_536;
