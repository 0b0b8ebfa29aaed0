import { generateKeyPairSync, type KeyObject, randomBytes, verify } from "node:crypto";
import type { Clock } from "../../core/base/clock.ts";
import { denied, unauthenticated } from "./google-answer.ts";

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
  readonly #scopes: ReadonlySet<string>;
  readonly #tokens: Map<string, { readonly principal: Principal; readonly endMs: number }> = new Map();
  readonly #accounts: Map<string, { readonly principal: Principal; readonly publicKey: KeyObject }> = new Map();
  #count = 0;

  /** @param scopes any of which the service takes, such as `cloudkms` */
  constructor(clock: Clock, scopes: readonly string[]) {
    this.#clock = clock;
    this.#scopes = new Set([...scopes, "cloud-platform"].map((scope) => `https://www.googleapis.com/auth/${scope}`));
  }

  principal({ email, grants = EVERYTHING, ttlSeconds = HOUR_SECONDS }: PrincipalTraits): Principal {
    this.#count++;
    return { email: email ?? `account-${this.#count}@acme.iam.gserviceaccount.com`, grants, ttlSeconds };
  }

  issue(principal: Principal): string {
    const token = `ya29.${randomBytes(48).toString("base64url")}`;
    this.#tokens.set(token, { principal, endMs: this.#clock.unixMs() + principal.ttlSeconds * 1000 });
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

  /** Returns the account that signed a currently valid assertion (RFC 7523). */
  asserted(assertion: string): Principal | undefined {
    const [head = "", claims = "", signature = ""] = assertion.split(".");
    const { iss, aud, iat, exp, scope } = claimsIn(claims);
    const account = typeof iss === "string" ? this.#accounts.get(iss) : undefined;
    if (account === undefined || aud !== TOKEN_URI || !this.#isScope(scope)) return undefined;
    if (!verify("sha256", Buffer.from(`${head}.${claims}`), account.publicKey, Buffer.from(signature, "base64url"))) return undefined;
    const nowSeconds = this.#clock.unixMs() / 1000;
    const isNow =
      typeof iat === "number" &&
      typeof exp === "number" &&
      iat <= nowSeconds + SKEW_SECONDS &&
      exp > nowSeconds &&
      exp - iat <= HOUR_SECONDS;
    return isNow ? account.principal : undefined;
  }

  /** Returns the principal of a valid token. */
  holder(authorization: string | undefined): Principal | undefined {
    const [, token = ""] = /^Bearer (.+)$/.exec(authorization ?? "") ?? [];
    const held = this.#tokens.get(token);
    return held === undefined || held.endMs <= this.#clock.unixMs() ? undefined : held.principal;
  }

  /** @throws GcpAnswer */
  check(authorization: string | undefined): Principal {
    const principal = this.holder(authorization);
    if (principal === undefined) throw unauthenticated();
    return principal;
  }

  /** Whether one of the scopes in a list, parted by blanks, is one that the service takes. */
  #isScope(scopes: unknown): boolean {
    return typeof scopes === "string" && scopes.split(" ").some((scope) => this.#scopes.has(scope));
  }

  revokeTokens(): void {
    this.#tokens.clear();
  }

  forgetAccounts(): void {
    this.#accounts.clear();
  }
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
const EVERYTHING: Grants = { "": ["*"] };
const HOUR_SECONDS = 3600;
const SKEW_SECONDS = 300;
