import { type Clock, systemClock } from "../../src/core/base/clock.ts";
import { EnvelockError, invalidArgument } from "../../src/core/base/errors.ts";
import { Expiring } from "../http/expiring.ts";
import { given } from "../http/given.ts";
import type { HttpOptions } from "../http/http-service.ts";
import { SharedCredentials } from "../http/shared.ts";

/** An access token, and when it ends: what `getAccessToken()` of the clients in `google-auth-library` gives. */
export interface GcpToken {
  readonly token?: string | null | undefined;
  /** Unix time in milliseconds. Left out: the function is asked again after five minutes. */
  readonly expiresAtMs?: number | undefined;
}

/**
 * Where access tokens come from: a function that gives one whenever it is asked, or a login that the provider performs
 * ({@link metadataServer}, {@link serviceAccountKey}, {@link impersonated}). The scope is `https://www.googleapis.com/auth/cloudkms`.
 */
export type GcpTokenSource = (() => Promise<GcpToken>) | GcpLogin;

/** A token that works, with its end. */
export interface HeldToken {
  readonly token: string;
  /** Unix time in milliseconds. */
  readonly expiresAtMs: number;
}

/** Gets a fresh token. */
export type TokenLoader = () => Promise<HeldToken>;

/** A login that the provider performs, with its own `fetch` and clock. Make one with the functions of this package. */
export class GcpLogin {
  /** Makes the loader of tokens of a scope, over what reaches the network. */
  readonly open: (http: HttpOptions, scope: string) => TokenLoader;

  constructor(open: (http: HttpOptions, scope: string) => TokenLoader) {
    this.open = open;
  }
}

/** Returns the tokens of a source. All connections over the same `fetch` and clock share them. @throws `invalid-argument` */
export function tokensOf(source: GcpTokenSource, http: HttpOptions, scope: string = KMS_SCOPE): Expiring<HeldToken> {
  const { clock = systemClock } = http;
  return SHARED.of(checkedSource(source), http, scope, () => {
    const load =
      source instanceof GcpLogin
        ? source.open(http, scope)
        : () => given("the function that gives the access token", http, async () => heldToken(await source(), clock));
    return new Expiring({ clock, load, expiresAtMs: ({ expiresAtMs }) => expiresAtMs, secretOf: ({ token }) => token });
  });
}

/** @throws `invalid-argument` */
export function checkedSource(source: GcpTokenSource): GcpTokenSource {
  if (typeof source === "function" || source instanceof GcpLogin) return source;
  throw invalidArgument("a token comes from a function that gives { token, expiresAtMs? }, or from a login such as metadataServer()");
}

function heldToken(found: GcpToken, clock: Clock): HeldToken {
  const token = found?.token;
  const expiresAtMs = found?.expiresAtMs ?? clock.unixMs() + UNKNOWN_LIFE_MS;
  if (isTokenText(token) && Number.isFinite(expiresAtMs)) return { token, expiresAtMs };
  throw new EnvelockError("access-denied", "the token function gave no token", {
    detail: "credential",
    hint: "it must resolve to { token, expiresAtMs? }",
  });
}

export function isTokenText(token: unknown): token is string {
  return typeof token === "string" && TOKEN.test(token);
}

/** @throws `invalid-argument` */
export function checkedEmail(email: unknown, what: string): string {
  if (typeof email === "string" && EMAIL.test(email)) return email;
  throw invalidArgument(`${what} is the email address of a service account`);
}

const KMS_SCOPE = "https://www.googleapis.com/auth/cloudkms";
const SHARED: SharedCredentials<HeldToken> = new SharedCredentials();
/** What may stand in a header. */
const TOKEN = /^[\x21-\x7e]{1,8192}$/;
const EMAIL = /^[\w.-]{1,100}@[\w.-]{1,150}$/;
const UNKNOWN_LIFE_MS = 450_000; // replaced after two thirds of it
