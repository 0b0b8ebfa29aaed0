import { type Clock, systemClock } from "../../src/core/base/clock.ts";
import { EnvelockError, invalidArgument } from "../../src/core/base/errors.ts";
import { Expiring } from "../http/expiring.ts";
import { given } from "../http/given.ts";
import type { HttpOptions } from "../http/http-service.ts";
import { SharedCredentials } from "../http/shared.ts";
import type { VaultServer } from "./server.ts";

/** A token, and when it ends. */
export interface VaultToken {
  readonly token: string;
  /** Unix time in milliseconds. Left out for a token that does not end by itself. */
  readonly expiresAtMs?: number;
}

/**
 * Where tokens come from: a token, a function that gives one whenever it is asked, or a login that the provider performs and renews
 * ({@link appRole}, {@link kubernetesLogin}, {@link jwtLogin}). All providers of one function or login share its token.
 */
export type VaultTokenSource = string | (() => Promise<VaultToken>) | VaultLogin;

/** A token with what the server says of its life. */
export interface HeldToken extends VaultToken {
  /** The life at first in milliseconds, if `renew-self` may lengthen it. */
  readonly renewableMs?: number;
}

/**
 * Returns the tokens of a source at a server. All connections to it over the same `fetch` and clock share them. A token is renewed at two
 * thirds of its life, or replaced by a login where the server lengthens it no more.
 *
 * @throws `invalid-argument`
 */
export function tokensOf(source: VaultTokenSource, server: VaultServer, http: HttpOptions): Expiring<HeldToken> {
  const { clock = systemClock } = http;
  const make = (load: TokenLoader): Expiring<HeldToken> =>
    new Expiring({
      clock,
      load,
      expiresAtMs: ({ expiresAtMs }) => expiresAtMs,
      secretOf: ({ token }) => token,
      aheadMs: Number.POSITIVE_INFINITY, // at two thirds of its life
    });
  if (typeof source === "string" && TOKEN.test(source)) return make(async () => ({ token: source }));
  if (typeof source !== "function" && !(source instanceof VaultLogin))
    throw invalidArgument("token is a token, a function that gives one, or a login such as appRole()");
  const load =
    typeof source === "function" ? () => given(GIVER, http, async () => checkedToken(await source())) : source.open(server, clock);
  return SHARED.of(source, http, JSON.stringify([server.origin, server.namespace]), () => make(load));
}

/** A login that the provider performs at the server's own address and namespace. Make one with {@link appRole} and its like. */
export class VaultLogin {
  /** Makes the function that renews the token that is given, or logs in anew. */
  readonly open: (server: VaultServer, clock: Clock) => TokenLoader;

  constructor(open: (server: VaultServer, clock: Clock) => TokenLoader) {
    this.open = open;
  }
}

/** Gets a fresh token: the one that is given with a longer life, or another one. */
export type TokenLoader = (kept: HeldToken | undefined) => Promise<HeldToken>;

/** Copies a token, which its giver may change in place. */
function checkedToken(found: VaultToken): VaultToken {
  const { token, expiresAtMs = Number.POSITIVE_INFINITY } = found ?? {};
  if (typeof token === "string" && TOKEN.test(token) && typeof expiresAtMs === "number" && !Number.isNaN(expiresAtMs))
    return { token, expiresAtMs };
  throw new EnvelockError("access-denied", "the token function gave no token", {
    detail: "credential",
    hint: "it must resolve to { token, expiresAtMs? }",
  });
}

/** The caller's function, in messages. */
export const GIVER = "the function that gives the vault credential";
const SHARED: SharedCredentials<HeldToken> = new SharedCredentials();
/** What may stand in a header. */
export const TOKEN: RegExp = /^[\x21-\x7e]{1,2048}$/;
