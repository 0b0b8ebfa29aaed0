import type { CallOptions } from "../core/base/call-options.ts";
import { CALL_OPTIONS } from "../core/base/call-options.ts";
import type { OptionNames } from "../core/base/options.ts";
import { CHANGE_OPTIONS, type ChangeOptions } from "./changes.ts";
import type { WatchHealthOptions } from "./health/health-checks.ts";
import type { HealthOptions } from "./health/reporter.ts";
import type { TenantPolicy } from "./record/tenant-record.ts";

// The options of the methods of `Tenants`, and the names that each knows.

export interface InviteOptions extends ChangeOptions {
  /** What the vendor signs in to the tenant's key service with, such as a directory id or a role. Never a secret. */
  readonly identity?: Readonly<Record<string, string>>;
  readonly policy?: Partial<TenantPolicy>;
}

export interface StageOptions extends ChangeOptions {
  /** Replaces the identity. Allowed while no key depends on it. */
  readonly identity?: Readonly<Record<string, string>>;
}

export interface RetireOptions extends ChangeOptions {
  /** Retires the old key before the pass that proves that no data key names it. Data may be lost. */
  readonly force?: boolean;
}

export interface ListTenantsOptions extends CallOptions {
  /** Lists tenants with a greater id. */
  readonly after?: string;
}

export interface ReportOptions extends HealthOptions, ListTenantsOptions {}

export interface TenantsStatus {
  readonly resident: number;
  readonly known: number;
  readonly droppedEvents: number;
}

export const INVITE_OPTIONS: OptionNames<InviteOptions> = { ...CHANGE_OPTIONS, identity: true, policy: true };
export const STAGE_OPTIONS: OptionNames<StageOptions> = { ...CHANGE_OPTIONS, identity: true };
export const RETIRE_OPTIONS: OptionNames<RetireOptions> = { ...CHANGE_OPTIONS, force: true };
export const LIST_OPTIONS: OptionNames<ListTenantsOptions> = { ...CALL_OPTIONS, after: true };
export const HEALTH_OPTIONS: OptionNames<HealthOptions> = { ...CALL_OPTIONS, countRecords: true, maxRows: true };
export const WATCH_OPTIONS: OptionNames<WatchHealthOptions> = { signal: true, perSecond: true, everyMs: true };
