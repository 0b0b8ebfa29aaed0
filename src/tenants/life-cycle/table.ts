import type { TenantState } from "../record/tenant-record.ts";

/** One row of the life cycle: a change, the states in which it is allowed, and the state that follows. */
export interface TenantChangeRule {
  readonly change: TenantChangeName;
  /** `none` is an id that no record has. */
  readonly from: readonly (TenantState | "none")[];
  /** `same` leaves the state as it is. */
  readonly to: TenantState | "same";
  /** Whether it changes the keys that wrap and unwrap, and so counts the generation up. */
  readonly isGeneration: boolean;
  /** The name of its event. */
  readonly event: TenantEventName;
  /** What happens, in one sentence. */
  readonly meaning: string;
}

export type TenantChangeName =
  | "invite"
  | "stage"
  | "unstage"
  | "verify"
  | "activate"
  | "set-policy"
  | "degrade"
  | "recover"
  | "suspend"
  | "revoke"
  | "restore"
  | "begin-move"
  | "announce"
  | "rewrapped"
  | "proved"
  | "retire"
  | "forget"
  | "cancel-move"
  | "offboard"
  | "shred";

export type TenantEventName =
  | "tenant.invited"
  | "tenant.key-staged"
  | "tenant.key-unstaged"
  | "tenant.verified"
  | "tenant.verify-failed"
  | "tenant.activated"
  | "tenant.policy"
  | "tenant.degraded"
  | "tenant.recovered"
  | "tenant.suspended"
  | "tenant.revoked"
  | "tenant.restored"
  | "tenant.key-dual"
  | "tenant.key-announced"
  | "tenant.rewrapped"
  | "tenant.proved"
  | "tenant.key-retired"
  | "tenant.key-forgotten"
  | "tenant.move-cancelled"
  | "tenant.offboarding"
  | "tenant.shredded";

/**
 * The life cycle of a tenant as data. The library applies it, and docs/tenants.md and its picture are made from it.
 *
 * @example
 * ```ts
 * import { TENANT_LIFE_CYCLE, type TenantState } from "envelock/tenants";
 *
 * export const changesFrom = (state: TenantState) => TENANT_LIFE_CYCLE.filter(({ from }) => from.includes(state)).map(({ change }) => change);
 * ```
 */
export const TENANT_LIFE_CYCLE: readonly TenantChangeRule[] = [
  rule(
    "invite",
    ["none", "shredded"],
    "invited",
    "tenant.invited",
    "A record is made, with an external id of its own. A returning id gets a new epoch.",
  ),
  rule("stage", ["invited", "verifying"], "verifying", "tenant.key-staged", "A first key is described and waits for its verification."),
  rule("stage", ["active", "degraded"], "same", "tenant.key-staged", "The key to move to is described and waits for its verification."),
  rule("unstage", ["verifying"], "invited", "tenant.key-unstaged", "The staged key is dropped."),
  rule("unstage", ["active", "degraded"], "same", "tenant.key-unstaged", "The staged key is dropped."),
  rule(
    "verify",
    ["invited", "verifying", "active", "degraded", "suspended", "revoked"],
    "same",
    "tenant.verified",
    "The result of a verification is kept; `tenant.verify-failed` if a check failed.",
  ),
  generation(
    "activate",
    ["invited", "verifying"],
    "active",
    "tenant.activated",
    "The verified key wraps from now on, or the platform's if none is staged.",
  ),
  rule(
    "set-policy",
    ["invited", "verifying", "active", "degraded", "suspended", "revoked", "offboarding"],
    "same",
    "tenant.policy",
    "The policy is replaced.",
  ),
  rule("degrade", ["active"], "degraded", "tenant.degraded", "The key service fails by accident. Cached keys serve to their age."),
  rule("recover", ["degraded"], "active", "tenant.recovered", "The key service answers again."),
  rule(
    "suspend",
    ["active", "degraded", "revoked"],
    "suspended",
    "tenant.suspended",
    "The vendor stops the tenant, without a call of its key.",
  ),
  rule(
    "revoke",
    ["active", "degraded", "suspended"],
    "revoked",
    "tenant.revoked",
    "The tenant took its key away, or asked for it: everything that is cached is wiped.",
  ),
  rule("restore", ["suspended", "revoked"], "active", "tenant.restored", "The key answers again, and the tenant is let in."),
  generation("begin-move", ["active", "degraded"], "same", "tenant.key-dual", "The staged key wraps beside the old ones."),
  generation(
    "announce",
    ["active", "degraded"],
    "same",
    "tenant.key-announced",
    "Every process knows the new key: it wraps alone, and the old ones only open.",
  ),
  rule("rewrapped", ["active", "degraded"], "same", "tenant.rewrapped", "Every record of the tenant was wrapped anew."),
  rule(
    "proved",
    ["active", "degraded"],
    "same",
    "tenant.proved",
    "A second pass found no record that names an old key, and opened all of them.",
  ),
  rule(
    "retire",
    ["active", "degraded"],
    "same",
    "tenant.key-retired",
    "The old keys may be taken away. They still open what lies outside of the key table.",
  ),
  generation("forget", ["active", "degraded"], "same", "tenant.key-forgotten", "The old keys leave the record."),
  generation(
    "cancel-move",
    ["active", "degraded"],
    "same",
    "tenant.move-cancelled",
    "The old keys wrap alone again, and the new one only opens.",
  ),
  rule(
    "offboard",
    ["invited", "verifying", "active", "degraded", "suspended", "revoked"],
    "offboarding",
    "tenant.offboarding",
    "Reads are allowed for an export, writes are refused.",
  ),
  rule("shred", ["offboarding"], "shredded", "tenant.shredded", "The data keys are gone. The record stays as a tombstone."),
];

/** Finds the rule for a change in a state. Undefined if it is not allowed there. */
export function ruleFor(change: TenantChangeName, state: TenantState | "none"): TenantChangeRule | undefined {
  return TENANT_LIFE_CYCLE.find((candidate) => candidate.change === change && candidate.from.includes(state));
}

/** The states in which a change is allowed. */
export function statesFor(change: TenantChangeName): readonly (TenantState | "none")[] {
  return TENANT_LIFE_CYCLE.filter((candidate) => candidate.change === change).flatMap(({ from }) => from);
}

function rule(
  change: TenantChangeName,
  from: readonly (TenantState | "none")[],
  to: TenantState | "same",
  event: TenantEventName,
  meaning: string,
): TenantChangeRule {
  return { change, from, to, isGeneration: false, event, meaning };
}

function generation(
  change: TenantChangeName,
  from: readonly (TenantState | "none")[],
  to: TenantState | "same",
  event: TenantEventName,
  meaning: string,
): TenantChangeRule {
  return { ...rule(change, from, to, event, meaning), isGeneration: true };
}
