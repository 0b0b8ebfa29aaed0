import { systemClock } from "../../src/core/base/clock.ts";
import { EnvelockError } from "../../src/core/base/errors.ts";
import { attempt } from "./attempt.ts";
import type { HttpOptions } from "./http-service.ts";

/**
 * Asks a function of the caller's for a credential. All callers of a provider wait for one answer, so a function that never answers is
 * given up and asked anew.
 *
 * @param what the function, as the subject of a sentence
 * @throws `access-denied` with the function's error as the cause, which may hold the credential's own words; `timeout`
 */
export async function given<T>(what: string, { clock = systemClock }: HttpOptions, ask: () => Promise<T>): Promise<T> {
  try {
    return await attempt({ clock, timeoutMs: TIMEOUT_MS, what }, ask);
  } catch (cause) {
    if (cause instanceof EnvelockError) throw cause;
    throw new EnvelockError("access-denied", `${what} failed`, { detail: "credential", cause });
  }
}

/** The first credential of a machine may need most of a minute. */
const TIMEOUT_MS = 60_000;
