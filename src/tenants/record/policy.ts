import { invalidArgument } from "../../core/base/errors.ts";
import { type OptionNames, refuseUnknown } from "../../core/base/options.ts";
import type { ReuseOptions } from "../../core/key-source/reused-data-key.ts";
import type { TenantPolicy, TenantRecord } from "./tenant-record.ts";

/** The policy of a tenant that none was given for: the vendor's own bounds. */
export const DEFAULT_POLICY: TenantPolicy = {
  cacheMaxAgeMs: null,
  reuseMaxAgeMs: null,
  autoRestore: false,
  maxConcurrent: null,
  callsPerSecond: null,
  regions: null,
};

/**
 * Reads parts of a policy over one that stands. What this release could not enforce is refused.
 *
 * @throws `invalid-argument`
 */
export function policyOf(given: Partial<TenantPolicy>, standing: TenantPolicy): TenantPolicy {
  requireEnforced(given);
  const { cacheMaxAgeMs = standing.cacheMaxAgeMs, reuseMaxAgeMs = standing.reuseMaxAgeMs, autoRestore = standing.autoRestore } = given;
  const { maxConcurrent = standing.maxConcurrent, callsPerSecond = standing.callsPerSecond, regions = standing.regions } = given;
  if (typeof autoRestore !== "boolean") throw invalidArgument("autoRestore is true or false");
  return {
    cacheMaxAgeMs: integerOrNull("cacheMaxAgeMs", cacheMaxAgeMs, 0, MAX_AGE_MS),
    reuseMaxAgeMs: integerOrNull("reuseMaxAgeMs", reuseMaxAgeMs, 0, MAX_AGE_MS),
    autoRestore,
    maxConcurrent: integerOrNull("maxConcurrent", maxConcurrent, 1, MOST_CALLS),
    callsPerSecond: integerOrNull("callsPerSecond", callsPerSecond, 1, MOST_CALLS),
    regions: regionsOf(regions),
  };
}

/** Requires that a policy has known members alone. @throws `invalid-argument`, also for members that nothing would enforce */
export function requireEnforced(given: Partial<Readonly<Record<keyof TenantPolicy, unknown>>>): void {
  const refused = UNENFORCED.find(({ name }) => hasMember(given, name));
  if (refused !== undefined)
    throw invalidArgument(`the policy of a tenant has no \`${refused.name}\`: nothing would enforce it`, refused.hint);
  refuseUnknown(given, POLICY, "the policy of a tenant");
}

/** The vendor's own bounds. */
export interface VendorBounds {
  readonly dataKeyStore?: unknown;
  readonly cacheMaxAgeMs: number;
  readonly reuse?: ReuseOptions;
}

/** How long ciphers hold an unwrapped data key of a tenant, or the cache does where there is no store of data keys. */
export function heldMsOf(record: TenantRecord, { dataKeyStore, cacheMaxAgeMs }: VendorBounds): number {
  const cacheMs = record.policy.cacheMaxAgeMs ?? cacheMaxAgeMs;
  return dataKeyStore === undefined ? cacheMs : Math.max(cacheMs, LEAST_HELD_MS);
}

/** The bounds within which one data key encrypts many values of a tenant. Undefined for none. */
export function reuseOf({ policy: { reuseMaxAgeMs } }: TenantRecord, { reuse }: VendorBounds): ReuseOptions | undefined {
  if (reuseMaxAgeMs === null || reuse === undefined) return reuseMaxAgeMs === null ? reuse : undefined;
  if (reuseMaxAgeMs === 0) return undefined;
  const { maxAgeMs = DEFAULT_REUSE_MS, refreshAheadMs, ...bounds } = reuse;
  const ownMs = Math.min(reuseMaxAgeMs, maxAgeMs);
  return { ...bounds, maxAgeMs: ownMs, ...(refreshAheadMs !== undefined && { refreshAheadMs: Math.min(refreshAheadMs, ownMs / 10) }) };
}

export function reuseMsOf(record: TenantRecord, policy: VendorBounds): number {
  const reuse = reuseOf(record, policy);
  return reuse === undefined ? 0 : (reuse.maxAgeMs ?? DEFAULT_REUSE_MS);
}

/** Compares what a keyring is made of: another policy in this makes another keyring. */
export function makesSameKeyring(a: TenantPolicy, b: TenantPolicy): boolean {
  return (
    a.cacheMaxAgeMs === b.cacheMaxAgeMs &&
    a.reuseMaxAgeMs === b.reuseMaxAgeMs &&
    (a.regions ?? []).join(" ") === (b.regions ?? []).join(" ")
  );
}

function regionsOf(given: readonly string[] | null): readonly string[] | null {
  if (given === null) return null;
  const members: readonly unknown[] = Array.isArray(given) ? given : [];
  const names = members.filter((region): region is string => typeof region === "string" && REGION.test(region));
  if (names.length === 0 || names.length !== members.length || names.length > MOST_REGIONS) {
    throw invalidArgument(
      `regions is a list of 1 to ${MOST_REGIONS} names of regions, or null for any`,
      "such as eu-central-1 of AWS, or europe-west3 of Google",
    );
  }
  return Object.freeze([...new Set(names)].sort());
}

function integerOrNull(name: string, value: number | null, least: number, most: number): number | null {
  if (value === null || (Number.isSafeInteger(value) && value >= least && value <= most)) return value;
  throw invalidArgument(`${name} is an integer from ${least} to ${most}, or null for the vendor's own`);
}

/** Whether an object that a caller gave has a member. What throws while it is read is left to the check that follows. */
function hasMember(given: unknown, name: string): boolean {
  try {
    return typeof given === "object" && given !== null && Object.hasOwn(given, name);
  } catch {
    return false;
  }
}

const UNENFORCED: readonly { readonly name: string; readonly hint: string }[] = [
  { name: "escrow", hint: "A keyring never tries an escrow key by itself. Make a keyring of your own with that key in wrapWith." },
  { name: "dual", hint: "Give an opener that returns bothOf(platform, tenant) of envelock/providers/composite." },
];
const POLICY: OptionNames<TenantPolicy> = {
  cacheMaxAgeMs: true,
  reuseMaxAgeMs: true,
  autoRestore: true,
  maxConcurrent: true,
  callsPerSecond: true,
  regions: true,
};
export const REGION: RegExp = /^[a-z0-9][a-z0-9-]{0,39}$/;
export const MOST_REGIONS = 16;
/** The longest age of anything that a tenant's key has opened: 30 days. */
export const MAX_AGE_MS = 2_592_000_000;
const MOST_CALLS = 1_000_000;
const LEAST_HELD_MS = 2000;
const DEFAULT_REUSE_MS = 300_000;
