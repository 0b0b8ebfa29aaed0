import { randomUUID } from "node:crypto";
import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer, type Server } from "node:https";
import type { Clock } from "../../core/base/clock.ts";
import { EnvelockError } from "../../core/base/errors.ts";
import { Answer } from "./answer.ts";
import { anyRequest, urlOf } from "./any-request.ts";
import { loopbackCertificate } from "./certificate.ts";
import { type Fault, FaultPlan, isTransportFault, namedAnswer, type RawAnswer, slownessOf, type TransportFault } from "./faults.ts";

/** One request, as the audit log has it. */
export interface LoggedRequest {
  readonly method: string;
  /** `GET /keys/orders`, without host and query. */
  readonly path: string;
  /** As it came, so data keys too. */
  readonly body: string;
  /** Whether there was a token, good or not. */
  readonly hasToken: boolean;
  /** Unix time in milliseconds. */
  readonly atMs: number;
  /** What the answer names as `x-ms-request-id`. */
  readonly requestId: string;
  readonly clientRequestId: string | undefined;
  /** Whose token it was, if it was good. */
  principal: string | undefined;
  /** As the service's audit log calls it, such as `KeyUnwrap`; undefined if the request did not get so far. */
  operationName: string | undefined;
  /** 0 until there is an answer. */
  status: number;
  /** Whether the caller hung up before there was an answer. */
  isAbandoned: boolean;
}

/** A call of the next request that is held: it has arrived, and is answered when released. */
export interface HeldRequest {
  readonly arrived: Promise<void>;
  release(): void;
}

export interface ServiceRequest {
  readonly method: string;
  readonly url: URL;
  readonly authorization: string | undefined;
  readonly body: string;
  readonly logged: LoggedRequest;
}

export interface ServiceAnswer {
  readonly status: number;
  /** Undefined where an answer has no body. */
  readonly json: object | undefined;
}

/** What stands behind the server. */
export interface Service {
  /** @throws Answer */
  answer(request: ServiceRequest): Promise<ServiceAnswer>;
  claimsChallenge(): Answer;
  /** Makes a new version of the key that a path names. */
  rotateKeyIn(path: string): Promise<unknown>;
}

/** HTTPS on a loopback port, with a log, and faults in front of the service. */
export class LoopbackServer {
  readonly ca: string;
  readonly requests: LoggedRequest[] = [];
  readonly faults: FaultPlan = new FaultPlan();
  readonly #server: Server;
  readonly #clock: Clock;
  readonly #service: Service;
  readonly #onRequest: ((request: LoggedRequest) => void) | undefined;
  #connectionCount = 0;
  #gate: Gate | undefined;

  constructor(clock: Clock, service: Service, onRequest: ((request: LoggedRequest) => void) | undefined) {
    const { ca, certificate, privateKey } = loopbackCertificate();
    this.ca = ca;
    this.#clock = clock;
    this.#service = service;
    this.#onRequest = onRequest;
    this.#server = createServer(
      { key: privateKey, cert: certificate },
      anyRequest((request, response) => this.#serve(request, response)),
    );
    this.#server.on("secureConnection", () => this.#connectionCount++);
  }

  /** @param port 0 for any that is free @throws `unavailable` if it is taken */
  async listen(port: number): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", (cause) => reject(new EnvelockError("unavailable", `azure emulator: ${cause.message}`, { cause })));
      this.#server.listen(port, "127.0.0.1", resolve);
    });
  }

  get host(): string {
    const address = this.#server.address();
    return `127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`;
  }

  get connectionCount(): number {
    return this.#connectionCount;
  }

  holdNext(): HeldRequest {
    const gate = new Gate();
    this.#gate = gate;
    return { arrived: gate.arrived, release: gate.release };
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await textOf(request).catch(() => undefined);
    if (body === undefined) return; // hung up in the middle of it
    const { method = "", headers } = request;
    const url = urlOf(request, `https://${this.host}`);
    if (url === undefined) {
      response
        .writeHead(400, { "content-type": "application/json" })
        .end('{"error":{"code":"BadParameter","message":"the target of the request is no path"}}');
      return;
    }
    const logged: LoggedRequest = {
      method,
      path: `${method} ${url.pathname}`,
      body,
      hasToken: headers.authorization !== undefined,
      atMs: this.#clock.unixMs(),
      requestId: randomUUID(),
      clientRequestId: headers["x-ms-client-request-id"]?.toString(),
      principal: undefined,
      operationName: undefined,
      status: 0,
      isAbandoned: false,
    };
    this.requests.push(logged);
    response.once("close", () => {
      logged.isAbandoned = !response.writableFinished;
      this.#onRequest?.(logged);
    });
    const gate = this.#gate;
    this.#gate = undefined;
    await gate?.pass();
    const fault = this.faults.take(logged.path);
    if (fault === "hang") return;
    if (fault === "reset") {
      response.socket?.destroy();
      return;
    }
    const answer = await this.#answer({ method, url, authorization: headers.authorization, body, logged }, fault);
    logged.status = answer.status;
    response.writeHead(answer.status, { ...ownHeaders(logged), ...answer.headers });
    if (fault === "endless") return await writeUntilClosed(response, answer.text);
    response.end(fault === "cut" ? answer.text.slice(0, -4) : answer.text);
  }

  async #answer(request: ServiceRequest, fault: Fault | undefined): Promise<RawAnswer> {
    try {
      if (fault === "garbage") return { status: 200, text: "<html>" };
      const instead = fault === undefined || isTransportFault(fault) ? undefined : await this.#met(fault, request.logged.path);
      if (instead !== undefined) return instead;
      const { status, json } = await this.#service.answer(request);
      return { status, text: json === undefined ? "" : JSON.stringify(json) };
    } catch (error) {
      return error instanceof Answer
        ? rawAnswer(error)
        : { status: 500, text: JSON.stringify({ error: { code: "Emulator", message: `${error}` } }) };
    }
  }

  /** @returns what is answered in place of the service's answer, if anything */
  async #met(fault: Exclude<Fault, TransportFault>, path: string): Promise<RawAnswer | undefined> {
    if (fault instanceof Answer) return rawAnswer(fault);
    if (fault === "claims") return rawAnswer(this.#service.claimsChallenge());
    if (typeof fault === "object") {
      if ("status" in fault) return fault;
      await fault.meanwhile();
      return undefined;
    }
    const answer = namedAnswer(fault);
    if (answer !== undefined) return rawAnswer(answer);
    if (fault === "rotation") await this.#service.rotateKeyIn(path);
    const slowMs = slownessOf(fault);
    if (slowMs !== undefined) await new Promise<void>((resolve) => void this.#clock.after(slowMs, resolve, "awaited"));
    return undefined;
  }
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

function rawAnswer({ status, body, headers }: Answer): RawAnswer {
  return { status, text: JSON.stringify(body), headers };
}

/** Writes an answer and then white space, as fast as the client takes it. */
async function writeUntilClosed(response: ServerResponse, text: string): Promise<void> {
  const spaces = " ".repeat(65_536);
  response.write(text);
  while (!response.destroyed) {
    if (response.write(spaces)) await new Promise((resolve) => setImmediate(resolve));
    else await Promise.race([once(response, "drain"), once(response, "close")]);
  }
}

function ownHeaders({ requestId, clientRequestId }: LoggedRequest): Readonly<Record<string, string>> {
  return {
    "content-type": "application/json; charset=utf-8",
    "cache-control": "no-cache",
    "x-ms-keyvault-region": "loopback",
    "x-ms-keyvault-service-version": "emulator",
    "x-ms-keyvault-network-info": "conn_type=Ipv4;addr=127.0.0.1;act_addr_fam=InterNetwork;",
    "x-ms-request-id": requestId,
    ...(clientRequestId !== undefined && { "x-ms-client-request-id": clientRequestId }),
  };
}

async function textOf(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part);
  return Buffer.concat(parts).toString("utf8");
}
