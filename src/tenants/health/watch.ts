import type { EnvelockError } from "../../core/base/errors.ts";
import type { TenantSlot } from "../access/known-tenants.ts";
import { verdictOf } from "../keys/tenant-provider.ts";
import type { TenantChange } from "../life-cycle/change.ts";
import { HEALTH_OUTCOMES } from "../record/document.ts";
import type { TenantHealth, TenantRecord } from "../record/tenant-record.ts";

export type CallSource = "traffic" | "canary";

export interface WatchActions {
  /** Wipes everything that is kept in clear for a tenant, at once. */
  purge(id: string): void;
  /** Sends a canary of the tenant now, in the background. */
  hurry(id: string): void;
  /** Changes the record in the background. What fails is tried again with the next call. */
  change(id: string, next: (record: TenantRecord) => TenantChange | undefined): void;
  unixMs(): number;
  nowS(): number;
}

/**
 * Draws conclusions from the calls of tenants' own keys. A deliberate refusal wipes the caches at once; three in a row, or one seen by
 * traffic and one by a canary, revoke the tenant. Accidents only degrade it, and keep what is cached to its age.
 */
export class TenantWatch {
  readonly #actions: WatchActions;
  readonly #grantSpreadMs: number;

  constructor(actions: WatchActions, grantSpreadMs: number) {
    this.#actions = actions;
    this.#grantSpreadMs = grantSpreadMs;
  }

  ended(id: string, slot: TenantSlot, error: EnvelockError | undefined, source: CallSource = "traffic"): void {
    const verdict = verdictOf(error);
    if (verdict === "answered") this.#answered(id, slot);
    else if (verdict === "refused") this.#refused(id, slot, healthOf(error, this.#actions.unixMs()), source);
    else if (verdict === "failed") this.#failed(id, slot, healthOf(error, this.#actions.unixMs()));
  }

  #answered(id: string, slot: TenantSlot): void {
    slot.answered();
    if (slot.state !== "degraded") return;
    const health = healthOf(undefined, this.#actions.unixMs());
    this.#actions.change(id, ({ state }) => (state === "degraded" ? { change: "recover", health } : undefined));
  }

  #refused(id: string, slot: TenantSlot, health: TenantHealth, source: CallSource): void {
    this.#actions.purge(id);
    slot.refusals++;
    slot.refusedAtS = this.#actions.nowS();
    slot.refusedTo |= source === "traffic" ? 1 : 2;
    if (slot.refusals < REFUSALS && slot.refusedTo !== 3) {
      if (source === "traffic") this.#actions.hurry(id);
      else slot.canaryAtS = Math.min(slot.canaryAtS, slot.refusedAtS + NEXT_CANARY_S);
      return;
    }
    this.#actions.change(id, (record) => {
      if (record.state !== "active" && record.state !== "degraded") return undefined;
      return this.#isFresh(record, health.atMs) ? undefined : { change: "revoke", health };
    });
  }

  /** Whether a refusal may still be the spread of a right that was just given. A clock that was set back makes no key new for longer. */
  #isFresh({ keys }: TenantRecord, atMs: number): boolean {
    return keys.some(({ role, addedAtMs }) => role === "wrap" && Math.abs(atMs - addedAtMs) < this.#grantSpreadMs);
  }

  #failed(id: string, slot: TenantSlot, health: TenantHealth): void {
    slot.failures++;
    if (slot.failures < FAILURES || slot.state !== "active") return;
    this.#actions.change(id, ({ state }) => (state === "active" ? { change: "degrade", health } : undefined));
  }
}

/** Makes the health of a record from the end of a call. */
export function healthOf(error: EnvelockError | undefined, atMs: number): TenantHealth {
  const outcome = HEALTH_OUTCOMES.find((known) => known === (error?.code ?? "ok")) ?? "provider-failure";
  return { atMs: Math.floor(atMs), outcome };
}

const REFUSALS = 3;
const NEXT_CANARY_S = 60;
const FAILURES = 3;
