import { type ClientRequest, Agent as HttpAgent, request as httpRequest, type IncomingMessage } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import type { Duplex } from "node:stream";
import { concatBytes } from "./bytes.ts";
import { invalidArgument } from "./errors.ts";
import { noteWholeReader } from "./http-fetch.ts";
import { type OptionNames, refuseUnknown } from "./options.ts";
import { whenAborted } from "./when-aborted.ts";

export interface HttpsFetchOptions {
  /** The certificate authorities to trust, in PEM, in place of those of Node. */
  readonly ca?: string | readonly string[];
  /** A client certificate and its private key, in PEM. */
  readonly cert?: string;
  readonly key?: string;
}

/** The `fetch` of `httpsFetch`: it serves providers over HTTP and stores of blobs. */
export type HttpsFetch = (url: string, request: HttpsFetchRequest) => Promise<HttpsFetchAnswer>;

export interface HttpsFetchRequest {
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  /** Always `manual`: a redirect comes back as an answer. */
  readonly redirect: "manual";
  readonly signal?: AbortSignal;
}

export interface HttpsFetchAnswer {
  readonly status: number;
  readonly headers: { get(name: string): string | null; forEach(each: (value: string, name: string) => void): void };
  readonly body: ReadableStream<Uint8Array>;
  text(): Promise<string>;
}

/**
 * Makes a `fetch` for providers over HTTP and for stores of blobs, with what the global one lacks: a private certificate authority or a
 * client certificate. Connections are kept and used again. It follows no redirect.
 *
 * @returns a function to be given as the option `fetch` of a provider or a store
 * @throws `invalid-argument`
 * @example
 * ```ts
 * import { readFileSync } from "node:fs";
 * import { httpsFetch } from "envelock/node";
 *
 * const fetch = httpsFetch({ ca: readFileSync("/etc/ssl/corp-ca.pem", "utf8") });
 * ```
 */
export function httpsFetch(options: HttpsFetchOptions = {}): HttpsFetch {
  refuseUnknown(options, HTTPS_FETCH_OPTIONS, "httpsFetch");
  const { ca, cert, key } = options;
  if ((cert === undefined) !== (key === undefined)) throw invalidArgument("cert and key belong together");
  const tls = {
    ...(ca !== undefined && { ca: typeof ca === "string" ? ca : [...ca] }),
    ...(cert !== undefined && { cert }),
    ...(key !== undefined && { key }),
  };
  const secure = new OneIdentityAgent({ keepAlive: true, ...tls });
  const plain = new HttpAgent({ keepAlive: true });
  return async (url, request) => {
    const response = await answered(url, request, url.startsWith("http:") ? plain : secure);
    const { statusCode = 0, headers } = response;
    const get = (name: string): string | null => {
      const value = headers[name.toLowerCase()];
      return value === undefined ? null : `${value}`;
    };
    const forEach = (each: (value: string, name: string) => void): void => {
      for (const [name, value] of Object.entries(headers)) if (value !== undefined) each(`${value}`, name);
    };
    let stream: ReadableStream<Uint8Array> | undefined;
    const body = (): ReadableStream<Uint8Array> => {
      stream ??= streamOf(response);
      return stream;
    };
    const answer = {
      status: statusCode,
      headers: { get, forEach },
      get body() {
        return body();
      },
      async text() {
        if (stream !== undefined) return await new Response(stream).text();
        return new TextDecoder().decode(await bytesUpTo(response, Number.POSITIVE_INFINITY));
      },
    };
    noteWholeReader(answer, (most) => bytesUpTo(response, most));
    return answer;
  };
}

/** An agent whose connections all have the same certificates: the server alone tells them apart. */
class OneIdentityAgent extends HttpsAgent {
  override getName({ host, port, servername }: { host?: string; port?: number | string; servername?: string } = {}): string {
    return `${host}:${port}:${servername}`;
  }
}

/**
 * Sends the request and waits for the head of its answer. The server may close a kept connection just before it is used again. In that case
 * no byte of the request was answered, so it is sent once more, on a new connection in the end.
 */
async function answered(url: string, asked: HttpsFetchRequest, agent: HttpAgent): Promise<IncomingMessage> {
  for (;;) {
    const { method, headers, body, signal } = asked;
    const send = agent instanceof HttpsAgent ? httpsRequest : httpRequest;
    signal?.throwIfAborted();
    const request = send(url, { method, headers: { ...headers }, agent });
    if (signal !== undefined) endWith(request, signal);
    request.once("upgrade", refuseUpgrade);
    request.end(body);
    try {
      return await headOf(request);
    } catch (error) {
      if (!request.reusedSocket || !isReset(error)) throw error;
    }
  }
}

/**
 * Waits for the head of the answer. What comes with it in the same packet may be no HTTP: Node then reports an error of the request, which
 * is handed on to the answer. The answer itself would only say that it broke off.
 */
function headOf(request: ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    let answer: IncomingMessage | undefined;
    request.once("response", (response: IncomingMessage) => {
      answer = response;
      resolve(response);
    });
    request.on("error", (error) => {
      answer?.destroy(error);
      reject(error);
    });
  });
}

// A kept connection holds on to its last request, and with it what listens to that: no listener here holds more than it needs.

/** Ends a request when the signal is aborted. The option `signal` of Node's client does the same and costs several times as much. */
function endWith(request: ClientRequest, signal: AbortSignal): void {
  request.once(
    "close",
    whenAborted(signal, () => void request.destroy(new DOMException("the request was aborted", "AbortError"))),
  );
}

/** Without a listener Node drops the connection and emits no event: the wait would never end. */
function refuseUpgrade(this: ClientRequest, _answer: IncomingMessage, socket: Duplex): void {
  socket.destroy();
  this.emit("error", new Error("the server switched to another protocol, which no request asked for"));
}

function ignore(): void {}

function isReset(error: unknown): boolean {
  return error instanceof Error && "code" in error && (error.code === "ECONNRESET" || error.code === "EPIPE");
}

/** A short answer that is read whole needs none of the streams, which cost more than its call. */
function bytesUpTo(response: IncomingMessage, most: number): Promise<Uint8Array | undefined> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  return new Promise((resolve, reject) => {
    if (response.errored !== null) throw response.errored;
    if (response.readableFlowing !== null || response.destroyed) throw new Error("the answer is being read already, or was broken off");
    response.on("data", (part: Uint8Array) => {
      bytes += part.length;
      if (bytes <= most) parts.push(part);
      else {
        resolve(undefined);
        response.destroy();
      }
    });
    response.on("end", () => {
      resolve(concatBytes(...parts));
      response.removeAllListeners();
      response.on("error", ignore);
    });
    response.on("error", reject);
    response.on("close", () => reject(new Error("the connection was closed before the answer was whole")));
  });
}

function streamOf(response: IncomingMessage): ReadableStream<Uint8Array> {
  const parts = response[Symbol.asyncIterator]();
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const next: IteratorResult<Uint8Array> = await parts.next();
      if (next.done === true) controller.close();
      else controller.enqueue(next.value);
    },
    cancel() {
      response.destroy();
    },
  });
}

const HTTPS_FETCH_OPTIONS: OptionNames<HttpsFetchOptions> = { ca: true, cert: true, key: true };
