import { once } from "node:events";
import {
  createServer as createPlainServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from "node:http";
import { createServer } from "node:https";
import type { Clock } from "../../core/base/clock.ts";
import { EnvelockError } from "../../core/base/errors.ts";
import { anyRequest, urlOf } from "./any-request.ts";
import { loopbackCertificate } from "./certificate.ts";
import { type CommonFault, FaultPlan, isTransportFault, type Meanwhile, type RawAnswer, slownessOf } from "./fault-plan.ts";

/** The entry of a request in the log of any emulator. */
export interface LogEntry {
  readonly method: string;
  /** Method and path, such as `GET /keys/orders`, without host and query. Faults match this text. */
  readonly path: string;
  /** The text that faults match, where the path tells requests apart too little. Default: the path. */
  readonly matched?: string;
  /** The body as received, data keys included. Empty where a service takes bytes. */
  readonly body: string;
  /** Unix time in milliseconds. */
  readonly atMs: number;
  /** 0 before the answer. */
  status: number;
  /** Whether the client closed the connection before the answer. */
  isAbandoned: boolean;
}

/** A request as received. */
export interface ServedRequest {
  readonly method: string;
  readonly url: URL;
  /** The target as received: the path and the query as the client wrote them. */
  readonly target: string;
  readonly headers: IncomingHttpHeaders;
  /** Empty where the service takes bytes. */
  readonly body: string;
  /** Empty in the request that makes the entry of a service that takes bytes: the body has not been read then. */
  readonly bytes: Buffer;
}

/** A held request: the server has received it and answers it when the test releases it. */
export interface HeldRequest {
  readonly arrived: Promise<void>;
  release(): void;
}

/** The service behind a server. */
export interface EmulatedService<Entry extends LogEntry, OwnFault> {
  /** The name of the emulator, for messages. */
  readonly name: string;

  /**
   * The length of a body that a service which takes bytes accepts. Such a service gets the entry and the fault before the body, so that a
   * fault can break off the upload. A longer body arrives cut, one byte longer than this. Undefined for a service that takes text.
   */
  readonly mostBodyBytes?: number;

  /** Returns after how many bytes of the request's body a fault breaks the connection. */
  uploadCut?(fault: OwnFault): number | undefined;

  /** Makes the log entry. */
  entryOf(request: ServedRequest, base: LogEntry): Entry;

  /** Answers as the service does, errors included. An exception becomes a 500. */
  answer(request: ServedRequest, entry: Entry): Promise<RawAnswer>;

  /** @returns the answer in place of the service's; undefined if the service is to answer */
  meet(fault: OwnFault, request: ServedRequest, entry: Entry): Promise<RawAnswer | undefined>;

  /** The headers that every answer of the service has. `date` follows the emulator's clock unless it is among them. */
  headersOf(entry: Entry): Readonly<Record<string, string>>;
}

export interface LoopbackServerOptions<Entry> {
  readonly clock: Clock;
  readonly onRequest?: ((entry: Entry) => void) | undefined;
  /** Whether it serves HTTP in place of HTTPS. */
  readonly isPlain?: boolean;
}

/** An HTTPS server on a loopback port with a certificate of its own, a log, and injected faults in front of the service. */
export class LoopbackServer<Entry extends LogEntry, OwnFault = never> {
  /** The authority that signed the server's certificate, in PEM. */
  readonly ca: string;
  readonly requests: Entry[] = [];
  readonly faults: FaultPlan<CommonFault | OwnFault> = new FaultPlan();
  readonly #server: Server;
  readonly #service: EmulatedService<Entry, OwnFault>;
  readonly #options: LoopbackServerOptions<Entry>;
  #connectionCount = 0;
  #gate: Gate | undefined;

  constructor(service: EmulatedService<Entry, OwnFault>, options: LoopbackServerOptions<Entry>) {
    const { ca, certificate, privateKey } = loopbackCertificate();
    this.ca = ca;
    this.#service = service;
    this.#options = options;
    const listener = anyRequest((request, response) => this.#serve(request, response));
    const isPlain = options.isPlain === true;
    this.#server = isPlain ? createPlainServer(listener) : createServer({ key: privateKey, cert: certificate }, listener);
    this.#server.keepAliveTimeout = KEEP_ALIVE_MS;
    this.#server.on(isPlain ? "connection" : "secureConnection", () => this.#connectionCount++);
  }

  /** @param port 0 for a free one @throws `unavailable` if the port is taken */
  async listen(port: number): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", (cause) => {
        reject(new EnvelockError("unavailable", `${this.#service.name}: ${cause.message}`, { cause }));
      });
      this.#server.listen(port, "127.0.0.1", resolve);
    });
  }

  /** `127.0.0.1:<port>` */
  get host(): string {
    const address = this.#server.address();
    return `127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`;
  }

  /** Whether it serves HTTP in place of HTTPS. */
  get isPlain(): boolean {
    return this.#options.isPlain === true;
  }

  get connectionCount(): number {
    return this.#connectionCount;
  }

  /** Holds the next request until it is released. */
  holdNext(): HeldRequest {
    const gate = new Gate();
    this.#gate = gate;
    return { arrived: gate.arrived, release: gate.release };
  }

  /** Closes every connection. */
  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #serve(message: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = "", headers, url: target = "/" } = message;
    const url = urlOf(message, `https://${this.host}`);
    if (url === undefined) {
      const headers = { date: this.#date, "content-type": "application/json" };
      response.writeHead(400, headers).end('{"error":"the target of the request is no path"}');
      return;
    }
    const head = { method, url, target, headers };
    const { mostBodyBytes } = this.#service;
    if (mostBodyBytes === undefined) {
      const bytes = await bytesOf(message);
      if (bytes === undefined) return; // the client closed the connection before the end of the body
      const request: ServedRequest = { ...head, body: bytes.toString("utf8"), bytes };
      const entry = this.#logged(request, response);
      return await this.#respond(request, entry, await this.#faultOn(entry), response);
    }
    const beginning: ServedRequest = { ...head, body: "", bytes: NO_BYTES };
    const entry = this.#logged(beginning, response);
    const fault = await this.#faultOn(entry);
    if (fault === "hang") return;
    const cut = fault !== undefined && isOwn<OwnFault>(fault) ? this.#service.uploadCut?.(fault) : undefined;
    const bytes = cut === undefined ? await bytesOf(message, mostBodyBytes) : await uploadCutAfter(message, cut);
    if (bytes !== undefined) await this.#respond({ ...beginning, bytes }, entry, fault, response);
  }

  /** The `date` header by the emulator's clock. Node's own would have the machine's time. */
  get #date(): string {
    return new Date(this.#options.clock.unixMs()).toUTCString();
  }

  #logged(request: ServedRequest, response: ServerResponse): Entry {
    const { clock, onRequest } = this.#options;
    const { method, url, body } = request;
    const base = { method, path: `${method} ${url.pathname}`, body, atMs: clock.unixMs(), status: 0, isAbandoned: false };
    const entry = this.#service.entryOf(request, base);
    this.requests.push(entry);
    response.once("close", () => {
      entry.isAbandoned = !response.writableFinished;
      onRequest?.(entry);
    });
    return entry;
  }

  async #faultOn(entry: Entry): Promise<CommonFault | OwnFault | undefined> {
    const gate = this.#gate;
    this.#gate = undefined;
    await gate?.pass();
    return this.faults.take(entry.matched ?? entry.path);
  }

  async #respond(request: ServedRequest, entry: Entry, fault: CommonFault | OwnFault | undefined, response: ServerResponse): Promise<void> {
    if (fault === "hang") return;
    if (fault === "reset") {
      response.socket?.destroy();
      return;
    }
    const answer = await this.#answer(request, entry, fault);
    const { bytes, cutAfterBytes, text } = answer;
    if (cutAfterBytes === -1) {
      response.socket?.destroy();
      return;
    }
    entry.status = answer.status;
    const headers = { date: this.#date, ...this.#service.headersOf(entry), ...answer.headers };
    if (fault === "endless") {
      response.writeHead(answer.status, withoutLength(headers));
      return await writeUntilClosed(response, text);
    }
    response.writeHead(answer.status, headers);
    if (bytes === undefined) {
      response.end(fault === "cut" ? text.slice(0, -4) : text);
      return;
    }
    const length = bytes.reduce((sum, piece) => sum + piece.length, 0);
    await writePieces(response, bytes, cutAfterBytes ?? (fault === "cut" ? Math.max(0, length - 4) : undefined));
  }

  async #answer(request: ServedRequest, entry: Entry, fault: CommonFault | OwnFault | undefined): Promise<RawAnswer> {
    if (fault === "garbage") return { status: 200, text: "<html>" };
    const instead = fault === undefined || isTransportFault(fault) ? undefined : await this.#met(fault, request, entry);
    return instead ?? (await this.#service.answer(request, entry));
  }

  /** @returns the answer in place of the service's; undefined if there is none */
  async #met(fault: CommonFault | OwnFault, request: ServedRequest, entry: Entry): Promise<RawAnswer | undefined> {
    if (isRawAnswer(fault)) return fault;
    if (isMeanwhile(fault)) {
      await fault.meanwhile();
      return undefined;
    }
    const slowMs = slownessOf(fault);
    if (slowMs !== undefined) {
      await new Promise<void>((resolve) => void this.#options.clock.after(slowMs, resolve, "awaited"));
      return undefined;
    }
    return isOwn<OwnFault>(fault) ? await this.#service.meet(fault, request, entry) : undefined;
  }
}

function isRawAnswer(fault: unknown): fault is RawAnswer {
  return typeof fault === "object" && fault !== null && "status" in fault && "text" in fault;
}

function isMeanwhile(fault: unknown): fault is Meanwhile {
  return typeof fault === "object" && fault !== null && "meanwhile" in fault;
}

/** Passes a fault that is not common to all emulators to the service. */
function isOwn<OwnFault>(fault: CommonFault | OwnFault): fault is OwnFault {
  return !isTransportFault(fault) && slownessOf(fault) === undefined && !isRawAnswer(fault) && !isMeanwhile(fault);
}

class Gate {
  readonly arrived: Promise<void>;
  release: () => void = () => {};
  readonly #released: Promise<void>;
  #arrive: () => void = () => {};

  constructor() {
    this.arrived = new Promise((resolve) => {
      this.#arrive = resolve;
    });
    this.#released = new Promise((resolve) => {
      this.release = resolve;
    });
  }

  async pass(): Promise<void> {
    this.#arrive();
    await this.#released;
  }
}

/** Writes an answer and then endless white space, as fast as the client reads it. */
async function writeUntilClosed(response: ServerResponse, text: string): Promise<void> {
  const spaces = " ".repeat(65_536);
  response.write(text);
  while (!response.destroyed) {
    if (response.write(spaces)) await new Promise((resolve) => setImmediate(resolve));
    else await drained(response);
  }
}

/** Waits until the client has read what was written, or is gone. */
async function drained(response: ServerResponse): Promise<void> {
  const waited = new AbortController();
  const { signal } = waited;
  await Promise.race([once(response, "drain", { signal }), once(response, "close", { signal })]);
  waited.abort();
}

/** Writes a body as fast as the client reads it. With `cutAfter` the connection breaks after so many bytes. */
async function writePieces(response: ServerResponse, pieces: readonly Uint8Array[], cutAfter?: number): Promise<void> {
  let left = cutAfter ?? Number.POSITIVE_INFINITY;
  response.flushHeaders();
  for (const piece of pieces) {
    for (let at = 0; at < piece.length && left > 0 && !response.destroyed; at += WRITE_BYTES) {
      const next = piece.subarray(at, Math.min(at + WRITE_BYTES, at + left));
      left -= next.length;
      if (!response.write(next)) await drained(response);
    }
  }
  if (cutAfter === undefined) response.end();
  else response.socket?.destroySoon(); // what was written so far still arrives
}

function withoutLength(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => name !== "content-length"));
}

/** @returns the body, or its first `most + 1` bytes; undefined if the client closed the connection before its end */
async function bytesOf(request: IncomingMessage, most: number = Number.POSITIVE_INFINITY): Promise<Buffer | undefined> {
  const parts: Buffer[] = [];
  let length = 0;
  try {
    for await (const part of request.iterator({ destroyOnReturn: false })) {
      length += part.length;
      parts.push(part);
      if (length > most) break;
    }
  } catch {
    return undefined;
  }
  return Buffer.concat(parts, Math.min(length, most + 1));
}

/** Breaks the connection after so many bytes of the body. @returns the body if it is no longer than that */
async function uploadCutAfter(request: IncomingMessage, bytes: number): Promise<Buffer | undefined> {
  const whole = await bytesOf(request, bytes);
  if (whole === undefined || whole.length > bytes) {
    request.socket.destroy();
    return undefined;
  }
  return whole;
}

const NO_BYTES: Buffer = Buffer.alloc(0);
const WRITE_BYTES = 65_536;
/** The time that an idle connection stays open. On a busy machine a client would else send on a connection that is just being closed. */
const KEEP_ALIVE_MS = 600_000;
