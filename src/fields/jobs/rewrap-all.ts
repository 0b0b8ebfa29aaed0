import type { OptionNames } from "../../core/base/options.ts";
import type { RowPlace } from "../../core/contracts/data-key-store.ts";
import type { KeyVersion } from "../../core/telemetry/events.ts";
import type { KeyTable } from "../key-table.ts";
import { type Checkpoint, loadCheckpoint, saveCheckpoint } from "./checkpoint.ts";
import type { KeyRowsReport } from "./key-rows.ts";
import { versionCounts } from "./key-versions.ts";
import { type RewrapTally, rewrapSlice } from "./rewrap-slice.ts";
import { checkKeyJob, KEY_JOB_OPTIONS, type KeyJobOptions, ScopeKeyrings } from "./scope-keyrings.ts";

export interface RewrapAllOptions extends KeyJobOptions {
  /** Whether the job only counts what it would do, and changes nothing. */
  readonly dryRun?: boolean;
  /** The place for the progress of this job, to continue from. Not used in a dry run. */
  readonly checkpoint?: Checkpoint;
}

export interface RewrapReport extends KeyRowsReport {
  /** Records that an older KEK version wrapped, or with other recipients than `wrapWith`. */
  readonly stale: number;
  /** The number of them that were wrapped anew. */
  readonly rewrapped: number;
  readonly keyVersions: readonly KeyVersionCount[];
  /** KEK versions that records named before and none names any more. Empty in a dry run, or if some row could not be read. */
  readonly retirable: readonly KeyVersion[];
}

/** The number of records that name a KEK version. */
export interface KeyVersionCount extends KeyVersion {
  readonly before: number;
  /** The same number as `before` in a dry run. */
  readonly after: number;
}

/**
 * Wraps the stale records of all scopes anew: one partition, without a lease. Then it goes over all of them once more, for records that it
 * missed or that failed, and counts the KEK versions that they name. If it is killed at any point, all records still open, and it can be
 * run again.
 */
export async function rewrapAll(table: KeyTable, options: RewrapAllOptions): Promise<RewrapReport> {
  checkKeyJob(options);
  const keyrings = new ScopeKeyrings(table, options);
  if (options.dryRun === true) {
    const { report, tally } = await rewrapSlice(table, options, { keyrings });
    return { ...report, ...resultOf(tally), keyVersions: versionCounts(tally.before, tally.before), retirable: [] };
  }
  const { checkpoint } = options;
  const saved = await loadCheckpoint(checkpoint, JOB, placeOf);
  const first = await rewrapSlice(table, options, { ...saved, keyrings }, async ({ last: after, counts, keyVersions }) => {
    await saveCheckpoint(checkpoint, JOB, { after, counts, keyVersions }); // also behind rows that failed, which the second pass meets again
    return true;
  });
  const { report, tally } = await rewrapSlice(table, options, { seen: first.report.rows, keyrings });
  await checkpoint?.save(undefined);
  const keyVersions = versionCounts(first.tally.before, tally.after);
  return {
    ...report,
    stale: first.tally.stale + tally.rewrapped,
    rewrapped: first.tally.rewrapped + tally.rewrapped,
    keyVersions,
    retirable: tally.read === report.rows ? keyVersions.filter(({ after }) => after === 0).map(versionOf) : [],
  };
}

function resultOf({ stale, rewrapped }: RewrapTally): Pick<RewrapReport, "stale" | "rewrapped"> {
  return { stale, rewrapped };
}

function versionOf({ provider, keyId }: KeyVersionCount): KeyVersion {
  return { provider, keyId };
}

function placeOf(value: unknown): RowPlace | undefined {
  if (typeof value !== "object" || value === null || !("scope" in value) || !("version" in value)) return undefined;
  const { scope, version } = value;
  return typeof scope === "string" && typeof version === "number" ? { scope, version } : undefined;
}

export const REWRAP_OPTIONS: OptionNames<RewrapAllOptions> = { ...KEY_JOB_OPTIONS, dryRun: true, checkpoint: true };
const JOB = "rewrap-all/1";
