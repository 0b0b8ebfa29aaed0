import type { Clock } from "../../../src/core/base/clock.ts";
import { EnvelockError } from "../../../src/core/base/errors.ts";
import { SingleFlights } from "../../../src/core/base/single-flight.ts";
import { attempt } from "../../http/attempt.ts";
import { credentialFailure } from "../failures.ts";
import type { AzureCredential, AzureToken, AzureTokenOptions } from "../options.ts";

/**
 * The credential as the SDK's clients see it: one token for all of them, for one resource whatever the vault asks for. One flight fetches
 * it, and no single caller ends that. A token that still works is used while no fresh one can be fetched.
 *
 * The tokens that it returns claim to have expired, so that the SDK asks again for every request and never refreshes by itself. Such a
 * refresh is not awaited, and its failure would end the Node process.
 */
export function tokenSource(credential: AzureCredential, resource: string, clock: Clock): AzureCredential {
  const scope = `${resource}/.default`;
  const tokens = new Map<string, AzureToken>();
  const flights = new SingleFlights<string, AzureToken>();

  const fetchToken = async (tenantId: string, options: AzureTokenOptions): Promise<AzureToken> => {
    const { claims, enableCae } = options;
    const wanted = { ...(tenantId !== "" && { tenantId }), ...(claims !== undefined && { claims }), ...(enableCae && { enableCae }) };
    try {
      const bounds = { clock, timeoutMs: TOKEN_TIMEOUT_MS, what: "the credential" };
      const token = await attempt(bounds, (abortSignal) => credential.getToken(scope, { ...wanted, abortSignal }));
      if (token === null || typeof token.token !== "string") throw new Error("the credential gave no token");
      tokens.set(tenantId, token);
      return token;
    } catch (error) {
      const old = tokens.get(tenantId);
      if (old !== undefined && claims === undefined && old.expiresOnTimestamp - clock.unixMs() > LEAST_LEFT_MS) return old;
      throw credentialFailure(error);
    }
  };

  return {
    async getToken(scopes, options = {}) {
      if (`${scopes}` !== scope) throw wrongResource(resource);
      const tenantId = options.tenantId ?? "";
      const known = tokens.get(tenantId);
      if (known !== undefined && options.claims === undefined && isFresh(known, clock.unixMs())) return onceOnly(known);
      const flightId = `${tenantId} ${options.claims ?? ""}`;
      return onceOnly(await flights.run(flightId, () => fetchToken(tenantId, options)));
    },
  };
}

function onceOnly({ token }: AzureToken): AzureToken {
  return { token, expiresOnTimestamp: 0 };
}

function isFresh({ expiresOnTimestamp, refreshAfterTimestamp = Number.POSITIVE_INFINITY }: AzureToken, nowMs: number): boolean {
  return nowMs < Math.min(expiresOnTimestamp - REFRESH_AHEAD_MS, refreshAfterTimestamp);
}

function wrongResource(resource: string): EnvelockError {
  return new EnvelockError("access-denied", `the vault asked for a token that is not made out to ${resource}`, {
    detail: "challenge",
    hint: "check that keyUrl names your vault; a cloud of its own needs tokenResource",
  });
}

/** A managed identity may need most of a minute for its first token. Callers stop waiting earlier, and a later one finds it. */
const TOKEN_TIMEOUT_MS = 60_000;
const REFRESH_AHEAD_MS = 120_000;
const LEAST_LEFT_MS = 5_000;
