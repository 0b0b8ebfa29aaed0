import type { OptionNames } from "../../core/base/options.ts";
import type { RowPlace } from "../../core/contracts/data-key-store.ts";
import type { KeyRecord } from "../../core/format/key-record.ts";
import type { KeyVersion } from "../../core/telemetry/events.ts";
import type { KeyTable } from "../key-table.ts";
import { type Checkpoint, loadCheckpoint, saveCheckpoint } from "./checkpoint.ts";
import { KeyRows, type KeyRowsReport, type KeyRowsStart } from "./key-rows.ts";
import { namesIn, versionNamed } from "./key-versions.ts";
import type { JobOptions } from "./pages.ts";
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
 * Wraps the stale records of all scopes anew. Then it goes over all of them once more, for records that it missed, and counts the KEK
 * versions that they name. If it is killed at any point, all records still open, and it can be run again.
 */
export async function rewrapAll(table: KeyTable, options: RewrapAllOptions): Promise<RewrapReport> {
  checkKeyJob(options);
  const keyrings = new ScopeKeyrings(table, options);
  if (options.dryRun === true) {
    const { report, tally } = await pass(table, options, { keyrings });
    return { ...report, ...resultOf(tally), keyVersions: keyVersionsOf(tally.before, tally.before), retirable: [] };
  }
  const saved = await loadCheckpoint(options.checkpoint, JOB, placeOf);
  const first = await pass(table, options, { ...saved, keyrings }, options.checkpoint);
  const { report, tally } = await pass(table, options, { seen: first.report.rows, keyrings });
  if (report.failed === 0 || keyrings.areApart) await options.checkpoint?.save(undefined);
  const keyVersions = keyVersionsOf(first.tally.before, tally.after);
  return {
    ...report,
    stale: first.tally.stale + tally.rewrapped,
    rewrapped: first.tally.rewrapped + tally.rewrapped,
    keyVersions,
    retirable: tally.read === report.rows ? keyVersions.filter(({ after }) => after === 0).map(versionOf) : [],
  };
}

/** The counts of a pass. */
interface Tally {
  stale: number;
  rewrapped: number;
  /** Rows with a known list of KEK versions. */
  read: number;
  /** The number of records that name a KEK version, when they were read and when the pass was done with them. */
  readonly before: Record<string, number>;
  readonly after: Record<string, number>;
}

async function pass(
  keyTable: KeyTable,
  options: RewrapAllOptions,
  start: KeyRowsStart & { readonly keyVersions?: Readonly<Record<string, number>> },
  checkpoint?: Checkpoint,
): Promise<{ readonly report: KeyRowsReport; readonly tally: Tally }> {
  const { stale = 0, rewrapped = 0, read = 0 } = start.counts ?? {};
  const tally: Tally = { stale, rewrapped, read, before: { ...start.keyVersions }, after: {} };
  const keyRows = new KeyRows(keyTable, options, start);
  for await (const page of keyRows.pages()) {
    const isStale = askedOnce(options); // for each page: a KEK may be rotated meanwhile
    await page.each(
      async ({ table, scope, row, record, done, stands }) => {
        note(record, tally.before);
        let now: KeyRecord | undefined = record;
        try {
          if (!(await isStale(table, record))) return;
          tally.stale++;
          if (options.dryRun === true) return;
          const standing = await table.rewrap(scope, row, record, options);
          now = standing.record;
          if (standing.isRewrapped) {
            tally.rewrapped++;
            done();
          }
        } finally {
          stands(now);
          note(now, tally.after);
          tally.read++;
        }
      },
      (record) => {
        for (const counts of [tally.before, tally.after]) note(record, counts);
        tally.read++;
      },
    );
    if (keyRows.maySetCheckpoint) {
      const counts = { ...keyRows.counts, ...resultOf(tally), read: tally.read };
      await saveCheckpoint(checkpoint, JOB, { after: page.last, counts, keyVersions: tally.before });
    }
  }
  return { report: keyRows.report, tally };
}

/** Asks whether records are stale, once for all that name the same KEK versions and have one keyring. */
function askedOnce(options: JobOptions): (table: KeyTable, record: KeyRecord) => Promise<boolean> {
  const known = new Map<KeyTable, Map<string, Promise<boolean>>>();
  return (table, record) => {
    const answers = known.get(table) ?? new Map<string, Promise<boolean>>();
    known.set(table, answers);
    const named = namesIn(record).sort().join("\n");
    const answer = answers.get(named) ?? table.isStale(record, options);
    answers.set(named, answer);
    return answer;
  };
}

function resultOf({ stale, rewrapped }: Tally): Pick<RewrapReport, "stale" | "rewrapped"> {
  return { stale, rewrapped };
}

function note(record: KeyRecord | undefined, counts: Record<string, number>): void {
  for (const name of record === undefined ? [] : namesIn(record)) counts[name] = (counts[name] ?? 0) + 1;
}

function keyVersionsOf(before: Readonly<Record<string, number>>, after: Readonly<Record<string, number>>): readonly KeyVersionCount[] {
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort();
  return names.map((name) => ({ ...versionNamed(name), before: before[name] ?? 0, after: after[name] ?? 0 }));
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
