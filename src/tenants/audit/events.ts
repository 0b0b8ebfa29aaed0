import type { ErrorCode } from "../../core/base/errors.ts";
import type { KeyringEvent } from "../../core/telemetry/events.ts";
import type { TenantEventName } from "../life-cycle/table.ts";
import type { TenantState } from "../record/tenant-record.ts";

/** A change of a tenant, for an audit log. Holds no secret. */
export interface TenantChangeEvent {
  readonly type: TenantEventName;
  readonly tenant: string;
  readonly epoch: number;
  readonly generation: number;
  /** The revision of the record after the change. */
  readonly revision: number;
  /** Milliseconds since 1970. */
  readonly atMs: number;
  readonly state: TenantState;
  readonly before: TenantState | undefined;
  /** The person or service that asked for it; `envelock` for what the library noticed. */
  readonly actor: string;
  readonly reason: string | undefined;
  /** The keys of the record after the change, by number. */
  readonly keys: readonly number[];
  /** The labels of those of them, and of the staged key, that have one, by the number of the key. */
  readonly labels: Readonly<Record<number, string>>;
  /** The code of the failure that caused the change. */
  readonly outcome: "ok" | ErrorCode;
}

/** The end of a canary: one unwrap of a stored data key with the tenant's key. */
export interface TenantCanaryEvent {
  readonly type: "tenant.canary";
  readonly tenant: string;
  readonly epoch: number;
  readonly generation: number;
  readonly atMs: number;
  /** The number of the key. */
  readonly key: number;
  readonly outcome: "ok" | ErrorCode;
  readonly durationMs: number;
}

/** The progress of the pass of a move over the data keys of a tenant. */
export interface TenantProgressEvent {
  readonly type: "tenant.rewrap-progress";
  readonly tenant: string;
  readonly epoch: number;
  readonly generation: number;
  readonly atMs: number;
  readonly rows: number;
  readonly failed: number;
}

/** Every event about tenants: changes, canaries, progress, and the events of their keyrings, with tenant and generation. */
export type TenantAuditEvent = TenantChangeEvent | TenantCanaryEvent | TenantProgressEvent | KeyringEvent;
