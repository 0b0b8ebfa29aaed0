import type { ErrorCode, Whose } from "../../core/base/errors.ts";
import type { TenantSlot } from "../access/known-tenants.ts";
import type { Resident } from "../access/resident.ts";
import { whoseOfOwnKey } from "../keys/tenant-provider.ts";
import type { TenantRecord, TenantState } from "../record/tenant-record.ts";
import { expiryOf, type KeyExpiry } from "./expiry.ts";
import type { CountedRecords } from "./record-counts.ts";
import { type RevocationBound, revocationBoundOf } from "./revocation-bound.ts";

/** The health of one tenant, as its record and this process know it. Configuration of keys is not in it. */
export interface TenantReport extends RevocationBound {
  readonly tenant: string;
  readonly state: TenantState;
  /** Milliseconds since 1970. */
  readonly sinceMs: number;
  readonly epoch: number;
  readonly generation: number;
  readonly keys: readonly ReportedKey[];
  /** The last change of health, by any process. */
  readonly outcome: "ok" | ErrorCode | undefined;
  /** The party that can end the trouble. */
  readonly whose: Whose | undefined;
  /** Deliberate refusals and accidents in a row, as this process saw them. */
  readonly refusals: number;
  readonly failures: number;
  /** Durations of the last 64 calls of this process, in milliseconds. Undefined without calls. */
  readonly p50Ms: number | undefined;
  readonly p99Ms: number | undefined;
  /** Failed calls of this process by code, since the keyring was opened. */
  readonly codes: Readonly<Partial<Record<ErrorCode, number>>>;
  /**
   * The time since the oldest data key of the tenant that serves from the memory of this process was unwrapped or made, in milliseconds.
   * Undefined if none serves. While the key service answers it stays within `cacheMs` or `reuseMs`, whichever is greater.
   */
  readonly oldestDataKeyMs: number | undefined;
  /** The key versions that stored data keys of the tenant name. Undefined unless they were counted. */
  readonly records: CountedRecords | undefined;
}

export interface ReportedKey {
  readonly number: number;
  readonly kind: string;
  /** What people call it. Undefined without a label. */
  readonly label: string | undefined;
  readonly role: "wrap" | "unwrap";
  readonly verifiedAtMs: number | null;
  /** When the key ends, as the last verification has found it; null if it does not, or if that is not known. */
  readonly notAfterMs: number | null;
  /** How near that is. */
  readonly expiry: KeyExpiry;
}

/** What a report needs beside the record and the memory of this process. */
export interface ReportedNow extends Omit<RevocationBound, "revocationBoundMs" | "serviceLagMs"> {
  /** Milliseconds since 1970. */
  readonly nowMs: number;
  readonly records: CountedRecords | undefined;
  readonly oldestDataKeyMs: number | undefined;
}

export function reportOf(
  record: TenantRecord,
  slot: TenantSlot | undefined,
  resident: Resident | undefined,
  { nowMs, records, oldestDataKeyMs, ...times }: ReportedNow,
): TenantReport {
  const { id: tenant, state, sinceMs, epoch, generation, keys, health } = record;
  const reported = keys.map(({ number, kind, label, role, verifiedAtMs, notAfterMs }): ReportedKey => {
    return { number, kind, label, role, verifiedAtMs, notAfterMs, expiry: expiryOf({ notAfterMs }, nowMs) };
  });
  const hasExpired = reported.some(({ role, expiry }) => role === "wrap" && expiry === "expired");
  return {
    tenant,
    state,
    sinceMs,
    epoch,
    generation,
    keys: reported,
    ...revocationBoundOf(keys, times),
    outcome: health?.outcome,
    whose: whoseOf(state, health?.outcome) ?? (hasExpired ? "tenant" : undefined),
    refusals: slot?.refusals ?? 0,
    failures: slot?.failures ?? 0,
    p50Ms: resident?.calls.durationMs(0.5),
    p99Ms: resident?.calls.durationMs(0.99),
    codes: resident?.calls.codes ?? {},
    oldestDataKeyMs,
    records,
  };
}

function whoseOf(state: TenantState, outcome: "ok" | ErrorCode | undefined): Whose | undefined {
  if (state === "suspended" || state === "offboarding" || state === "shredded") return "vendor";
  if (state === "revoked" || state === "invited" || state === "verifying") return "tenant";
  if (outcome === undefined || outcome === "ok") return undefined;
  return whoseOfOwnKey(outcome, "tenant") ?? "service";
}
