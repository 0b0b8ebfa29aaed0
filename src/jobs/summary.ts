import { versionCounts } from "../fields/jobs/key-versions.ts";
import type { FleetParts } from "./fleet-job.ts";
import { type Bound, broken, countOf, type JobPhase, type JobRecord, type PartitionRecord } from "./records.ts";
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
  /** The partitions whose last verification is of an earlier round than the present one. None of work without a verification. */
  readonly unseen: readonly PartitionRecord[];
  /** Whether every row that failed in the work of this round is known to be put right. If not, it may have moved away from the verification. */
  readonly isAccounted: boolean;
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
  requireWhole(final);
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
  const unseen = work.hasVerify ? final.filter(({ id }) => id.round < record.round) : [];
  const hasFailed = worked.some(({ id, counts: done }) => id.round === record.round && countOf(done, "failed") > 0);
  return { openRows, unseen, isAccounted: openRows > 0 || !hasFailed, report };
}

/**
 * Whatever the order of the keys is, ranges hold every key if each begins where another one ends, and one begins and one ends with the table.
 *
 * @throws `provider-failure` if the ranges have a gap, or hold a part of the table twice
 */
function requireWhole(partitions: readonly PartitionRecord[]): void {
  const ends = new Map<Bound | null, number>();
  for (const { from, to } of partitions) {
    ends.set(from, (ends.get(from) ?? 0) + 1);
    ends.set(to, (ends.get(to) ?? 0) - 1);
  }
  const isWhole = [...ends.values()].every((left) => left === 0) && partitions.filter(({ from }) => from === null).length === 1;
  if (!isWhole) throw broken("its partitions do not make up the whole table");
}

export function sumOf(all: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const counts of all) for (const [name, count] of Object.entries(counts)) sums[name] = countOf(sums, name) + count;
  return sums;
}

function countIn(partitions: readonly PartitionRecord[], name: string): number {
  return partitions.reduce((sum, { counts }) => sum + countOf(counts, name), 0);
}
