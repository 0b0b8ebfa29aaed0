import { once } from "node:events";
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";
import { createServer, type Server } from "node:https";
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
  /** The body as received, data keys included. */
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
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
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

  /** Makes the log entry. */
  entryOf(request: ServedRequest, base: LogEntry): Entry;

  /** Answers as the service does, errors included. An exception becomes a 500. */
  answer(request: ServedRequest, entry: Entry): Promise<RawAnswer>;

  /** @returns the answer in place of the service's; undefined if the service is to answer */
  meet(fault: OwnFault, request: ServedRequest, entry: Entry): Promise<RawAnswer | undefined>;

  /** The headers that every answer of the service has. */
  headersOf(entry: Entry): Readonly<Record<string, string>>;
}

export interface LoopbackServerOptions<Entry> {
  readonly clock: Clock;
  readonly onRequest?: ((entry: Entry) => void) | undefined;
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
    this.#server = createServer(
      { key: privateKey, cert: certificate },
      anyRequest((request, response) => this.#serve(request, response)),
    );
    this.#server.on("secureConnection", () => this.#connectionCount++);
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
    const body = await textOf(message).catch(() => undefined);
    if (body === undefined) return; // the client closed the connection before the end of the body
    const { method = "", headers } = message;
    const url = urlOf(message, `https://${this.host}`);
    if (url === undefined) {
      response.writeHead(400, { "content-type": "application/json" }).end('{"error":"the target of the request is no path"}');
      return;
    }
    const request: ServedRequest = { method, url, headers, body };
    const { clock, onRequest } = this.#options;
    const path = `${method} ${url.pathname}`;
    const entry = this.#service.entryOf(request, { method, path, body, atMs: clock.unixMs(), status: 0, isAbandoned: false });
    this.requests.push(entry);
    response.once("close", () => {
      entry.isAbandoned = !response.writableFinished;
      onRequest?.(entry);
    });
    const gate = this.#gate;
    this.#gate = undefined;
    await gate?.pass();
    const fault = this.faults.take(entry.path);
    if (fault === "hang") return;
    if (fault === "reset") {
      response.socket?.destroy();
      return;
    }
    const answer = await this.#answer(request, entry, fault);
    entry.status = answer.status;
    response.writeHead(answer.status, { ...this.#service.headersOf(entry), ...answer.headers });
    if (fault === "endless") return await writeUntilClosed(response, answer.text);
    response.end(fault === "cut" ? answer.text.slice(0, -4) : answer.text);
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
    else await Promise.race([once(response, "drain"), once(response, "close")]);
  }
}

async function textOf(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part);
  return Buffer.concat(parts).toString("utf8");
}
