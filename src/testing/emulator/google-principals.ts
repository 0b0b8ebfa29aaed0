import { generateKeyPairSync, type KeyObject, randomBytes, verify } from "node:crypto";
import type { Clock } from "../../core/base/clock.ts";
import { denied, GcpAnswer, unauthenticated } from "./google-answer.ts";

/** The rights of a principal: permissions by the name of a resource, valid for all resources under it. `*` stands for any name. */
export type Grants = Readonly<Record<string, readonly string[]>>;

export interface PrincipalTraits {
  readonly email?: string;
  /** The rights. Default: all. */
  readonly grants?: Grants;
  /** The lifetime of its tokens. Default: one hour. */
  readonly ttlSeconds?: number;
}

export interface Principal {
  readonly email: string;
  readonly grants: Grants;
  readonly ttlSeconds: number;
}

/** Service accounts, their keys and their tokens. */
export class Principals {
  readonly #clock: Clock;
  readonly #scopes: readonly string[];
  readonly #tokens: Map<string, IssuedToken> = new Map();
  readonly #accounts: Map<string, { readonly principal: Principal; readonly publicKey: KeyObject }> = new Map();
  #count = 0;

  /** @param scopes any of which the service takes, such as `cloudkms` */
  constructor(clock: Clock, scopes: readonly string[]) {
    this.#clock = clock;
    this.#scopes = scopes;
  }

  principal({ email, grants = EVERYTHING, ttlSeconds = HOUR_SECONDS }: PrincipalTraits): Principal {
    this.#count++;
    return { email: email ?? `account-${this.#count}@acme.iam.gserviceaccount.com`, grants, ttlSeconds };
  }

  /** @param scopes in full; undefined for all */
  issue(principal: Principal, scopes?: readonly string[]): string {
    const token = `ya29.${randomBytes(48).toString("base64url")}`;
    this.#tokens.set(token, { principal, scopes, endMs: this.#clock.unixMs() + principal.ttlSeconds * 1000 });
    return token;
  }

  /** @returns the file of the account's key, as JSON */
  addAccount(traits: PrincipalTraits): string {
    const principal = this.principal(traits);
    const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    this.#accounts.set(principal.email, { principal, publicKey });
    return JSON.stringify({
      type: "service_account",
      project_id: "acme",
      private_key_id: randomBytes(20).toString("hex"),
      private_key: privateKey.export({ type: "pkcs8", format: "pem" }),
      client_email: principal.email,
      token_uri: TOKEN_URI,
    });
  }

  account(email: string): Principal | undefined {
    return this.#accounts.get(email)?.principal;
  }

  /** Returns the account that signed a currently valid assertion, and the scopes that it asks for (RFC 7523). */
  asserted(assertion: string): { readonly principal: Principal; readonly scopes: readonly string[] } | undefined {
    const [head = "", claims = "", signature = ""] = assertion.split(".");
    const { iss, aud, iat, exp, scope } = claimsIn(claims);
    const account = typeof iss === "string" ? this.#accounts.get(iss) : undefined;
    if (account === undefined || aud !== TOKEN_URI || typeof scope !== "string" || !SCOPES.test(scope)) return undefined;
    if (!verify("sha256", Buffer.from(`${head}.${claims}`), account.publicKey, Buffer.from(signature, "base64url"))) return undefined;
    const nowSeconds = this.#clock.unixMs() / 1000;
    const isNow =
      typeof iat === "number" &&
      typeof exp === "number" &&
      iat <= nowSeconds + SKEW_SECONDS &&
      exp > nowSeconds &&
      exp - iat <= HOUR_SECONDS;
    return isNow ? { principal: account.principal, scopes: scope.split(" ") } : undefined;
  }

  /**
   * Returns the principal of a valid token.
   *
   * @param scopes one of which the token must have, or `cloud-platform`
   * @throws GcpAnswer for a token without it
   */
  holder(authorization: string | undefined, scopes: readonly string[] = this.#scopes): Principal | undefined {
    const [, token = ""] = /^Bearer (.+)$/.exec(authorization ?? "") ?? [];
    const held = this.#tokens.get(token);
    if (held === undefined || held.endMs <= this.#clock.unixMs()) return undefined;
    const isMeant = [...scopes, "cloud-platform"].some((scope) => held.scopes?.includes(`${SCOPE_START}${scope}`) !== false);
    if (!isMeant) throw new GcpAnswer(403, "PERMISSION_DENIED", "Request had insufficient authentication scopes.");
    return held.principal;
  }

  /** @throws GcpAnswer */
  check(authorization: string | undefined, scopes?: readonly string[]): Principal {
    const principal = this.holder(authorization, scopes);
    if (principal === undefined) throw unauthenticated();
    return principal;
  }

  revokeTokens(): void {
    this.#tokens.clear();
  }

  forgetAccounts(): void {
    this.#accounts.clear();
  }
}

interface IssuedToken {
  readonly principal: Principal;
  /** Undefined for all. */
  readonly scopes: readonly string[] | undefined;
  readonly endMs: number;
}

export function isGranted({ grants }: Principal, permission: string, resource: string): boolean {
  return Object.entries(grants).some(([under, permissions]) => {
    const covers = under === "" || resource === under || resource.startsWith(`${under}/`);
    return covers && (permissions.includes("*") || permissions.includes(permission));
  });
}

/** @throws GcpAnswer */
export function requireGrant(principal: Principal, permission: string, resource: string): void {
  if (!isGranted(principal, permission, resource)) throw denied(permission, resource);
}

function claimsIn(text: string): Readonly<Record<string, unknown>> {
  try {
    return { ...JSON.parse(Buffer.from(text, "base64url").toString()) };
  } catch {
    return {};
  }
}

const TOKEN_URI = "https://oauth2.googleapis.com/token";
const SCOPE_START = "https://www.googleapis.com/auth/";
const SCOPES = /^https:\/\/www\.googleapis\.com\/auth\/[\w.-]+(?: https:\/\/www\.googleapis\.com\/auth\/[\w.-]+)*$/;
const EVERYTHING: Grants = { "": ["*"] };
const HOUR_SECONDS = 3600;
const SKEW_SECONDS = 300;
