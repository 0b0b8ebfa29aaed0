import { changedRecord, type StagedKey, type TenantChange } from "../../src/tenants/life-cycle/change.ts";
import { DEFAULT_POLICY } from "../../src/tenants/record/policy.ts";
import type { TenantRecord } from "../../src/tenants/record/tenant-record.ts";

/** Noon of a fixed day. */
export const NOON_MS: number = Date.parse("2026-11-22T12:00:00Z");

export const INVITE: TenantChange = {
  change: "invite",
  id: "acme",
  externalId: "x".repeat(32),
  identity: {},
  policy: DEFAULT_POLICY,
};

export const STAGE: { readonly change: "stage"; readonly key: StagedKey; readonly identity: undefined } = {
  change: "stage",
  key: { kind: "local", key: "acme-2026", settings: {}, createdByUs: false, shareable: false },
  identity: undefined,
};

/** The result of a verification of the key that is staged, or else of the first one. */
export function verifyOf({ staged, keys, generation }: TenantRecord, level: "ok" | "failed" = "ok"): TenantChange {
  const key = (staged ?? keys[0])?.number ?? 1;
  const failed = level === "ok" ? [] : ["round-trip"];
  return { change: "verify", verification: { atMs: NOON_MS, generation, key, level, failed }, notAfterMs: null };
}

/** Applies changes one after the other. A function makes the change from the record so far. */
export function recordAfter(...changes: readonly (TenantChange | ((record: TenantRecord) => TenantChange))[]): TenantRecord {
  let record = changedRecord(undefined, INVITE, NOON_MS);
  for (const change of changes) record = changedRecord(record, typeof change === "function" ? change(record) : change, NOON_MS);
  return record;
}
