import { randomBytes } from "node:crypto";
import type { Clock } from "../../core/base/clock.ts";
import { badRequest, permissionDenied } from "./answer.ts";

/** The rights of a token: paths with their capabilities. A path that ends in `*` covers all paths with that beginning. */
export type Policy = Readonly<Record<string, readonly Capability[]>>;

export type Capability = "create" | "read" | "update" | "delete" | "list" | "sudo";

export interface IssuedToken {
  readonly id: string;
  readonly accessor: string;
  readonly namespace: string;
  readonly policy: Policy;
  readonly isRenewable: boolean;
  /** Unix times in milliseconds. */
  readonly issuedMs: number;
  expiresMs: number;
  readonly lastMs: number;
  isRevoked: boolean;
}

export interface TokenTraits {
  readonly policy?: Policy;
  /** Default: the root namespace. */
  readonly namespace?: string;
  /** Default 32 days. */
  readonly ttlSeconds?: number;
  /** The longest life, renewals included. Default: `ttlSeconds`, or 32 days where that is shorter. */
  readonly maxTtlSeconds?: number;
  readonly isRenewable?: boolean;
}

/** The tokens of a server. */
export class TokenStore {
  readonly #clock: Clock;
  readonly #tokens: Map<string, IssuedToken> = new Map();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  issue({ policy = EVERYTHING, namespace = "", ttlSeconds = MONTH_SECONDS, maxTtlSeconds, isRenewable = true }: TokenTraits): IssuedToken {
    const issuedMs = this.#clock.unixMs();
    const id = `hvs.${randomBytes(24).toString("base64url")}`;
    const lastMs = issuedMs + (maxTtlSeconds ?? Math.max(ttlSeconds, MONTH_SECONDS)) * 1000;
    const token: IssuedToken = {
      id,
      accessor: randomBytes(12).toString("hex"),
      namespace,
      policy,
      isRenewable,
      issuedMs,
      expiresMs: Math.min(issuedMs + ttlSeconds * 1000, lastMs),
      lastMs,
      isRevoked: false,
    };
    this.#tokens.set(id, token);
    return token;
  }

  /** @throws VaultAnswer, the same for every invalid token */
  check(id: string | undefined, namespace: string): IssuedToken {
    const token = id === undefined ? undefined : this.#tokens.get(id);
    if (token === undefined || token.isRevoked || token.expiresMs <= this.#clock.unixMs()) throw permissionDenied();
    if (namespace !== token.namespace && !namespace.startsWith(`${token.namespace}/`) && token.namespace !== "") throw permissionDenied();
    return token;
  }

  /** @throws VaultAnswer */
  renew(token: IssuedToken, incrementSeconds: number | undefined): void {
    if (!token.isRenewable) throw badRequest("lease is not renewable");
    const lifeMs = incrementSeconds === undefined ? token.expiresMs - token.issuedMs : incrementSeconds * 1000;
    token.expiresMs = Math.min(this.#clock.unixMs() + lifeMs, token.lastMs);
  }

  revokeAll(): void {
    for (const token of this.#tokens.values()) token.isRevoked = true;
  }
}

/** @throws VaultAnswer unless the policy grants the capability on the path, without its `/v1/` */
export function requireCapability({ policy }: IssuedToken, path: string, capability: Capability): void {
  if (capabilitiesOf(policy, path).includes(capability)) return;
  throw permissionDenied();
}

/** Returns the capabilities of the longest matching pattern. */
export function capabilitiesOf(policy: Policy, path: string): readonly Capability[] {
  const fitting = Object.keys(policy).filter((pattern) =>
    pattern.endsWith("*") ? path.startsWith(pattern.slice(0, -1)) : pattern === path,
  );
  const [longest] = fitting.sort((a, b) => b.length - a.length);
  return longest === undefined ? [] : (policy[longest] ?? []);
}

const EVERYTHING: Policy = { "*": ["create", "read", "update", "delete", "list", "sudo"] };
const MONTH_SECONDS = 32 * 24 * 3600;
