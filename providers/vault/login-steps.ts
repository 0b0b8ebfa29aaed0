import type { Clock } from "../../src/core/base/clock.ts";
import { fieldOf, textFieldOf } from "../http/fields.ts";
import { given } from "../http/given.ts";
import type { HttpAnswer } from "../http/http-service.ts";
import { brokenAnswer, serverFailure } from "./failures.ts";
import { checkedPath } from "./paths.ts";
import type { VaultServer } from "./server.ts";
import { GIVER, type HeldToken, TOKEN, VaultLogin } from "./tokens.ts";

/**
 * Makes a login at an auth method.
 *
 * @param mount the path of the auth method, such as `approle`
 * @param fields what is shown to the server, read anew for each login
 * @throws `invalid-argument`
 */
export function loginAt(mount: string, fields: () => Promise<Readonly<Record<string, string>>>): VaultLogin {
  const place = checkedPath("mount", mount);
  return new VaultLogin((server, clock) => async (kept) => {
    const renewed = kept?.renewableMs === undefined ? undefined : await lengthened(kept.token, kept.renewableMs, server, clock);
    if (renewed !== undefined) return renewed;
    const body = JSON.stringify(await given(GIVER, { clock }, fields));
    const request = { operation: "login", of: place, method: "POST", path: `/v1/auth/${place}/login`, body } as const;
    const answer = await server.send(request, undefined, undefined);
    if (answer.status !== 200) throw serverFailure(answer, "login", place);
    return heldToken(answer, "login", undefined, clock);
  });
}

/** The same token with a longer life; undefined where it can get no longer and a login has to follow. */
async function lengthened(token: string, firstMs: number, server: VaultServer, clock: Clock): Promise<HeldToken | undefined> {
  const request = { operation: "renew", of: "the token", method: "POST", path: "/v1/auth/token/renew-self", body: "{}" } as const;
  const answer = await server.send(request, token, undefined);
  if (answer.status !== 200) return undefined;
  const held = heldToken(answer, "renew", firstMs, clock);
  return held.expiresAtMs !== undefined && held.expiresAtMs - clock.unixMs() >= firstMs / 2 ? held : undefined;
}

function heldToken({ json }: HttpAnswer, operation: "login" | "renew", firstMs: number | undefined, clock: Clock): HeldToken {
  const auth = fieldOf(json, "auth");
  const token = textFieldOf(auth, "client_token") ?? "";
  const seconds = fieldOf(auth, "lease_duration");
  if (!TOKEN.test(token) || typeof seconds !== "number") throw brokenAnswer(operation, "the token", "holds no token");
  if (seconds === 0) return { token };
  const lifeMs = seconds * 1000;
  const renewable = fieldOf(auth, "renewable") === true ? { renewableMs: firstMs ?? lifeMs } : {};
  return { token, expiresAtMs: clock.unixMs() + lifeMs, ...renewable };
}
