import { versionCounts } from "../fields/jobs/key-versions.ts";
import type { FleetParts } from "./fleet-job.ts";
import { countOf, type JobPhase, type JobRecord, type PartitionRecord } from "./records.ts";
import { hashedReport, type RetirementReport } from "./report.ts";
import type { JobWork } from "./work.ts";

/** The phase whose counts say what stands at the end of a round. */
export function finalPhase({ hasVerify }: Pick<JobWork, "hasVerify">): JobPhase {
  return hasVerify ? "verify" : "work";
}

/** Rows of a finished partition that are not as they should be: they failed, or they are still stale. */
export function openRowsOf({ id, counts }: PartitionRecord): number {
  return countOf(counts, "failed") + (id.phase === "verify" ? countOf(counts, "stale") : 0);
}

export interface Summary {
  readonly openRows: number;
  readonly report: RetirementReport;
}

/** Sums up the last look at each partition, and the work of all rounds. */
export async function summaryOf({ rows, work, clock }: FleetParts, record: JobRecord, signal?: AbortSignal): Promise<Summary> {
  const latest = new Map<string, PartitionRecord>();
  const worked: PartitionRecord[] = [];
  for (let round = 0; round <= record.round; round++) {
    for (const done of await rows.partitions(round, finalPhase(work), signal)) latest.set(done.id.part, done);
    if (work.hasVerify) worked.push(...(await rows.partitions(round, "work", signal)));
  }
  const final = [...latest.values()];
  const openRows = final.reduce((sum, partition) => sum + openRowsOf(partition), 0);
  const counts: Readonly<Record<string, number>> = {
    rows: 0,
    failed: 0,
    ...sumOf(final.map((partition) => partition.counts)),
    ...(work.hasVerify && { rewrapped: countIn(worked, "rewrapped") }),
  };
  const before = sumOf(worked.filter(({ id }) => id.round === 0).map(({ keyVersions }) => keyVersions));
  const after = sumOf(final.map(({ keyVersions }) => keyVersions));
  const keyVersions = versionCounts(before, after);
  const isAllRead = openRows === 0 && countOf(counts, "read") === countOf(counts, "rows");
  const report = await hashedReport({
    format: "envelock-retirement/1",
    job: record.id,
    kind: record.kind,
    beganAt: new Date(record.createdAtMs).toISOString(),
    endedAt: new Date(Math.floor(clock.unixMs())).toISOString(),
    rounds: record.round + 1,
    partitions: final.length,
    counts,
    keyVersions,
    retirable: isAllRead ? keyVersions.filter((version) => version.after === 0).map(({ provider, keyId }) => ({ provider, keyId })) : [],
  });
  return { openRows, report };
}

export function sumOf(all: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const counts of all) for (const [name, count] of Object.entries(counts)) sums[name] = countOf(sums, name) + count;
  return sums;
}

function countIn(partitions: readonly PartitionRecord[], name: string): number {
  return partitions.reduce((sum, { counts }) => sum + countOf(counts, name), 0);
}
