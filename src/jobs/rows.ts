import { EnvelockError } from "../core/base/errors.ts";
import type { JobLease, JobPlace, JobStore, LeasedJobRow } from "../core/contracts/job-store.ts";
import {
  broken,
  callWith,
  type JobPhase,
  type JobRecord,
  jobRowOf,
  type PartitionRecord,
  type PlanRecord,
  parseJob,
  parsePartition,
  parsePlan,
  partitionRowOf,
  partitionText,
  prefixOf,
  rowOf,
} from "./records.ts";

/** The rows of one job, read and changed by compare-and-swap. */
export class JobRows {
  readonly #jobs: JobStore;
  readonly id: string;

  constructor(jobs: JobStore, id: string) {
    this.#jobs = jobs;
    this.id = id;
  }

  get store(): JobStore {
    return this.#jobs;
  }

  async job(signal?: AbortSignal): Promise<JobRecord | undefined> {
    const row = await this.#jobs.get({ kind: "job", job: "", id: this.id }, callWith(signal));
    return row && parseJob(row);
  }

  /** @throws `key-not-found` if the store has no such job */
  async requireJob(signal?: AbortSignal): Promise<JobRecord> {
    const record = await this.job(signal);
    if (record !== undefined) return record;
    throw new EnvelockError("key-not-found", `there is no job ${this.id}`, {
      hint: "`planRewrap`, `planRewrapBlobs` or `planReencrypt` makes it; the id is compared to the letter",
    });
  }

  async insertJob(record: JobRecord, signal?: AbortSignal): Promise<boolean> {
    return await this.#jobs.insertIfAbsent(jobRowOf(record), callWith(signal));
  }

  /**
   * Changes the job, again from what stands if another process was first.
   *
   * @param next makes the change; undefined leaves the job as it is
   * @param lease the time before which the next round does not begin, or what the change needs
   * @returns the job as it stands then, and whether this call made the change
   */
  async changeJob(
    next: (record: JobRecord) => Partial<JobRecord> | undefined,
    signal?: AbortSignal,
    lease: JobLease = { leaseMs: 0 },
  ): Promise<JobChange> {
    for (let turn = 0; turn < MAX_TURNS; turn++) {
      const record = await this.requireJob(signal);
      const change = next(record);
      if (change === undefined || (lease.onlyIfFree === true && record.waitMs > 0)) return { record, isChanged: false };
      const changed = { ...record, ...change, revision: record.revision + 1 };
      if (await this.#jobs.compareAndSwap(jobRowOf(changed), record.revision, lease, callWith(signal)))
        return { record: { ...changed, waitMs: lease.leaseMs }, isChanged: true };
    }
    throw new EnvelockError("unavailable", `the job ${this.id} is changed by other processes again and again`);
  }

  /** Returns the plan of a kind of job. A plan of another kind is none: a process that ended before its job was made has left it. */
  async plan(kind: string, signal?: AbortSignal): Promise<PlanRecord | undefined> {
    const row = await this.#jobs.get({ kind: "plan", job: this.id, id: PLAN }, callWith(signal));
    const plan = row && parsePlan(row);
    return plan?.kind === kind ? plan : undefined;
  }

  async insertPlan(plan: PlanRecord, signal?: AbortSignal): Promise<boolean> {
    return await this.#jobs.insertIfAbsent(rowOf("plan", this.id, PLAN, 1, plan), callWith(signal));
  }

  /** Returns the partitions of a phase of a round, in the order of their names. */
  async partitions(round: number, phase: JobPhase, signal?: AbortSignal): Promise<readonly PartitionRecord[]> {
    const prefix = prefixOf(round, phase);
    const found: PartitionRecord[] = [];
    for await (const row of listedRows(this.#jobs, { kind: "partition", job: this.id, prefix }, signal)) found.push(parsePartition(row));
    return found;
  }

  async partition(id: PartitionRecord["id"], signal?: AbortSignal): Promise<PartitionRecord | undefined> {
    const row = await this.#jobs.get({ kind: "partition", job: this.id, id: partitionText(id) }, callWith(signal));
    return row && parsePartition(row);
  }

  async insertPartition(record: PartitionRecord, signal?: AbortSignal): Promise<boolean> {
    return await this.#jobs.insertIfAbsent(partitionRowOf(this.id, record), callWith(signal));
  }

  /** Replaces a partition. @returns the partition as it stands then; undefined if another worker has changed it */
  async swapPartition(
    record: PartitionRecord,
    change: Partial<PartitionRecord>,
    lease: JobLease,
    signal?: AbortSignal,
  ): Promise<PartitionRecord | undefined> {
    const next = { ...record, ...change, revision: record.revision + 1 };
    const isSwapped = await this.#jobs.compareAndSwap(partitionRowOf(this.id, next), record.revision, lease, callWith(signal));
    return isSwapped ? { ...next, leaseMs: lease.leaseMs } : undefined;
  }
}

/** Yields the rows of one kind of a job by id, those whose ids begin with `prefix`. */
export async function* listedRows(
  jobs: JobStore,
  { kind, job, prefix }: Pick<JobPlace, "kind" | "job"> & { readonly prefix: string },
  signal: AbortSignal | undefined,
): AsyncGenerator<LeasedJobRow, void, undefined> {
  for (let after = prefix; ; ) {
    const page = await jobs.list({ kind, job, after, limit: PAGE_ROWS }, callWith(signal));
    const own = page.filter(({ id }) => id.startsWith(prefix));
    yield* own;
    const last = page.at(-1)?.id;
    if (last === after) throw broken("a list of the store does not go up by id");
    if (last === undefined || page.length < PAGE_ROWS || own.length < page.length) return;
    after = last;
  }
}

/** The result of `JobRows.changeJob`. */
export interface JobChange {
  readonly record: JobRecord;
  readonly isChanged: boolean;
}

const PLAN = "plan";
const PAGE_ROWS = 1000;
const MAX_TURNS = 50;
