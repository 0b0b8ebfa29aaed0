import type { TenantKey } from "../record/tenant-record.ts";

/** How long a key service itself takes to heed its owner. */
export interface ServiceLag {
  /** The fastest way to take the key away. */
  readonly lever: string;
  /** The time until calls are refused, with that lever. */
  readonly usualMs: number;
  /** The time that the service's documentation allows for, or that was seen. */
  readonly longestMs: number;
}

/** The parts of the time within which a tenant's data closes after it took its key away. */
export interface RevocationBound {
  /** The sum. */
  readonly revocationBoundMs: number;
  readonly serviceLagMs: number;
  readonly cacheMs: number;
  readonly reuseMs: number;
  /** One call that was admitted before, to its deadline. */
  readonly attemptMs: number;
}

/**
 * The lag of each kind of key service, which no client can shorten. `usualMs` counts for the bound.
 *
 * @example
 * ```ts
 * import { SERVICE_LAGS } from "envelock/tenants";
 *
 * console.log(SERVICE_LAGS["gcp-kms"]?.lever);
 * ```
 */
export const SERVICE_LAGS: Readonly<Record<string, ServiceLag>> = {
  "azure-key-vault": { lever: "disable the key, then remove the role", usualMs: 60_000, longestMs: 600_000 },
  "azure-managed-hsm": { lever: "disable the key, then remove the role", usualMs: 60_000, longestMs: 600_000 },
  "aws-kms": { lever: "disable the key, or deny in its key policy", usualMs: 5_000, longestMs: 300_000 },
  "gcp-kms": { lever: "remove the IAM binding, not the version", usualMs: 10_000, longestMs: 420_000 },
  "vault-transit": { lever: "revoke the token or remove the policy", usualMs: 1_000, longestMs: 60_000 },
  pkcs11: { lever: "delete the key from the token, or take away the vendor's PIN", usualMs: 1_000, longestMs: 60_000 },
  local: { lever: "none: the key is in this process", usualMs: 0, longestMs: 0 },
  platform: { lever: "suspend the tenant", usualMs: 0, longestMs: 0 },
};

/** Adds up the bound of a tenant with these keys. An unknown kind counts with ten minutes. */
export function revocationBoundOf(
  keys: readonly Pick<TenantKey, "kind">[],
  { cacheMs, reuseMs, attemptMs }: Omit<RevocationBound, "revocationBoundMs" | "serviceLagMs">,
): RevocationBound {
  const serviceLagMs = Math.max(0, ...keys.map(({ kind }) => SERVICE_LAGS[kind]?.usualMs ?? UNKNOWN_LAG_MS));
  return { revocationBoundMs: serviceLagMs + Math.max(cacheMs, reuseMs) + attemptMs, serviceLagMs, cacheMs, reuseMs, attemptMs };
}

const UNKNOWN_LAG_MS = 600_000;
