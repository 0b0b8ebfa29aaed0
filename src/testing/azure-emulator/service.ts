import { Answer, forbidden } from "./answer.ts";
import { JsonFields } from "./json-fields.ts";
import type { TokenAuthority } from "./principals.ts";
import { type Right, traitsOf } from "./rights.ts";
import { ROUTES, type Route } from "./routes.ts";
import type { Service, ServiceAnswer, ServiceRequest } from "./server.ts";
import type { Vault } from "./vault.ts";

/** From whom the network shields the vault, if it does. */
export type Shield = "firewall" | "private-link";

/** Who may ask for what: tokens, network, API version and rights come before a route answers. */
export class VaultService implements Service {
  readonly tokens: TokenAuthority;
  /** What is refused to everybody. */
  readonly denied: Map<Right, Answer> = new Map();
  shield: Shield | undefined;
  readonly #vault: () => Vault;
  readonly #apiVersions: ReadonlySet<string>;

  constructor(tokens: TokenAuthority, apiVersions: readonly string[], vault: () => Vault) {
    this.tokens = tokens;
    this.#apiVersions = new Set(apiVersions);
    this.#vault = vault;
  }

  async answer({ method, url, authorization, body, logged }: ServiceRequest): Promise<ServiceAnswer> {
    const principal = this.tokens.check(authorization);
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
    return { status: json === undefined ? 204 : 200, json };
  }

  claimsChallenge(): Answer {
    return this.tokens.claimsChallenge();
  }

  async rotateKeyIn(path: string): Promise<void> {
    const [, name] = /^\w+ \/keys\/([^/]+)/.exec(path) ?? [];
    if (name !== undefined) await this.#vault().newVersion(name);
  }

  #requireApiVersion(version: string | null): void {
    if (version !== null && this.#apiVersions.has(version)) return;
    const message = version === null ? "The api-version is missing." : `The api-version ${version} is not known here.`;
    throw new Answer(400, { code: "BadParameter", message });
  }
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
