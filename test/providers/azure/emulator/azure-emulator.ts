import { randomBytes } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import type { AzureTokenOptions } from "../../../../providers/azure/index.ts";
import type { HeldCall } from "../../../../providers/conformance/index.ts";
import { deferred } from "../../../deferred.ts";
import { Answer, forbidden, keyNotFound } from "./answer.ts";
import { loopbackCertificate } from "./certificate.ts";
import { attributesOf, bundleOf, type EmulatedVersion, type KeySpec, newVersion, unwrapUnder, wrapUnder } from "./emulated-key.ts";
import { TransactionLimits } from "./transaction-limits.ts";

export interface EmulatorOptions {
  /** Unix time in milliseconds. */
  readonly now?: () => number;
  /** Whether the documented transaction limits of a vault hold. */
  readonly hasLimits?: boolean;
  /** Seconds to name in `Retry-After`; the service often names none. */
  readonly retryAfterSeconds?: number;
}

export interface LoggedRequest {
  readonly method: string;
  /** `GET /keys/orders`, without host and query. */
  readonly path: string;
  readonly hasToken: boolean;
  readonly body: string;
  status: number;
  /** Whether the caller hung up before there was an answer. */
  isAbandoned: boolean;
}

/** What becomes of a request instead of an answer. */
export type Fault = Answer | RawAnswer | "reset" | "hang" | "cut" | "garbage" | "claims";

/** What a proxy, a load balancer or a broken service says. */
export interface RawAnswer {
  readonly status: number;
  readonly text: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * A key vault on a loopback port: HTTPS with a certificate of its own, a challenge with tokens that it checks, keys with versions and
 * attributes, real cryptography, and faults on order. What it answers follows the service's documentation.
 */
export class AzureEmulator {
  readonly ca: string;
  readonly requests: LoggedRequest[] = [];
  readonly limits: TransactionLimits;
  readonly token: string = randomBytes(24).toString("base64url");
  /** How many tokens were asked for, and for which. */
  readonly tokenRequests: { readonly scopes: string; readonly options: AzureTokenOptions }[] = [];
  readonly #server: Server;
  readonly #options: EmulatorOptions;
  readonly #keys: Map<string, EmulatedVersion[]> = new Map();
  readonly #deleted: Map<string, EmulatedVersion[]> = new Map();
  readonly #denied: Map<string, Answer> = new Map();
  readonly #faults: { readonly fault: Fault; readonly on: RegExp }[] = [];
  #connectionCount = 0;
  #gate: { readonly arrive: () => void; readonly released: Promise<void> } | undefined;

  private constructor(options: EmulatorOptions) {
    const { ca, certificate, privateKey } = loopbackCertificate();
    this.ca = ca;
    this.#options = options;
    this.limits = new TransactionLimits(this.#now);
    this.#server = createServer({ key: privateKey, cert: certificate }, (request, response) => void this.#serve(request, response));
    this.#server.on("secureConnection", () => this.#connectionCount++);
  }

  static async start(options: EmulatorOptions = {}): Promise<AzureEmulator> {
    const emulator = new AzureEmulator(options);
    await new Promise<void>((resolve) => emulator.#server.listen(0, "127.0.0.1", resolve));
    return emulator;
  }

  get host(): string {
    return `127.0.0.1:${this.#port}`;
  }

  get url(): string {
    return `https://${this.host}`;
  }

  get connectionCount(): number {
    return this.#connectionCount;
  }

  keyUrl(name: string, version?: string): string {
    return `${this.url}/keys/${name}${version === undefined ? "" : `/${version}`}`;
  }

  /** What a credential of @azure/identity does, with a token that this emulator knows. */
  readonly getToken = async (
    scopes: string | string[],
    options: AzureTokenOptions = {},
  ): Promise<{ token: string; expiresOnTimestamp: number }> => {
    this.tokenRequests.push({ scopes: `${scopes}`, options });
    return { token: this.token, expiresOnTimestamp: this.#now() + 3_600_000 };
  };

  /** @param ageMs how long ago the version was made @returns the id of its first version */
  async createKey(name: string, spec: KeySpec, ageMs = 3_600_000): Promise<string> {
    this.#keys.set(name, []);
    return await this.#addVersion(name, spec, ageMs);
  }

  /** @returns the id of the new version */
  async rotate(name: string, ageMs = 0): Promise<string> {
    return await this.#addVersion(name, this.#newest(name).spec, ageMs);
  }

  change(name: string, version: string, change: Partial<Pick<EmulatedVersion, "enabled" | "nbf" | "exp" | "isReplicated">>): void {
    Object.assign(this.#version(name, version), change);
  }

  newestVersion(name: string): string {
    return this.#newest(name).id;
  }

  softDelete(name: string): void {
    this.#deleted.set(name, this.#keys.get(name) ?? []);
    this.#keys.delete(name);
  }

  recover(name: string): void {
    this.#keys.set(name, this.#deleted.get(name) ?? []);
    this.#deleted.delete(name);
  }

  /** Refuses an operation to everybody until it is allowed again. */
  deny(operation: "read" | "wrapkey" | "unwrapkey", answer: Answer = forbidden("ForbiddenByRbac")): void {
    this.#denied.set(operation, answer);
  }

  allow(operation: "read" | "wrapkey" | "unwrapkey"): void {
    this.#denied.delete(operation);
  }

  /** The next request whose `METHOD /path` fits meets this; faults on the same are met in turn. */
  failNext(fault: Fault, on: RegExp = /^/): void {
    this.#faults.push({ fault, on });
  }

  holdNext(): HeldCall {
    const arrived = deferred();
    const released = deferred();
    this.#gate = { arrive: arrived.resolve, released: released.promise };
    return { arrived: arrived.promise, release: released.resolve };
  }

  /** Forgets the log, and hands it out. */
  takeRequests(): readonly LoggedRequest[] {
    return this.requests.splice(0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  get #port(): number {
    const address: AddressInfo | string | null = this.#server.address();
    return typeof address === "object" && address !== null ? address.port : 0;
  }

  readonly #now = (): number => this.#options.now?.() ?? Date.now();

  async #addVersion(name: string, spec: KeySpec, ageMs: number): Promise<string> {
    const version = await newVersion(spec, Math.floor((this.#now() - ageMs) / 1000));
    this.#versions(name).push(version);
    return version.id;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await textOf(request);
    const url = new URL(request.url ?? "/", this.url);
    const hasToken = request.headers.authorization === `Bearer ${this.token}`;
    const { method = "" } = request;
    const logged: LoggedRequest = {
      method,
      path: `${method} ${url.pathname}`,
      hasToken,
      body,
      status: 0,
      isAbandoned: false,
    };
    this.requests.push(logged);
    response.once("close", () => {
      logged.isAbandoned = !response.writableFinished;
    });
    const gate = this.#gate;
    this.#gate = undefined;
    gate?.arrive();
    await gate?.released;
    const index = this.#faults.findIndex(({ on }) => on.test(logged.path));
    const [met] = index === -1 ? [] : this.#faults.splice(index, 1);
    try {
      if (met !== undefined && met.fault !== "cut") throw met.fault;
      if (request.headers.authorization === undefined || !hasToken) throw this.#challenge();
      const answer = JSON.stringify(await this.#answer(method, url, body));
      logged.status = 200;
      response.setHeader("content-type", "application/json");
      if (met?.fault === "cut") response.end(answer.slice(0, -4));
      else response.end(answer);
    } catch (fault) {
      this.#fail(fault, logged, response);
    }
  }

  #fail(fault: unknown, logged: LoggedRequest, response: ServerResponse): void {
    if (fault === "hang") return;
    if (fault === "reset") {
      response.socket?.destroy();
      return;
    }
    const { status, text, headers } = this.#rawAnswer(fault);
    logged.status = status;
    response.writeHead(status, { "content-type": "application/json", "x-ms-request-id": REQUEST_ID, ...headers });
    response.end(text);
  }

  #rawAnswer(fault: unknown): RawAnswer {
    if (fault === "garbage") return { status: 200, text: "<html>" };
    if (fault === "claims") return this.#rawAnswer(this.#challenge(`, error="insufficient_claims", claims="${btoa(CLAIMS)}"`, ""));
    if (fault instanceof Answer) return { status: fault.status, text: JSON.stringify(fault.body), headers: fault.headers };
    if (isRawAnswer(fault)) return fault;
    return { status: 500, text: `${fault}` };
  }

  #challenge(more = "", resource: string = `, resource="${TOKEN_RESOURCE}"`): Answer {
    const header = `Bearer authorization="https://login.microsoftonline.com/${TENANT}"${resource}${more}`;
    return new Answer(401, { code: "Unauthorized", message: "No token." }, { "www-authenticate": header });
  }

  async #answer(method: string, url: URL, body: string): Promise<object> {
    if (url.searchParams.get("api-version") === null) throw new Answer(400, { code: "BadParameter", message: "No api-version." });
    const [, collection, name = "", version = "", operation = ""] = url.pathname.split("/");
    if (method === "POST" && collection === "rng") return this.#random(body);
    if (collection !== "keys") throw new Answer(404, { code: "NotFound" });
    if (method === "GET") return this.#read(name, version, url);
    if (method === "POST" && (operation === "wrapkey" || operation === "unwrapkey"))
      return this.#wrapOrUnwrap(name, version, operation, body);
    throw new Answer(405, { code: "MethodNotAllowed" });
  }

  #read(name: string, version: string, url: URL): object {
    const denied = this.#denied.get("read");
    if (denied !== undefined) throw denied;
    if (version !== "versions") {
      const found = this.#version(name, version);
      return bundleOf(found, this.keyUrl(name, found.id));
    }
    // Pages of 2 in no useful order, where the service has 25: what is listed must not be taken to be sorted, nor to be all.
    const from = Number(url.searchParams.get("from") ?? 0);
    const all = this.#versions(name);
    const value = all.slice(from, from + 2).map((found) => ({ kid: this.keyUrl(name, found.id), attributes: attributesOf(found) }));
    const nextLink = from + 2 < all.length ? `${this.url}${url.pathname}?api-version=7.6&from=${from + 2}` : undefined;
    return { value, nextLink };
  }

  #wrapOrUnwrap(name: string, versionId: string, operation: "wrapkey" | "unwrapkey", body: string): object {
    const denied = this.#denied.get(operation);
    if (denied !== undefined) throw denied;
    const version = this.#version(name, versionId);
    const { alg, value } = parsedRequest(body);
    this.#checkUse(version, operation);
    if (this.#options.hasLimits && !this.limits.take(version.spec)) throw this.#throttled();
    const result = operation === "wrapkey" ? wrapUnder(version, alg, value) : unwrapUnder(version, alg, value);
    return { kid: this.keyUrl(name, version.id), value: result.toString("base64url") };
  }

  /** A disabled key still wraps, and a key outside its dates still unwraps: the service does it that way. */
  #checkUse({ enabled, nbf = 0, exp = Number.POSITIVE_INFINITY, spec }: EmulatedVersion, operation: "wrapkey" | "unwrapkey"): void {
    const nowSeconds = this.#now() / 1000;
    const needed = operation === "wrapkey" ? "wrapKey" : "unwrapKey";
    if (spec.operations !== undefined && !spec.operations.includes(needed)) throw forbidden("KeyOperationForbidden");
    if (operation === "unwrapkey" && !enabled) throw forbidden("KeyDisabled");
    if (operation === "wrapkey" && nowSeconds < nbf) throw forbidden("KeyNotYetValid");
    if (operation === "wrapkey" && nowSeconds >= exp) throw forbidden("KeyExpired");
  }

  #random(body: string): object {
    const count: unknown = JSON.parse(body).count;
    if (typeof count !== "number" || count < 1 || count > 128) throw new Answer(400, { code: "BadParameter" });
    return { value: randomBytes(count).toString("base64url") };
  }

  #throttled(): Answer {
    const { retryAfterSeconds } = this.#options;
    const headers: Record<string, string> = retryAfterSeconds === undefined ? {} : { "retry-after": `${retryAfterSeconds}` };
    return new Answer(429, { code: "Throttled", message: "Too many requests. Reason: VaultRequestTypeLimitReached" }, headers);
  }

  #versions(name: string): EmulatedVersion[] {
    const versions = this.#keys.get(name.toLowerCase());
    if (versions === undefined) throw keyNotFound();
    return versions;
  }

  #newest(name: string): EmulatedVersion {
    const newest = this.#versions(name).findLast(({ isReplicated }) => isReplicated);
    if (newest === undefined) throw keyNotFound();
    return newest;
  }

  /** An empty version is the newest, which is what `/keys/orders//wrapkey` asks for. */
  #version(name: string, version: string): EmulatedVersion {
    const found = version === "" ? this.#newest(name) : this.#versions(name).find(({ id }) => id === version);
    if (found === undefined) throw keyNotFound();
    return found;
  }
}

export const TOKEN_RESOURCE = "https://vault.azure.net";
export const TENANT = "11111111-2222-3333-4444-555555555555";
export const REQUEST_ID = "8f6c1d1e-0000-4000-8000-00000e3a71ed";
const CLAIMS = '{"access_token":{"nbf":{"essential":true,"value":"1"}}}';

async function textOf(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part);
  return Buffer.concat(parts).toString("utf8");
}

function parsedRequest(body: string): { readonly alg: unknown; readonly value: Buffer } {
  if (body === "") throw new Answer(400, { code: "BadParameter", message: "The request has no body." });
  const { alg, value } = JSON.parse(body);
  return { alg, value: Buffer.from(`${value}`, "base64url") };
}

function isRawAnswer(fault: unknown): fault is RawAnswer {
  return typeof fault === "object" && fault !== null && "text" in fault && "status" in fault;
}
