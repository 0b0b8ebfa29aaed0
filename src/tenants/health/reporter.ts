import type { CallOptions } from "../../core/base/call-options.ts";
import { invalidArgument } from "../../core/base/errors.ts";
import { count } from "../../core/resilience/checks.ts";
import { DEFAULT_ATTEMPT_DEADLINE_MS } from "../../core/resilience/policy.ts";
import type { Residents } from "../access/residents.ts";
import { heldMsOf, reuseMsOf } from "../record/policy.ts";
import type { TenantRecord } from "../record/tenant-record.ts";
import type { TenantsPolicy } from "../tenants-options.ts";
import { RecordCounts } from "./record-counts.ts";
import { reportOf, type TenantReport } from "./report.ts";

export interface HealthOptions extends CallOptions {
  /**
   * Counts the stored data keys by the key versions that they name: one pass over the store of data keys for each call, whatever the number
   * of tenants. Default false.
   */
  readonly countRecords?: boolean;
  /** The most rows of the store that a count reads. Default 1,000,000. */
  readonly maxRows?: number;
}

/** Makes the health reports of tenants, without a call of any key. */
export class Reporter {
  readonly #policy: TenantsPolicy;
  readonly #residents: Residents;

  constructor(policy: TenantsPolicy, residents: Residents) {
    this.#policy = policy;
    this.#residents = residents;
  }

  /**
   * Counts the records of all tenants, or of one, if the options ask for it.
   *
   * @throws `invalid-argument` for bad options, and without a store of data keys; what that throws
   */
  async counts(options: HealthOptions, of?: TenantRecord): Promise<RecordCounts | undefined> {
    const { countRecords = false, maxRows = 1_000_000, signal } = options;
    const { dataKeyStore } = this.#policy;
    if (typeof countRecords !== "boolean") throw invalidArgument("countRecords is true or false");
    count(maxRows, "maxRows");
    if (!countRecords) return undefined;
    if (dataKeyStore === undefined)
      throw invalidArgument("Tenants has no dataKeyStore to count in", "Give the store of data keys to Tenants.");
    return await RecordCounts.count(dataKeyStore, of, maxRows, signal === undefined ? {} : { signal });
  }

  report(record: TenantRecord, counts: RecordCounts | undefined): TenantReport {
    const { resilience: { attemptDeadlineMs = DEFAULT_ATTEMPT_DEADLINE_MS } = {}, clock } = this.#policy;
    return reportOf(record, this.#residents.known.get(record.id), this.#residents.peek(record.id), {
      cacheMs: heldMsOf(record, this.#policy),
      reuseMs: reuseMsOf(record, this.#policy),
      attemptMs: attemptDeadlineMs,
      nowMs: clock.unixMs(),
      records: counts?.of(record),
      oldestDataKeyMs: this.#residents.oldestDataKeyMs(record.id),
    });
  }
}
