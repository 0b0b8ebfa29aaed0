import { randomBytes } from "node:crypto";
import type { Clock } from "../../core/base/clock.ts";
import { Answer, forbidden } from "./answer.ts";
import { type Right, traitsOf } from "./rights.ts";

/** What a credential hands to a client. */
export interface EmulatedToken {
  readonly token: string;
  /** Unix time in milliseconds. */
  readonly expiresOnTimestamp: number;
}

export interface TokenRequestOptions {
  readonly tenantId?: string;
  /** What a claims challenge asked for. */
  readonly claims?: string;
  readonly enableCae?: boolean;
  readonly abortSignal?: AbortSignal;
}

export interface PrincipalOptions {
  /** In messages and in the log. */
  readonly name?: string;
  /** Everything if left out. */
  readonly rights?: readonly Right[];
  /** How long from now until they act, as a new role assignment needs some minutes. Default 0. */
  readonly rightsAfterMs?: number;
  /** How a right that is missing is refused. Default `rbac`. */
  readonly accessModel?: "rbac" | "access-policy";
  /** The tenant that its tokens come from. Default: that of the vault. */
  readonly tenantId?: string;
}

/** Who calls: a credential in the shape of those of `@azure/identity`, with tokens that the emulator knows, and what it may do. */
export class Principal {
  readonly name: string;
  readonly #options: PrincipalOptions;
  readonly #authority: TokenAuthority;
  readonly #rightsFromMs: number;

  constructor(authority: TokenAuthority, options: PrincipalOptions) {
    this.name = options.name ?? "owner";
    this.#authority = authority;
    this.#options = options;
    this.#rightsFromMs = authority.clock.unixMs() + (options.rightsAfterMs ?? 0);
  }

  /** A token that is good now, for the vault. */
  get token(): string {
    return this.#authority.tokenFor(this, this.#authority.resource, this.#options.tenantId, false).token;
  }

  readonly getToken = async (scopes: string | string[], options: TokenRequestOptions = {}): Promise<EmulatedToken> => {
    this.#authority.requests.push({ scopes: `${scopes}`, options });
    const resource = `${scopes}`.replace(/\/\.default$/, "");
    return this.#authority.tokenFor(this, resource, this.#options.tenantId, options.claims !== undefined);
  };

  /** @throws Answer unless it has the right, by now */
  require(right: Right): void {
    const { rights, accessModel = "rbac" } = this.#options;
    const hasRight = rights === undefined || rights.includes(right);
    if (hasRight && this.#authority.clock.unixMs() >= this.#rightsFromMs) return;
    const { action, permission } = traitsOf(right);
    if (accessModel === "rbac") throw forbidden("ForbiddenByRbac", {}, `${this.name} has no role for the action ${action}.`);
    throw forbidden("ForbiddenByPolicy", {}, `${this.name} has no ${permission} permission in the access policies.`);
  }
}

/** Issues tokens and checks them. */
export class TokenAuthority {
  readonly clock: Clock;
  /** What tokens are made out to, such as `https://vault.azure.net`. */
  readonly resource: string;
  /** How many tokens were asked for, and for which. */
  readonly requests: { readonly scopes: string; readonly options: TokenRequestOptions }[] = [];
  readonly #tenantId: string;
  readonly #issued = new Map<string, Issued>();
  /** Tokens from before this count no more, and new ones are given for claims alone. */
  #isRevoked = false;

  constructor(clock: Clock, resource: string, tenantId: string) {
    this.clock = clock;
    this.resource = resource;
    this.#tenantId = tenantId;
  }

  tokenFor(principal: Principal, resource: string, tenantId: string = this.#tenantId, hasClaims: boolean): EmulatedToken {
    const nowMs = this.clock.unixMs();
    if (hasClaims && this.#isRevoked) {
      this.#isRevoked = false;
      this.#issued.clear();
    }
    for (const [token, issued] of this.#issued) {
      const isSame = issued.principal === principal && issued.resource === resource && issued.tenantId === tenantId;
      if (isSame && issued.expiresMs - nowMs > TOKEN_LIFE_MS / 2) return { token, expiresOnTimestamp: issued.expiresMs };
    }
    const token = randomBytes(24).toString("base64url");
    const expiresMs = nowMs + TOKEN_LIFE_MS;
    this.#issued.set(token, { principal, resource, tenantId, expiresMs });
    return { token, expiresOnTimestamp: expiresMs };
  }

  /** From now on every token is answered with a claims challenge, until one is asked for with claims. */
  revoke(): void {
    this.#isRevoked = true;
  }

  /** @throws Answer, a challenge, for what is no good token */
  check(authorization: string | undefined): Principal {
    const [, token] = /^Bearer (\S+)$/i.exec(authorization ?? "") ?? [];
    if (token === undefined) throw this.#challenge("AKV10000: There is no bearer token.");
    const issued = this.#issued.get(token);
    if (issued === undefined) throw this.#challenge("AKV10046: The key that signed the token is not known.");
    if (issued.expiresMs <= this.clock.unixMs()) throw this.#challenge("AKV10043: The token is past its time.");
    if (issued.resource !== this.resource) throw this.#challenge("AKV10022: The token is for another audience.");
    if (issued.tenantId !== this.#tenantId) throw this.#challenge("AKV10032: The token is of another tenant.");
    if (this.#isRevoked) throw this.claimsChallenge();
    return issued.principal;
  }

  /** What continuous access evaluation answers a token that is good but no longer enough. */
  claimsChallenge(): Answer {
    const header = `Bearer authorization="${this.#authorityUrl}", error="insufficient_claims", claims="${btoa(CLAIMS)}"`;
    return new Answer(401, { code: "Unauthorized", message: "The token does not meet the claims." }, { "www-authenticate": header });
  }

  #challenge(message: string): Answer {
    const header = `Bearer authorization="${this.#authorityUrl}", resource="${this.resource}"`;
    return new Answer(401, { code: "Unauthorized", message }, { "www-authenticate": header });
  }

  get #authorityUrl(): string {
    return `https://login.microsoftonline.com/${this.#tenantId}`;
  }
}

interface Issued {
  readonly principal: Principal;
  readonly resource: string;
  readonly tenantId: string;
  readonly expiresMs: number;
}

const TOKEN_LIFE_MS = 3_600_000;
const CLAIMS = '{"access_token":{"nbf":{"essential":true,"value":"1"}}}';
