import type { TenantKeyName } from "../../core/contracts/tenant-keys.ts";
import type { TenantFinding } from "./finding.ts";

/** The calls that a key service answers, as its documentation says. */
export interface ServiceQuota {
  /** Wraps and unwraps a second. Undefined where the service names no number. */
  readonly perSecond: number | undefined;
  /** What shares the quota. */
  readonly sharedBy: string;
}

/**
 * The quota of each kind of key service, for its usual keys in its least generous region.
 *
 * @example
 * ```ts
 * import { SERVICE_QUOTAS } from "envelock/tenants";
 *
 * console.log(SERVICE_QUOTAS["aws-kms"]?.perSecond);
 * ```
 */
export const SERVICE_QUOTAS: Readonly<Record<string, ServiceQuota>> = {
  "azure-key-vault": { perSecond: 200, sharedBy: "the vault in its region, with 25 for RSA keys of 4,096 bits in an HSM" },
  "aws-kms": { perSecond: 5500, sharedBy: "the caller's account in the region, with 500 for RSA keys" },
  "gcp-kms": { perSecond: undefined, sharedBy: "the project that pays, by location: the limits are dynamic and soft" },
  "vault-transit": { perSecond: undefined, sharedBy: "the cluster: its operator may set a quota by path, namespace and client address" },
};

/** Compares the vendor's own bound of calls with what the service answers, and names the party that pays. */
export function quotaFinding(kind: string, { payer, paidBy = "tenant" }: TenantKeyName, callsPerSecond: number | undefined): TenantFinding {
  const check = "quota";
  const { perSecond, sharedBy } = SERVICE_QUOTAS[kind] ?? { perSecond: undefined, sharedBy: payer };
  const paid = `calls count against ${payer}, which is the ${paidBy}'s`;
  if (perSecond === undefined) return { check, level: "ok", whose: paidBy, detail: `${paid}; shared by ${sharedBy}` };
  const answered = `the service answers at least ${perSecond} a second, shared by ${sharedBy}`;
  if (callsPerSecond === undefined) {
    return { check, level: "ok", whose: paidBy, detail: `${paid}; ${answered}; the vendor sets no rate` };
  }
  const detail = `${paid}; ${answered}; the vendor allows itself ${callsPerSecond} a second`;
  if (callsPerSecond <= perSecond) return { check, level: "ok", whose: paidBy, detail };
  return {
    check,
    level: "warning",
    whose: "vendor",
    detail,
    hint: "Lower limits.tenantRate or limits.payerRate, or have the quota raised.",
  };
}
