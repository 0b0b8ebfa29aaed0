import type { Clock } from "../../core/base/clock.ts";
import { jsonIn } from "../../core/base/json.ts";
import type { RawAnswer } from "./fault-plan.ts";
import { denied } from "./google-answer.ts";
import { type Principal, type Principals, requireGrant } from "./google-principals.ts";
import type { ServedRequest } from "./loopback-server.ts";

/** The services that issue tokens: the token endpoint, the metadata server and the impersonation of service accounts. */
export class IdentityServices {
  readonly #clock: Clock;
  readonly #principals: Principals;
  /** The account of the metadata server; undefined where there is no such server, as outside Google Cloud. */
  attached: Principal | undefined;

  constructor(clock: Clock, principals: Principals) {
    this.#clock = clock;
    this.#principals = principals;
    this.attached = principals.principal({ email: "default@acme.iam.gserviceaccount.com" });
  }

  /** @returns undefined for a request of another service @throws GcpAnswer */
  answer({ method, url, headers, body }: ServedRequest): RawAnswer | undefined {
    if (url.pathname === "/token" && method === "POST") return this.#exchanged(body);
    if (url.pathname === METADATA_PATH) return this.#metadata(headers["metadata-flavor"]?.toString());
    const [, email] = IMPERSONATION.exec(decodeURIComponent(url.pathname)) ?? [];
    return email === undefined ? undefined : this.#impersonated(email, headers.authorization, body);
  }

  #exchanged(body: string): RawAnswer {
    const form = new URLSearchParams(body);
    if (form.get("grant_type") !== JWT_BEARER) return oauthError("unsupported_grant_type", `Invalid grant_type: ${form.get("grant_type")}`);
    const asserted = this.#principals.asserted(form.get("assertion") ?? "");
    if (asserted === undefined) return oauthError("invalid_grant", "Invalid JWT Signature.");
    return json(this.#token(asserted.principal, asserted.scopes));
  }

  #metadata(flavor: string | undefined): RawAnswer {
    if (flavor !== "Google")
      return { status: 403, text: "Missing Metadata-Flavor:Google header.", headers: { "content-type": "text/html" } };
    if (this.attached === undefined) return { status: 404, text: "not found", headers: { "content-type": "text/html" } };
    const answer = json(this.#token(this.attached));
    return { ...answer, headers: { ...answer.headers, "metadata-flavor": "Google" } };
  }

  #impersonated(email: string, authorization: string | undefined, body: string): RawAnswer {
    const caller = this.#principals.check(authorization, ["iam"]);
    const account = this.#principals.account(email);
    requireGrant(caller, "iam.serviceAccounts.getAccessToken", email);
    if (account === undefined) throw denied("iam.serviceAccounts.getAccessToken", email);
    const scopes = scopesIn(body);
    if (scopes.length === 0) return oauthError("INVALID_ARGUMENT", "scope is required");
    const expireTime = new Date(this.#clock.unixMs() + account.ttlSeconds * 1000).toISOString();
    return json({ accessToken: this.#principals.issue(account, scopes), expireTime });
  }

  #token(principal: Principal, scopes?: readonly string[]): object {
    return { access_token: this.#principals.issue(principal, scopes), expires_in: principal.ttlSeconds, token_type: "Bearer" };
  }
}

/** The scopes of a request for the token of another account. */
function scopesIn(body: string): readonly string[] {
  const request = jsonIn(body);
  const scopes: unknown = typeof request === "object" && request !== null ? Reflect.get(request, "scope") : undefined;
  return Array.isArray(scopes) ? scopes.filter((scope) => typeof scope === "string") : [];
}

function json(value: object): RawAnswer {
  return { status: 200, text: JSON.stringify(value), headers: { "content-type": "application/json" } };
}

function oauthError(error: string, description: string): RawAnswer {
  return { status: 400, text: JSON.stringify({ error, error_description: description }) };
}

const METADATA_PATH = "/computeMetadata/v1/instance/service-accounts/default/token";
const IMPERSONATION = /^\/v1\/projects\/-\/serviceAccounts\/([^/:]+):generateAccessToken$/;
const JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer";
