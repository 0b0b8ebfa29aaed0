export type { TenantKeyIdentity, TenantKeyName, TenantKeyOpener, TenantKeyRef } from "../core/contracts/tenant-keys.ts";
export type { TenantPage, TenantPlace, TenantRow, TenantRowKind, TenantStore } from "../core/contracts/tenant-store.ts";
export { TENANT_LIFE_CYCLE, type TenantChangeName, type TenantChangeRule, type TenantEventName } from "./life-cycle/table.ts";
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
