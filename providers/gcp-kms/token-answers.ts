import { EnvelockError } from "../../src/core/base/errors.ts";
import { fieldOf, textFieldOf } from "../http/fields.ts";
import type { HttpAnswer } from "../http/http-service.ts";
import { brokenAnswer, GcpServerError } from "./failures.ts";
import { type HeldToken, isTokenText } from "./login.ts";

/** What the token endpoint and the metadata server give. RFC 6749 §5.1 @throws `provider-failure` */
export function exchangedToken({ json }: HttpAnswer, of: string, nowMs: number): HeldToken {
  const token = fieldOf(json, "access_token");
  const seconds = fieldOf(json, "expires_in");
  if (!isTokenText(token) || typeof seconds !== "number" || !(seconds > 0)) throw brokenAnswer("token", of, "holds no access token");
  return { token, expiresAtMs: nowMs + seconds * 1000 };
}

/** What an impersonation gives. @throws `provider-failure` */
export function impersonatedToken({ json }: HttpAnswer, of: string): HeldToken {
  const token = fieldOf(json, "accessToken");
  const expiresAtMs = Date.parse(textFieldOf(json, "expireTime") ?? "");
  if (!isTokenText(token) || Number.isNaN(expiresAtMs)) throw brokenAnswer("token", of, "holds no access token");
  return { token, expiresAtMs };
}

/** A refusal to give a token, or an answer that is no refusal either. The text of the answer is not shown: it may quote the assertion. */
export function tokenFailure({ status, retryAfterMs }: HttpAnswer, of: string, hint: string): EnvelockError {
  if (status < 400) return brokenAnswer("token", of, "is no access token");
  const code = status === 429 ? "rate-limited" : status >= 500 ? "unavailable" : "access-denied";
  return new EnvelockError(code, `${of} answered ${status} instead of an access token`, {
    detail: "login",
    ...(code === "access-denied" && { hint }),
    ...(retryAfterMs !== undefined && { retryAfterMs }),
    cause: new GcpServerError(status, undefined, []),
  });
}
