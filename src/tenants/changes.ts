import { type CallOptions, callSignal } from "../core/base/call-options.ts";
import type { Clock } from "../core/base/clock.ts";
import { EnvelockError, invalidArgument } from "../core/base/errors.ts";
import type { OptionNames } from "../core/base/options.ts";
import type { Residents } from "./access/residents.ts";
import { noSuchTenant } from "./access/states.ts";
import type { AuditQueue } from "./audit/audit-queue.ts";
import type { TenantChange } from "./life-cycle/change.ts";
import { ruleFor, type TenantEventName } from "./life-cycle/table.ts";
import type { TenantRecords } from "./record/records.ts";
import type { TenantRecord, TenantState } from "./record/tenant-record.ts";

/** What every change takes: who asked for it and why, for the audit log. */
export interface ChangeOptions extends CallOptions {
  /** The person or service that asks, at most 200 characters. Default `unknown`. */
  readonly actor?: string;
  /** The reason, at most 500 characters. */
  readonly reason?: string;
}

/** Changes records: one compare-and-swap and one event each, and this process acts on it at once. */
export class TenantChanges {
  readonly #records: TenantRecords;
  readonly #residents: Residents;
  readonly #audit: AuditQueue;
  readonly #clock: Clock;

  constructor(records: TenantRecords, residents: Residents, audit: AuditQueue, clock: Clock) {
    this.#records = records;
    this.#residents = residents;
    this.#audit = audit;
    this.#clock = clock;
  }

  /**
   * Makes a change.
   *
   * @param next makes the change from the record that stands; undefined changes nothing, and tells of nothing
   * @returns the record that stands
   * @throws `key-not-found` for an id without a record, unless the change is `invite`; what `next`, life cycle and store throw
   */
  async make(
    id: string,
    next: (record: TenantRecord | undefined) => TenantChange | undefined,
    options: ChangeOptions,
  ): Promise<TenantRecord> {
    let made: TenantChange | undefined;
    const change = (record: TenantRecord | undefined): TenantChange | undefined => {
      made = next(record);
      return made;
    };
    const { record, before, isChanged } = await this.#records
      .change(id, change, options.signal && { signal: options.signal })
      .catch((error) => {
        // the change may have been made, and only its answer lost: this process acts on what stands, as every other does
        if (!EnvelockError.is(error) || error.retryable) this.#residents.read(id).catch(() => undefined);
        throw error;
      });
    if (record === undefined) throw noSuchTenant(id);
    this.#residents.note(record);
    if (isChanged && made !== undefined) this.#tell(record, before?.state, made, options);
    return record;
  }

  /** Makes a change of a tenant that must be there. */
  async makeOf(id: string, next: (record: TenantRecord) => TenantChange | undefined, options: ChangeOptions): Promise<TenantRecord> {
    return await this.make(
      id,
      (record) => {
        if (record === undefined) throw noSuchTenant(id);
        return next(record);
      },
      options,
    );
  }

  #tell(record: TenantRecord, before: TenantState | undefined, made: TenantChange, { actor = "unknown", reason }: ChangeOptions): void {
    const { id, epoch, generation, revision, state, keys, staged } = record;
    const labelled = [...keys, ...(staged === null ? [] : [staged])].filter(({ label }) => label !== undefined);
    this.#audit.emit(id, {
      type: eventOf(made, before),
      tenant: id,
      epoch,
      generation,
      revision,
      atMs: this.#clock.unixMs(),
      state,
      before,
      actor,
      reason,
      keys: keys.map(({ number }) => number),
      labels: Object.fromEntries(labelled.map(({ number, label = "" }) => [number, label])),
      outcome: "health" in made && made.health !== undefined ? made.health.outcome : "ok",
    });
  }
}

function eventOf(change: TenantChange, before: TenantState | undefined): TenantEventName {
  if (change.change === "verify" && change.verification.level === "failed") return "tenant.verify-failed";
  return ruleFor(change.change, before ?? "none")?.event ?? "tenant.policy";
}

/** Reads the options of a change once. @throws `invalid-argument` */
export function changeOptions<T extends ChangeOptions>(given: T, known: OptionNames<T>, what: string): T {
  callSignal(given, known, what);
  const { actor, reason } = given;
  if (actor !== undefined && !(typeof actor === "string" && actor.length <= 200))
    throw invalidArgument("actor is text of at most 200 characters");
  if (reason !== undefined && !(typeof reason === "string" && reason.length <= 500))
    throw invalidArgument("reason is text of at most 500 characters");
  return { ...given };
}

export const CHANGE_OPTIONS: OptionNames<ChangeOptions> = { signal: true, actor: true, reason: true };
