export type { TenantKeyIdentity, TenantKeyName, TenantKeyOpener, TenantKeyRef } from "../core/contracts/tenant-keys.ts";
export type { TenantPage, TenantPlace, TenantRow, TenantRowKind, TenantStore } from "../core/contracts/tenant-store.ts";
export type { TenantNotice } from "./access/notice.ts";
export type { TenantSink } from "./audit/audit-queue.ts";
export type { TenantAuditEvent, TenantCanaryEvent, TenantChangeEvent, TenantProgressEvent } from "./audit/events.ts";
export type { ChangeOptions } from "./changes.ts";
export type { KeyExpiry } from "./health/expiry.ts";
export type { TenantFinding } from "./health/finding.ts";
export type { TenantCanary, WatchHealthOptions } from "./health/health-checks.ts";
export type { CountedRecords, KeyVersionRecords } from "./health/record-counts.ts";
export type { ReportedKey, TenantReport } from "./health/report.ts";
export type { HealthOptions } from "./health/reporter.ts";
export { type RevocationBound, SERVICE_LAGS, type ServiceLag } from "./health/revocation-bound.ts";
export { SERVICE_QUOTAS, type ServiceQuota } from "./health/service-quotas.ts";
export type { VerifyResult } from "./health/verifier.ts";
export type { ReservedKeys } from "./keys/openers.ts";
export type { TenantKeyDescription } from "./keys/staged-key.ts";
export { TENANT_LIFE_CYCLE, type TenantChangeName, type TenantChangeRule, type TenantEventName } from "./life-cycle/table.ts";
export type { MovedEnvelope, MovedEnvelopes, TenantEnvelopes } from "./moves/envelopes.ts";
export type { MoveOptions } from "./moves/move-options.ts";
export type { MoveReport } from "./moves/mover.ts";
export type { ShreddedKeys } from "./moves/shred.ts";
export type { ShredReport } from "./moves/shredder.ts";
export type { UnreadableTenant } from "./record/records.ts";
export type {
  TenantHealth,
  TenantKey,
  TenantMove,
  TenantMoveStep,
  TenantPolicy,
  TenantRecord,
  TenantState,
  TenantVerification,
} from "./record/tenant-record.ts";
export { memoryTenantStore } from "./stores/memory.ts";
export { Tenants } from "./tenants.ts";
export type { InviteOptions, ListTenantsOptions, ReportOptions, RetireOptions, StageOptions, TenantsStatus } from "./tenants-calls.ts";
export type { TenantDataKeysOptions, TenantsOptions } from "./tenants-options.ts";
