import type { Clock } from "../../core/base/clock.ts";
import { attributed, EnvelockError, type ErrorCode, isDeliberateRefusal, REFUSALS, type Whose } from "../../core/base/errors.ts";
import type { KeyProvider } from "../../core/contracts/key-provider.ts";
import type { TenantUse } from "../access/states.ts";

/** What follows the calls of one key of one tenant. */
export interface TenantCalls {
  /** Admits a call before it is made. @throws why not, and no call is made */
  admit(use: TenantUse): Promise<void> | undefined;
  began(): void;
  /** Called when a call has ended. @param error undefined if the key answered */
  ended(error: EnvelockError | undefined, durationMs: number): void;
  /** Says whose a failure is that the provider left open. */
  whoseIs(code: ErrorCode): Whose | undefined;
  readonly tenant: string;
  readonly clock: Clock;
}

/** Makes the provider that a tenant's keyring gets: the key itself behind the gate, with its failures named and counted. */
export function tenantProvider(inner: KeyProvider, calls: TenantCalls): KeyProvider {
  const run = async <T>(use: TenantUse, call: () => Promise<T>): Promise<T> => {
    const admission = calls.admit(use);
    if (admission !== undefined) await admission;
    calls.began();
    const begunAt = calls.clock.monotonicMs();
    const tell = (error?: EnvelockError): void => calls.ended(error, calls.clock.monotonicMs() - begunAt);
    try {
      const answer = await call();
      tell();
      return answer;
    } catch (error) {
      if (!EnvelockError.is(error)) {
        tell(new EnvelockError("provider-failure", "the provider failed with an error of its own", { cause: error }));
        throw error;
      }
      tell(error);
      const whose = calls.whoseIs(error.code);
      throw attributed(error, { tenant: calls.tenant, ...(whose !== undefined && { whose }) });
    }
  };
  const { current } = inner;
  return {
    name: inner.name,
    owns: (keyId) => inner.owns(keyId),
    wrap: (dek, options) => run("write", () => inner.wrap(dek, options)),
    unwrap: (recipient, options) => run("read", () => inner.unwrap(recipient, options)),
    ...(current !== undefined && { current: (options) => run("read", () => current.call(inner, options)) }),
  };
}

/** The party that can end a failure with the tenant's own key. */
export function whoseOfOwnKey(code: ErrorCode, paidBy: "tenant" | "vendor"): Whose | undefined {
  if (code === "rate-limited") return paidBy;
  return REFUSALS.has(code) ? "tenant" : undefined;
}

/** The party that can end a failure with the platform's key. */
export function whoseOfPlatformKey(code: ErrorCode): Whose | undefined {
  return code === "rate-limited" || REFUSALS.has(code) ? "vendor" : undefined;
}

/**
 * Tells apart what a failure says about the key: `refused` is deliberate, `failed` an accident. `unknown` says nothing about it, such as a
 * record that another key wrapped.
 */
export function verdictOf(error: EnvelockError | undefined): "answered" | "refused" | "failed" | "unknown" {
  if (error === undefined) return "answered";
  if (isDeliberateRefusal(error)) return error.detail !== undefined && GREY.has(error.detail) ? "unknown" : "refused";
  return error.retryable && error.code !== "rate-limited" ? "failed" : "unknown";
}

/**
 * Refusals that the network, a disconnected store or the calendar may cause as well as the tenant. New calls fail, and what is cached serves
 * to its age.
 */
const GREY: ReadonlySet<string> = new Set(["firewall", "disconnected", "expired", "not-yet-valid"]);
