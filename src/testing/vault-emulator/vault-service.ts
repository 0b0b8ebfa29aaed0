import { randomUUID } from "node:crypto";
import type { Clock } from "../../core/base/clock.ts";
import type { RawAnswer } from "../emulator/fault-plan.ts";
import type { EmulatedService, LogEntry, ServedRequest } from "../emulator/loopback-server.ts";
import { badRequest, noHandler, permissionDenied, sealed, VaultAnswer } from "./answer.ts";
import { namedAnswer, type OwnFault } from "./faults.ts";
import type { LoginMethods } from "./logins.ts";
import { RequestFields } from "./request-fields.ts";
import { type Capability, capabilitiesOf, type IssuedToken, requireCapability, type TokenStore } from "./tokens.ts";
import type { TransitEngine } from "./transit-engine.ts";

/** One request, as the audit log records it. */
export interface LoggedRequest extends LogEntry {
  readonly requestId: string;
  readonly namespace: string;
  /** The operation, such as `encrypt`; undefined if the request was refused before. */
  operation: string | undefined;
  /** The accessor of its token, if that was valid. */
  accessor: string | undefined;
}

/** The state of a server, read anew for each request. */
export interface VaultState {
  readonly clock: Clock;
  readonly tokens: TokenStore;
  readonly logins: LoginMethods;
  isSealed: boolean;
  /** Mounts by namespace and path, such as `team/transit`. */
  readonly mounts: ReadonlyMap<string, TransitEngine>;
}

/** Routes of a Vault or OpenBao server for the transit engine and logins. */
export class VaultService implements EmulatedService<LoggedRequest, OwnFault> {
  readonly name = "vault emulator";
  readonly #state: VaultState;

  constructor(state: VaultState) {
    this.#state = state;
  }

  entryOf({ headers }: ServedRequest, base: LogEntry): LoggedRequest {
    const namespace = (headers["x-vault-namespace"]?.toString() ?? "").replace(/^\/|\/$/g, "");
    return { ...base, requestId: randomUUID(), namespace, operation: undefined, accessor: undefined };
  }

  headersOf(): Readonly<Record<string, string>> {
    return { "content-type": "application/json", "cache-control": "no-store" };
  }

  async meet(fault: OwnFault): Promise<RawAnswer> {
    return (fault instanceof VaultAnswer ? fault : namedAnswer(fault)).raw;
  }

  async answer(request: ServedRequest, entry: LoggedRequest): Promise<RawAnswer> {
    try {
      const status = this.#status(request.url.pathname);
      if (status !== undefined) return status;
      const data = this.#answer(request, entry);
      if (data === undefined) return { status: 204, text: "" };
      const isFailedBatch = "batch_results" in data && JSON.stringify(data).includes('"error":');
      return { status: isFailedBatch ? 400 : 200, text: `${JSON.stringify({ request_id: entry.requestId, ...envelopeOf(data) })}\n` };
    } catch (error) {
      if (error instanceof VaultAnswer) return error.raw;
      return new VaultAnswer(500, [`internal error: ${error}`]).raw;
    }
  }

  /** Answers for the state of the server, without token and envelope. A health request gets it by status too. */
  #status(path: string): RawAnswer | undefined {
    const { isSealed } = this.#state;
    const text = JSON.stringify({ initialized: true, sealed: isSealed, standby: false, type: "shamir", version: "1.16.0" });
    if (path === "/v1/sys/seal-status") return { status: 200, text };
    return path === "/v1/sys/health" ? { status: isSealed ? 503 : 200, text } : undefined;
  }

  #answer({ method, url, headers, body }: ServedRequest, entry: LoggedRequest): object | undefined {
    if (!url.pathname.startsWith("/v1/")) throw noHandler(url.pathname);
    const path = decodeURIComponent(url.pathname.slice("/v1/".length));
    if (this.#state.isSealed) throw sealed();
    const fields = RequestFields.parse(body);
    const login = this.#state.logins.answer(path, entry.namespace, fields);
    if (login !== undefined) {
      entry.operation = "login";
      return { auth: login };
    }
    const token = this.#state.tokens.check(headers["x-vault-token"]?.toString(), entry.namespace);
    entry.accessor = token.accessor;
    if (path === "sys/capabilities-self") return this.#capabilities(token, body, entry);
    if (path.startsWith("auth/token/")) return this.#own(path.slice("auth/token/".length), token, fields, entry);
    return this.#transit(method, path, url.searchParams, fields, token, entry);
  }

  #capabilities(token: IssuedToken, body: string, entry: LoggedRequest): object {
    entry.operation = "capabilities";
    const { paths = [] }: { readonly paths?: readonly string[] } = JSON.parse(body);
    return Object.fromEntries(
      paths.map((path) => {
        const held = capabilitiesOf(token.policy, path);
        return [path, held.length === 0 ? ["deny"] : held];
      }),
    );
  }

  #own(verb: string, token: IssuedToken, fields: RequestFields, entry: LoggedRequest): object | undefined {
    entry.operation = verb;
    if (verb === "renew-self") {
      this.#state.tokens.renew(token, fields.number("increment"));
      return { auth: this.#state.logins.authOf(token) };
    }
    if (verb === "lookup-self")
      return { accessor: token.accessor, ttl: this.#state.logins.secondsLeft(token), renewable: token.isRenewable };
    if (verb === "revoke-self") {
      token.isRevoked = true;
      return undefined;
    }
    throw permissionDenied();
  }

  #transit(
    method: string,
    path: string,
    query: URLSearchParams,
    fields: RequestFields,
    token: IssuedToken,
    entry: LoggedRequest,
  ): object | undefined {
    const [mount, engine] = this.#mountOf(entry.namespace, path);
    const [verb = "", name = "", extra = ""] = path.slice(mount.length + 1).split("/");
    entry.operation = verb === "keys" ? [method === "GET" ? "read-key" : extra || "create-key"].join("") : verb;
    const isRead = method === "GET" || method === "LIST";
    const need: Capability = verb === "keys" && name === "" ? "list" : isRead ? "read" : method === "DELETE" ? "delete" : "update";
    const capabilities = capabilitiesOf(token.policy, path);
    if (verb === "encrypt" && capabilities.includes("create")) return engine.encrypt(name, fields, true);
    requireCapability(token, path, need);
    switch (verb) {
      case "encrypt":
        return engine.encrypt(name, fields, false);
      case "decrypt":
        return engine.decrypt(name, fields);
      case "rewrap":
        return engine.rewrap(name, fields);
      case "datakey":
        return engine.dataKey(extra, name, fields);
      case "random":
        return engine.random(Number(name || (fields.text("bytes") ?? "32")), fields.text("format") ?? query.get("format") ?? "base64");
      case "keys":
        return this.#keys(method, name, extra, engine, fields);
      default:
        throw noHandler(path);
    }
  }

  #keys(method: string, name: string, verb: string, engine: TransitEngine, fields: RequestFields): object | undefined {
    if (name === "") return { keys: engine.names };
    if (verb === "rotate") {
      engine.key(name).rotate(this.#state.clock.unixMs());
      return engine.describe(name);
    }
    if (verb === "config") return engine.configure(name, fields);
    if (verb === "trim") return engine.trim(name, fields);
    if (verb !== "") throw badRequest("unsupported path");
    if (method === "GET") return engine.describe(name);
    if (method === "DELETE") {
      engine.delete(name);
      return undefined;
    }
    return engine.createFrom(name, fields);
  }

  #mountOf(namespace: string, path: string): readonly [mount: string, engine: TransitEngine] {
    for (const [place, engine] of this.#state.mounts) {
      const mount = namespace === "" ? place : place.startsWith(`${namespace}/`) ? place.slice(namespace.length + 1) : undefined;
      if (mount !== undefined && path.startsWith(`${mount}/`)) return [mount, engine];
    }
    throw noHandler(path);
  }
}

/** Logins stand beside `data`, everything else in it. */
function envelopeOf(data: object): object {
  return "auth" in data
    ? { lease_id: "", data: null, ...data }
    : { lease_id: "", renewable: false, lease_duration: 0, data, warnings: null, auth: null };
}
