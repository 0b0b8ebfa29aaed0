import { EnvelockError } from "../core/base/errors.ts";
import type { FleetParts } from "./fleet-job.ts";
import type { Bound, JobPhase, JobRecord, PartitionRecord, PlanRecord } from "./records.ts";
import type { JobChange } from "./rows.ts";
import { finalPhase, openRowsOf, summaryOf } from "./summary.ts";

/** A job, and the partitions of its present phase. None while it does not run. */
export interface Standing {
  readonly record: JobRecord;
  readonly partitions: readonly PartitionRecord[];
  /** Whether this call has begun the phase. */
  readonly isBegun: boolean;
}

/**
 * Brings a job to where its rows let it be: makes partitions that are missing, and passes the barrier once all are done. Every process may
 * call it at any time, also after a crash between two of its steps. Each step is one change that only one process can make.
 *
 * The last verification looks at every part of the table, after the last change: a row that failed may have moved to a part that was
 * verified in an earlier round. If such a row moves while it is verified, the whole table is verified once more.
 */
export async function advance(parts: FleetParts, signal?: AbortSignal): Promise<Standing> {
  const { rows, work } = parts;
  for (let isBegun = false; ; ) {
    const record = await rows.requireJob(signal);
    if (record.state !== "running") return { record, partitions: [], isBegun };
    const partitions = await completed(parts, record, signal);
    if (partitions.some(({ state }) => state !== "done")) return { record, partitions, isBegun };
    const isSame = (now: JobRecord): boolean => now.state === "running" && now.round === record.round && now.phase === record.phase;
    if (record.phase === "work" && work.hasVerify) {
      const verify = { phase: "verify", phaseAtMs: nowMs(parts) } as const;
      isBegun = (await rows.changeJob((now) => (isSame(now) ? verify : undefined), signal)).isChanged || isBegun;
      continue;
    }
    const { openRows, report, unseen, isAccounted } = await summaryOf(parts, record, signal);
    if (openRows === 0 && unseen.length > 0) {
      for (const { id, from, to } of unseen)
        isBegun = (await rows.insertPartition(newPartition(record.round, record.phase, { part: id.part, from, to }), signal)) || isBegun;
      continue;
    }
    if (openRows === 0 && !isAccounted) {
      const again = { round: record.round + 1, phaseAtMs: nowMs(parts) };
      isBegun = (await rows.changeJob((now) => (isSame(now) ? again : undefined), signal)).isChanged || isBegun;
      continue;
    }
    const change = openRows > 0 ? ({ state: "failing" } as const) : ({ state: "done", report } as const);
    const leaseMs = openRows > 0 ? RETRY_DELAY_MS * 2 ** Math.min(record.round, MOST_DOUBLINGS) : 0;
    await rows.changeJob((now) => (isSame(now) ? change : undefined), signal, { leaseMs });
  }
}

/** Begins the next round over the partitions that have failed rows, unless it is too early. */
export async function beginRound(parts: Pick<FleetParts, "rows" | "clock">, isForced: boolean, signal?: AbortSignal): Promise<JobChange> {
  return await parts.rows.changeJob(
    (now) => (now.state === "failing" ? { state: "running", round: now.round + 1, phase: "work", phaseAtMs: nowMs(parts) } : undefined),
    signal,
    { leaseMs: 0, onlyIfFree: !isForced },
  );
}

/** The partitions of the present phase, all of them. Those that a process did not come to insert are inserted. */
async function completed(parts: FleetParts, record: JobRecord, signal?: AbortSignal): Promise<readonly PartitionRecord[]> {
  const { rows } = parts;
  const { round, phase } = record;
  for (let turn = 0; turn < MAX_TURNS; turn++) {
    const found = await rows.partitions(round, phase, signal);
    const expected = await knownRangesOf(parts, record, signal);
    const there = new Set(found.map(({ id }) => id.part));
    const cut = found.flatMap(({ children }) => children);
    const missing = [...expected, ...cut].filter(({ part }) => !there.has(part));
    if (missing.length === 0) return found;
    for (const range of missing) await rows.insertPartition(newPartition(round, phase, range), signal);
  }
  throw new EnvelockError("provider-failure", "the store of the job does not list partitions that it says it has");
}

interface Range {
  readonly part: string;
  readonly from: Bound | null;
  readonly to: Bound | null;
}

/** Gives what `rangesOf` gives. It cannot change within a phase of a round, and is read once: a plan has up to 1.9 MB. */
async function knownRangesOf(parts: FleetParts, record: JobRecord, signal?: AbortSignal): Promise<readonly Range[]> {
  const known = lastRanges.get(parts);
  if (known?.round === record.round && known.phase === record.phase) return known.ranges;
  const { round, phase } = record;
  const ranges = await rangesOf(parts, record, signal);
  lastRanges.set(parts, { round, phase, ranges });
  return ranges;
}

/**
 * The ranges that a phase begins with: those of the plan, of the work that is verified, or of what has to be done again. None for a round
 * that only verifies: `advance` adds all parts.
 */
async function rangesOf({ rows, work }: FleetParts, { kind, round, phase }: JobRecord, signal?: AbortSignal): Promise<readonly Range[]> {
  if (phase === "verify") return (await rows.partitions(round, "work", signal)).map(rangeOf);
  if (round > 0) return (await rows.partitions(round - 1, finalPhase(work), signal)).filter((done) => openRowsOf(done) > 0).map(rangeOf);
  return plannedRanges(await rows.plan(kind, signal));
}

function plannedRanges({ bounds }: Pick<PlanRecord, "bounds"> = { bounds: [] }): readonly Range[] {
  return [...bounds, null].map((to, at) => ({ part: `${at}`.padStart(4, "0"), from: bounds[at - 1] ?? null, to }));
}

/** The partitions of the first phase: those that are there, and those that no worker has come to insert. */
export function withPlanned(found: readonly PartitionRecord[], plan: PlanRecord | undefined): readonly PartitionRecord[] {
  const there = new Set(found.map(({ id }) => id.part));
  const missing = plannedRanges(plan).filter(({ part }) => !there.has(part));
  return [...found, ...missing.map((range) => newPartition(0, "work", range))];
}

function rangeOf({ id, from, to }: PartitionRecord): Range {
  return { part: id.part, from, to };
}

function newPartition(round: number, phase: JobPhase, { part, from, to }: Range): PartitionRecord {
  const untouched = { after: null, owner: null, attempts: 0, rests: 0, counts: {}, keyVersions: {}, children: [] };
  return { id: { round, phase, part }, revision: 1, leaseMs: 0, state: "open", from, to, ...untouched };
}

function nowMs({ clock }: Pick<FleetParts, "clock">): number {
  return Math.floor(clock.unixMs());
}

const lastRanges = new WeakMap<FleetParts, Pick<JobRecord, "round" | "phase"> & { readonly ranges: readonly Range[] }>();
/** The time before the first retry. Each further one takes twice as long. */
const RETRY_DELAY_MS = 30_000;
const MOST_DOUBLINGS = 7;
/** The lists of a phase after which partitions that are not in them are not waited for. Each takes up what other workers cut off. */
const MAX_TURNS = 100;
