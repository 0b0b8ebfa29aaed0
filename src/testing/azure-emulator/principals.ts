import { randomBytes } from "node:crypto";
import type { Clock } from "../../core/base/clock.ts";
import { Answer, forbidden } from "./answer.ts";
import { type Right, traitsOf } from "./rights.ts";

/** The token that a credential gives to a client. */
export interface EmulatedToken {
  readonly token: string;
  /** Unix time in milliseconds. */
  readonly expiresOnTimestamp: number;
}

export interface TokenRequestOptions {
  readonly tenantId?: string;
  /** The claims that a challenge asked for. */
  readonly claims?: string;
  readonly enableCae?: boolean;
  readonly abortSignal?: AbortSignal;
}

export interface PrincipalOptions {
  /** The name in messages and in the log. */
  readonly name?: string;
  /** The rights. Default: all. */
  readonly rights?: readonly Right[];
  /** The delay until the rights apply; a new role assignment needs some minutes. Default 0. */
  readonly rightsAfterMs?: number;
  /** The kind of refusal for a missing right. Default `rbac`. */
  readonly accessModel?: "rbac" | "access-policy";
  /** The tenant that its tokens come from. Default: that of the vault. */
  readonly tenantId?: string;
}

/** A caller: a credential in the shape of `@azure/identity`, with tokens that the emulator knows, and its rights. */
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

  /** Returns a currently valid token for the vault. */
  get token(): string {
    return this.#authority.tokenFor(this, this.#authority.resource, this.#options.tenantId, false).token;
  }

  readonly getToken = async (scopes: string | string[], options: TokenRequestOptions = {}): Promise<EmulatedToken> => {
    this.#authority.requests.push({ scopes: `${scopes}`, options });
    const resource = `${scopes}`.replace(/\/\.default$/, "");
    return this.#authority.tokenFor(this, resource, this.#options.tenantId, options.claims !== undefined);
  };

  /** @throws Answer unless the principal has the right at this time */
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
  /** The audience of tokens, such as `https://vault.azure.net`. */
  readonly resource: string;
  /** The token requests so far. */
  readonly requests: { readonly scopes: string; readonly options: TokenRequestOptions }[] = [];
  readonly #tenantId: string;
  readonly #issued = new Map<string, Issued>();
  /** Tokens issued before this time are invalid, and new ones need claims. */
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

  /** Answers every token with a claims challenge from now on, until a client requests one with claims. */
  revoke(): void {
    this.#isRevoked = true;
  }

  /** @throws Answer with a challenge for an invalid token */
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

  /** The answer of continuous access evaluation to a valid token that no longer suffices. */
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
