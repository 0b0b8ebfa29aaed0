import { type Clock, systemClock } from "../core/base/clock.ts";
import type { ErrorCode } from "../core/base/errors.ts";
import { invalidArgument } from "../core/base/errors.ts";
import { type OptionNames, refuseUnknown } from "../core/base/options.ts";
import type { JobStore } from "../core/contracts/job-store.ts";
import { withPlanned } from "./barrier.ts";
import { Ledger } from "./ledger.ts";
import { countOf, type FailureRecord, type JobPhase, type JobRecord, type JobState, type PartitionRecord, parseJob } from "./records.ts";
import type { RetirementReport } from "./report.ts";
import { JobRows, listedRows } from "./rows.ts";
import { openRowsOf, sumOf } from "./summary.ts";

/** Names a job in its store. A `FleetJob` is one. */
export interface JobRef {
  readonly jobs: JobStore;
  readonly id: string;
  readonly signal?: AbortSignal;
  /** The time source, for tests. */
  readonly clock?: Clock;
}

/** The state of a job over its whole fleet. */
export interface JobStatus {
  readonly id: string;
  readonly kind: string;
  readonly state: JobState;
  readonly round: number;
  readonly phase: JobPhase;
  /** The partitions of the present phase. `held` ones have a worker now. */
  readonly partitions: { readonly total: number; readonly done: number; readonly held: number; readonly free: number };
  /** The sums of the present phase, such as `rows`, `rewrapped` and `failed`. */
  readonly counts: Readonly<Record<string, number>>;
  /** About how many rows the phase has; undefined where no one counted. */
  readonly expectedRows: number | undefined;
  /** The rows in a second since the phase began. */
  readonly rowsPerSecond: number;
  /** The time that is left of the phase at this rate; undefined where it cannot be told. */
  readonly leftMs: number | undefined;
  /** The time before failed rows are tried again. */
  readonly retryInMs: number;
  readonly failures: readonly JobFailure[];
  readonly ranges: readonly PartitionStatus[];
  /** The report of a job that is done. */
  readonly report: RetirementReport | null;
}

/** Failures of one kind. A tenant that fails as a whole stands there once. */
export interface JobFailure {
  readonly code: ErrorCode;
  readonly tenant: string | null;
  /** The number of entries of the ledger: rows, or 1 for a whole tenant. */
  readonly entries: number;
  readonly tries: number;
  readonly message: string;
  /** The place of the first of them: a row, or a tenant. */
  readonly example: string;
}

/** One partition of the present phase. */
export interface PartitionStatus {
  readonly part: string;
  readonly state: "done" | "held" | "free";
  readonly rows: number;
  readonly failed: number;
  readonly attempts: number;
}

/**
 * Tells where a job stands. Reads only.
 *
 * @throws `key-not-found` if the store has no such job, and what the store throws
 * @example
 * ```ts
 * import { type JobStore, jobStatus } from "envelock/jobs";
 *
 * export const progress = async (jobs: JobStore) => (await jobStatus({ jobs, id: "rewrap-2026-11" })).counts;
 * ```
 */
export async function jobStatus(ref: JobRef): Promise<JobStatus> {
  const { rows, signal, clock } = openRef(ref, "jobStatus");
  const record = await rows.requireJob(signal);
  const plan = record.round === 0 ? await rows.plan(record.kind, signal) : undefined;
  const found = await rows.partitions(record.round, record.phase, signal);
  const partitions = record.round === 0 && record.phase === "work" ? withPlanned(found, plan) : found;
  const isFailing = partitions.some((partition) => openRowsOf(partition) > 0);
  const failures = isFailing ? grouped(await new Ledger(rows.store, rows.id).entries(record.round, signal)) : [];
  const counts = sumOf(partitions.map((partition) => partition.counts));
  const expectedRows = plan?.rows || undefined;
  const seconds = (clock.unixMs() - record.phaseAtMs) / 1000; // below 0 where this clock is behind that of the process that began the phase
  const rowsPerSecond = seconds > 0 ? countOf(counts, "rows") / seconds : 0;
  const left = expectedRows === undefined ? undefined : Math.max(0, expectedRows - countOf(counts, "rows"));
  return {
    id: record.id,
    kind: record.kind,
    state: record.state,
    round: record.round,
    phase: record.phase,
    partitions: totals(partitions),
    counts,
    expectedRows,
    rowsPerSecond,
    leftMs: left === undefined || rowsPerSecond === 0 || record.state !== "running" ? undefined : (left / rowsPerSecond) * 1000,
    retryInMs: record.state === "failing" ? record.waitMs : 0,
    failures,
    ranges: partitions.map(statusOf),
    report: record.report,
  };
}

/** The short form of a job, for a list. */
export interface JobSummary extends Pick<JobRecord, "id" | "kind" | "state" | "round" | "phase" | "createdAtMs"> {}

/**
 * Lists the jobs of a store, by id.
 *
 * @throws `invalid-argument` for what is no store; what the store throws
 * @example
 * ```ts
 * import { type JobStore, listJobs } from "envelock/jobs";
 *
 * export const running = async (jobs: JobStore) => (await listJobs({ jobs })).filter(({ state }) => state === "running");
 * ```
 */
export async function listJobs(options: Pick<JobRef, "jobs" | "signal">): Promise<readonly JobSummary[]> {
  refuseUnknown<Partial<JobRef & { readonly kind: string }>>(options, REF_OPTIONS, "listJobs");
  const { jobs, signal } = options;
  requireJobStore(jobs);
  const found: JobSummary[] = [];
  for await (const row of listedRows(jobs, { kind: "job", job: "", prefix: "" }, signal)) {
    const { id, kind, state, round, phase, createdAtMs } = parseJob(row);
    found.push({ id, kind, state, round, phase, createdAtMs });
  }
  return found;
}

/** @throws `invalid-argument` for what names no job */
export function openRef(
  ref: JobRef,
  what: string,
): { readonly rows: JobRows; readonly signal: AbortSignal | undefined; readonly clock: Clock } {
  refuseUnknown<JobRef & { readonly kind?: string }>(ref, REF_OPTIONS, what);
  const { jobs, id, signal, clock = systemClock } = ref;
  requireJobStore(jobs);
  return { rows: new JobRows(jobs, jobId(id)), signal, clock };
}

/** @throws `invalid-argument` */
export function requireJobStore(jobs: JobStore): void {
  const missing = STORE_METHODS.find((name) => typeof jobs?.[name] !== "function");
  if (missing !== undefined)
    throw invalidArgument(
      `jobs is no JobStore: it has no method ${missing}`,
      "postgresJobStore({ client }), sqliteJobStore and fileJobStore of envelock/stores make one; memoryJobStore() is for tests.",
    );
}

/** @throws `invalid-argument` */
export function jobId(id: unknown): string {
  if (typeof id === "string" && JOB_ID.test(id)) return id;
  throw invalidArgument("id of a job is 1 to 128 printable ASCII characters without spaces");
}

function totals(partitions: readonly PartitionRecord[]): JobStatus["partitions"] {
  const states = partitions.map((partition) => statusOf(partition).state);
  const of = (state: PartitionStatus["state"]): number => states.filter((one) => one === state).length;
  return { total: partitions.length, done: of("done"), held: of("held"), free: of("free") };
}

function statusOf({ id, state, leaseMs, counts, attempts }: PartitionRecord): PartitionStatus {
  const now = state === "done" ? "done" : leaseMs > 0 ? "held" : "free";
  return { part: id.part, state: now, rows: countOf(counts, "rows"), failed: countOf(counts, "failed"), attempts };
}

function grouped(entries: readonly FailureRecord[]): readonly JobFailure[] {
  const groups = new Map<string, JobFailure>();
  for (const { id, code, tenant, message, tries } of entries) {
    const name = `${code} ${tenant ?? ""}`;
    const known = groups.get(name) ?? { code, tenant, message, entries: 0, tries: 0, example: id };
    groups.set(name, { ...known, entries: known.entries + 1, tries: Math.max(known.tries, tries) });
  }
  return [...groups.values()];
}

const REF_OPTIONS: OptionNames<JobRef & { readonly kind?: string }> = { jobs: true, id: true, signal: true, clock: true, kind: true };
const STORE_METHODS = ["get", "list", "insertIfAbsent", "compareAndSwap"] as const;
const JOB_ID = /^[\x21-\x7e]{1,128}$/;
