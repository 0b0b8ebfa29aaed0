import { EnvelockError, type ErrorCode, invalidArgument, REFUSALS } from "../../core/base/errors.ts";
import { SingleFlights } from "../../core/base/single-flight.ts";
import type { Residents } from "../access/residents.ts";
import type { AuditQueue } from "../audit/audit-queue.ts";
import type { ChangeOptions, TenantChanges } from "../changes.ts";
import { verdictOf } from "../keys/tenant-provider.ts";
import type { TenantChange } from "../life-cycle/change.ts";
import type { TenantRecords } from "../record/records.ts";
import type { TenantKey, TenantRecord } from "../record/tenant-record.ts";
import type { TenantsPolicy } from "../tenants-options.ts";
import type { Canaries } from "./canaries.ts";
import { CanarySchedule } from "./canary-schedule.ts";
import { ownKeysOf } from "./own-keys.ts";
import type { UseStamps } from "./use-stamps.ts";
import { healthOf, type TenantWatch } from "./watch.ts";
import type { WatchPlace } from "./watch-place.ts";

/** The end of one canary. */
export interface TenantCanary {
  /** The number of the key. */
  readonly key: number;
  readonly outcome: "ok" | ErrorCode;
  /** The failure, if it is one. */
  readonly error: EnvelockError | undefined;
  readonly durationMs: number;
}

export interface WatchHealthOptions {
  /** Ends the watch. */
  readonly signal: AbortSignal;
  /** The most canaries a second, over all tenants. Default 28. */
  readonly perSecond?: number;
  /** The pause between two looks at all tenants. Default 60,000. */
  readonly everyMs?: number;
}

export interface HealthParts {
  readonly policy: TenantsPolicy;
  readonly records: TenantRecords;
  readonly residents: Residents;
  readonly canaries: Canaries;
  readonly uses: UseStamps;
  readonly place: WatchPlace;
  readonly changes: TenantChanges;
  readonly watch: TenantWatch;
  readonly audit: AuditQueue;
}

/** Unwraps the canaries of tenants' own keys: on demand, after a refusal, and on a schedule. */
export class HealthChecks {
  readonly #parts: HealthParts;
  readonly #schedule: CanarySchedule;
  readonly #flights = new SingleFlights<string, readonly TenantCanary[]>();

  constructor(parts: HealthParts) {
    this.#parts = parts;
    this.#schedule = new CanarySchedule({
      ...parts,
      check: async (record, signal) => (await this.check(record, signal)).every(({ outcome }) => outcome === "ok"),
    });
  }

  /**
   * Unwraps the canary of each own key that wraps. A revoked tenant with `autoRestore` is restored if all of them open.
   *
   * @returns one result for each key; none for a tenant under the platform's keys
   * @throws what the store throws
   */
  async check(record: TenantRecord, signal?: AbortSignal): Promise<readonly TenantCanary[]> {
    return await this.#flights.run(`${record.id} ${record.generation}`, async () => await this.#check(record), { signal });
  }

  /**
   * Restores a suspended or revoked tenant if the canaries of its own keys open.
   *
   * @throws what the first that does not open has met; `invalid-argument` for a key without a canary
   */
  async restore(record: TenantRecord, options: ChangeOptions): Promise<TenantRecord> {
    if (record.state === "active") return record;
    if (record.state === "suspended" || record.state === "revoked") {
      const canaries = await this.check(record, options.signal);
      for (const { error } of canaries) if (error !== undefined) throw error;
      for (const { number } of ownKeysOf(record)) if (!canaries.some(({ key }) => key === number)) throw noCanary(record, number);
    }
    const health = healthOf(undefined, this.#parts.policy.clock.unixMs());
    const next = (standing: TenantRecord): TenantChange | undefined => {
      if (standing.state === "active") return undefined;
      if (!isSameStay(standing, record)) throw changedMeanwhile(standing);
      return { change: "restore", health };
    };
    return await this.#parts.changes.makeOf(record.id, next, options);
  }

  /** Checks a tenant in the background, after a refusal. */
  hurry(id: string): void {
    const run = async (): Promise<void> => {
      const record = await this.#parts.records.read(id);
      if (record !== undefined) await this.check(record);
    };
    run().catch(() => undefined); // the next refusal, or the schedule, tries again
  }

  /** Sends the canaries that are due until the signal is aborted, as `CanarySchedule` says. */
  async watch({ signal, perSecond = 28, everyMs = 60_000 }: WatchHealthOptions): Promise<void> {
    await this.#schedule.run({ signal, perSecond, everyMs });
  }

  async #check(record: TenantRecord): Promise<readonly TenantCanary[]> {
    const { residents, watch, changes, policy } = this.#parts;
    const slot = residents.known.note(record, residents.nowS);
    const results: TenantCanary[] = [];
    for (const key of ownKeysOf(record)) {
      const result = await this.#one(record, key);
      if (result === undefined) continue;
      results.push(result);
      watch.ended(record.id, slot, result.error, "canary");
      if (record.state === "revoked" && verdictOf(result.error) === "refused") slot.isRefused = true;
    }
    const isWell = results.length > 0 && results.every(({ outcome }) => outcome === "ok");
    // a tenant that was revoked on request, with a key that never refused, waits for `restore`
    const hasRefused = slot.isRefused || (record.health !== null && REFUSALS.has(record.health.outcome));
    if (isWell && record.state === "revoked" && record.policy.autoRestore && hasRefused) {
      const health = healthOf(undefined, policy.clock.unixMs());
      const reason = "the canary of the key opens again";
      await changes.makeOf(record.id, (standing) => (isSameStay(standing, record) ? { change: "restore", health } : undefined), {
        actor: ACTOR,
        reason,
      });
    }
    return results;
  }

  async #one(record: TenantRecord, key: TenantKey): Promise<TenantCanary | undefined> {
    const { residents, canaries, policy, audit } = this.#parts;
    const begunAt = policy.clock.monotonicMs();
    let error: EnvelockError | undefined;
    try {
      if (!(await residents.keyrings.withOneKey(record, key, "read", (keyring) => canaries.sing(record, key.number, keyring))))
        return undefined;
    } catch (failure) {
      if (!EnvelockError.is(failure)) throw failure;
      error = failure;
    }
    const { id: tenant, epoch, generation } = record;
    const durationMs = policy.clock.monotonicMs() - begunAt;
    const { outcome } = healthOf(error, 0);
    audit.emit(tenant, {
      type: "tenant.canary",
      tenant,
      epoch,
      generation,
      atMs: policy.clock.unixMs(),
      key: key.number,
      outcome,
      durationMs,
    });
    return { key: key.number, outcome, error, durationMs };
  }
}

/** Whether a tenant has been in one state all the time: what was decided for one stay says nothing about another. */
function isSameStay(standing: TenantRecord, before: TenantRecord): boolean {
  return standing.epoch === before.epoch && standing.state === before.state && standing.sinceMs === before.sinceMs;
}

function noCanary({ id }: TenantRecord, key: number): EnvelockError {
  return invalidArgument(`key ${key} of tenant ${id} has no canary, so nothing shows that it opens`, "`verify` keeps one. Then `restore`.");
}

function changedMeanwhile({ id, state }: TenantRecord): EnvelockError {
  return invalidArgument(`tenant ${id} became ${state} while its key was checked, and stays so`, "Find out why, then `restore` again.");
}

/** The actor of what the library notices by itself. */
export const ACTOR = "envelock";
