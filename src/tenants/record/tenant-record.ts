import type { ErrorCode } from "../../core/base/errors.ts";
import type { TenantKeyRef } from "../../core/contracts/tenant-keys.ts";

/**
 * What the vendor knows about one tenant. It lies in a `TenantStore` as JSON of at most 4,096 bytes and never holds a secret. The records
 * that the library returns are frozen.
 */
export interface TenantRecord {
  /** 1 to 128 printable ASCII characters without spaces: the value of the pair `tenant` of the key context. */
  readonly id: string;
  /** Counts the lives of this id, from 1. A tenant that comes back after a shred has another epoch, and so other data keys. */
  readonly epoch: number;
  /** Counts the changes of the record, from 1. */
  readonly revision: number;
  readonly state: TenantState;
  /** When the state began, in milliseconds since 1970. */
  readonly sinceMs: number;
  /** Counts the changes of the keys that wrap and unwrap, from 0. */
  readonly generation: number;
  /** 32 random characters, made by the library for this epoch. */
  readonly externalId: string;
  /** What the tenant gave for the vendor to sign in with. */
  readonly identity: Readonly<Record<string, string>>;
  /** The keys in use, in the order of their numbers. */
  readonly keys: readonly TenantKey[];
  /** A key that waits for its verification. */
  readonly staged: TenantKey | null;
  readonly move: TenantMove | null;
  readonly policy: TenantPolicy;
  readonly verification: TenantVerification | null;
  readonly health: TenantHealth | null;
  /** The number of the next key. */
  readonly nextKey: number;
}

/** The states of docs/tenants.md. */
export type TenantState = "invited" | "verifying" | "active" | "degraded" | "suspended" | "revoked" | "offboarding" | "shredded";

/** A key of a tenant. The vendor's own has the kind `platform`. */
export interface TenantKey extends TenantKeyRef {
  /** 1, 2, 3 … within the epoch. */
  readonly number: number;
  /** `wrap` keys become recipients of new data keys; `unwrap` keys only open old ones. */
  readonly role: "wrap" | "unwrap";
  readonly addedAtMs: number;
  readonly verifiedAtMs: number | null;
  /** When the key expires, as far as the tenant or the verification said. */
  readonly notAfterMs: number | null;
  /** Whether the vendor created this key for the tenant. Only such a key is ever destroyed. */
  readonly createdByUs: boolean;
  /** Whether other tenants may use the same key. */
  readonly shareable: boolean;
  /** What people call the key, if they gave it a name. Nothing is decided by it. */
  readonly label?: string;
}

/** A move from the keys `from` to the key `to`. */
export interface TenantMove {
  readonly from: readonly number[];
  readonly to: number;
  /**
   * `dual`: old and new wrap. `announced`: the new key wraps alone. `rewrapped`: the records were wrapped anew. `proved`: none names an old
   * key. `retired`: the old keys may be taken away.
   */
  readonly step: TenantMoveStep;
  /** When the step began. */
  readonly sinceMs: number;
}

export type TenantMoveStep = "dual" | "announced" | "rewrapped" | "proved" | "retired";

export interface TenantPolicy {
  /** The time that an unwrapped data key serves. The revocation bound contains it. 0 keeps none. Null for the default of `Tenants`. */
  readonly cacheMaxAgeMs: number | null;
  /**
   * The time for which one data key encrypts many values of the tenant, at most the `reuse.maxAgeMs` of `Tenants`. 0 for a data key of its
   * own for each value. Null for the `reuse` of `Tenants`, without which this has no effect.
   */
  readonly reuseMaxAgeMs: number | null;
  /**
   * Whether a canary that succeeds ends `revoked`, if the key had refused before. Otherwise `restore` does, also for a tenant that was revoked
   * on request.
   */
  readonly autoRestore: boolean;
  /** The most calls of the tenant's keys in flight, from one process. Null for `limits.perTenant`. */
  readonly maxConcurrent: number | null;
  /** The rate of calls of the tenant's keys, from one process. Null for `limits.tenantRate`. */
  readonly callsPerSecond: number | null;
  /**
   * The regions that the tenant's own keys may lie in, sorted. Checked when a key is staged and each time that it is opened. A kind of key
   * whose name does not say its region is refused then. Null for any.
   */
  readonly regions: readonly string[] | null;
}

/** The result of the last `verify`. */
export interface TenantVerification {
  readonly atMs: number;
  /** The generation and the key that were verified. */
  readonly generation: number;
  readonly key: number;
  readonly level: "ok" | "warning" | "failed";
  /** The names of the checks that failed, at most eight. */
  readonly failed: readonly string[];
}

/** The last change of health. Measurements stay in the process that made them. */
export interface TenantHealth {
  readonly atMs: number;
  readonly outcome: "ok" | ErrorCode;
}
