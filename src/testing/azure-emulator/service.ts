import { randomUUID } from "node:crypto";
import type { RawAnswer } from "../emulator/fault-plan.ts";
import type { EmulatedService, LogEntry, ServedRequest } from "../emulator/loopback-server.ts";
import { Answer, forbidden } from "./answer.ts";
import { namedAnswer, type OwnFault } from "./faults.ts";
import { JsonFields } from "./json-fields.ts";
import type { LoggedRequest } from "./logged-request.ts";
import type { TokenAuthority } from "./principals.ts";
import { type Right, traitsOf } from "./rights.ts";
import { ROUTES, type Route } from "./routes.ts";
import type { Vault } from "./vault.ts";

/** The callers that the network rules keep out, if any. */
export type Shield = "firewall" | "private-link";

/** Checks each request before its route answers: token, network, API version and rights. */
export class VaultService implements EmulatedService<LoggedRequest, OwnFault> {
  readonly name = "azure emulator";
  readonly tokens: TokenAuthority;
  /** The operations refused to every caller. */
  readonly denied: Map<Right, Answer> = new Map();
  shield: Shield | undefined;
  readonly #vault: () => Vault;
  readonly #apiVersions: ReadonlySet<string>;

  constructor(tokens: TokenAuthority, apiVersions: readonly string[], vault: () => Vault) {
    this.tokens = tokens;
    this.#apiVersions = new Set(apiVersions);
    this.#vault = vault;
  }

  entryOf({ headers }: ServedRequest, base: LogEntry): LoggedRequest {
    return {
      ...base,
      hasToken: headers.authorization !== undefined,
      requestId: randomUUID(),
      clientRequestId: headers["x-ms-client-request-id"]?.toString(),
      principal: undefined,
      operationName: undefined,
    };
  }

  headersOf({ requestId, clientRequestId }: LoggedRequest): Readonly<Record<string, string>> {
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

  async answer(request: ServedRequest, logged: LoggedRequest): Promise<RawAnswer> {
    try {
      return await this.#answer(request, logged);
    } catch (error) {
      if (error instanceof Answer) return rawAnswer(error);
      return { status: 500, text: JSON.stringify({ error: { code: "Emulator", message: `${error}` } }) };
    }
  }

  async meet(fault: OwnFault, _request: ServedRequest, { path }: LoggedRequest): Promise<RawAnswer | undefined> {
    if (fault instanceof Answer) return rawAnswer(fault);
    if (fault === "claims") return rawAnswer(this.tokens.claimsChallenge());
    if (fault === "rotation") await this.#rotateKeyIn(path);
    const answer = namedAnswer(fault);
    return answer && rawAnswer(answer);
  }

  async #answer({ method, url, headers, body }: ServedRequest, logged: LoggedRequest): Promise<RawAnswer> {
    const principal = this.tokens.check(headers.authorization);
    logged.principal = principal.name;
    if (this.shield !== undefined) throw forbidden(this.shield === "firewall" ? "ForbiddenByFirewall" : "ForbiddenByConnection");
    this.#requireApiVersion(url.searchParams.get("api-version"));
    const { route, name, version } = routeOf(method, url.pathname);
    logged.operationName = traitsOf(route.right).audited;
    const vault = this.#vault();
    if (route.only !== undefined && route.only.includes(vault.flavour) === false) throw noSuchPath();
    const denied = this.denied.get(route.right);
    if (denied !== undefined) throw denied;
    principal.require(route.right);
    if (body === "" && route.needsBody === true) throw new Answer(400, { code: "BadParameter", message: "The request has no body." });
    const json = await route.answer({ vault, name, version, query: url.searchParams, body: JsonFields.parse(body) });
    return json === undefined ? { status: 204, text: "" } : { status: route.status ?? 200, text: JSON.stringify(json) };
  }

  async #rotateKeyIn(path: string): Promise<void> {
    const [, name] = /^\w+ \/keys\/([^/]+)/.exec(path) ?? [];
    if (name !== undefined) await this.#vault().newVersion(name);
  }

  #requireApiVersion(version: string | null): void {
    if (version !== null && this.#apiVersions.has(version)) return;
    const message = version === null ? "The api-version is missing." : `The api-version ${version} is not known here.`;
    throw new Answer(400, { code: "BadParameter", message });
  }
}

function rawAnswer({ status, body, headers }: Answer): RawAnswer {
  return { status, text: JSON.stringify(body), headers };
}

function routeOf(method: string, path: string): { readonly route: Route; readonly name: string; readonly version: string } {
  const fitting = ROUTES.flatMap((route) => {
    const found = route.path.exec(path);
    if (found === null) return [];
    const { name = "", version = "" } = { ...found.groups };
    return [{ route, name, version }];
  });
  const found = fitting.find(({ route }) => route.method === method);
  if (found !== undefined) return found;
  throw fitting.length > 0 || path.startsWith("/keys/") ? new Answer(405, { code: "MethodNotAllowed" }) : noSuchPath();
}

function noSuchPath(): Answer {
  return new Answer(404, { code: "NotFound", message: "There is nothing at this path." });
}
