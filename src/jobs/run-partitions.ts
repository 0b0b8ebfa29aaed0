import { toHex } from "../core/base/bytes.ts";
import { EnvelockError, invalidArgument } from "../core/base/errors.ts";
import { type OptionNames, refuseUnknown } from "../core/base/options.ts";
import { sleep } from "../core/base/wait.ts";
import { count, positive } from "../core/resilience/checks.ts";
import { advance, beginRound } from "./barrier.ts";
import { type FleetJob, partsOf } from "./fleet-job.ts";
import { freeIn, type SliceOptions, type SliceSettings, workSlice } from "./slice.ts";
import { type JobStatus, jobStatus } from "./status.ts";

export interface RunOptions extends Omit<SliceOptions, "onPage"> {
  /** The number of partitions that this process works on at once. Default 1. */
  readonly lanes?: number;
  /** The rounds over what failed that this call begins by itself, each after a longer pause. Default 3. */
  readonly retries?: number;
  /**
   * Called with the state of the whole job, after a page or between slices if `progressMs` have passed, and at the end. What it throws ends
   * the call.
   */
  readonly onProgress?: (status: JobStatus) => unknown;
  /** Default 2,000. */
  readonly progressMs?: number;
}

/**
 * Works on a job as one member of a fleet, until nothing is left: takes a free partition, works on a slice of it, gives it back. Any number
 * of processes may call it, such as the pods of a cron job. A process that is killed loses its lease, and another goes on from the last
 * page.
 *
 * @returns the state of the job: `done`, `failing` if rows are left that failed, `paused` or `cancelled`
 * @throws `invalid-argument` for bad options; the signal's reason; what the stores throw, and a failure of all rows
 * @example
 * ```ts
 * import type { DataKeys } from "envelock/fields";
 * import { type JobStore, planRewrap, runPartitions } from "envelock/jobs";
 *
 * export async function rewrap(dataKeys: DataKeys, jobs: JobStore, signal: AbortSignal) {
 *   const job = await planRewrap({ id: "rewrap-2026-11", dataKeys, jobs });
 *   const { state, report } = await runPartitions(job, { signal, lanes: 2 });
 *   return state === "done" ? report?.retirable : undefined;
 * }
 * ```
 */
export async function runPartitions(job: FleetJob, options: RunOptions = {}): Promise<JobStatus> {
  refuseUnknown(options, RUN_OPTIONS, "runPartitions");
  const { clock } = partsOf(job);
  const { onProgress, progressMs = 2000, retries = 3, lanes: wanted = 1 } = options;
  const lanes = count(wanted, "lanes", 64);
  const everyMs = positive(progressMs, "progressMs");
  if (onProgress !== undefined && typeof onProgress !== "function") throw invalidArgument("onProgress is a function");
  if (!Number.isSafeInteger(retries) || retries < 0) throw invalidArgument("retries is an integer of at least 0");
  const settings = sliceSettings(options);
  const stop = new AbortController();
  const signal = options.signal === undefined ? stop.signal : AbortSignal.any([options.signal, stop.signal]);
  let toldAtMs = clock.monotonicMs();
  const tell = async (): Promise<void> => {
    if (onProgress === undefined || clock.monotonicMs() - toldAtMs < everyMs) return;
    toldAtMs = clock.monotonicMs();
    await onProgress(await jobStatus({ jobs: job.jobs, id: job.id, signal, clock }));
  };
  const budget = { retriesLeft: retries };
  const shared: Shared = { budget, tell };
  const working = Array.from({ length: lanes }, async () => {
    try {
      await runLane(job, { ...settings, signal: AbortSignal.any([signal]), onPage: tell, owner: newOwner() }, shared);
    } catch (error) {
      stop.abort(error);
      throw error;
    }
  });
  for (const end of await Promise.allSettled(working)) if (end.status === "rejected") throw end.reason;
  const status = await jobStatus({ jobs: job.jobs, id: job.id, clock });
  await onProgress?.(status);
  return status;
}

interface Shared {
  readonly budget: { retriesLeft: number };
  tell(): Promise<void>;
}

/**
 * Works on one partition after the other. A database that restarts, or a key service that does not answer, is waited for.
 *
 * @throws the failure that is still there after `MOST_FAILURES` attempts, or that another attempt would not end
 */
async function runLane(job: FleetJob, settings: SliceSettings, shared: Shared): Promise<void> {
  const { clock } = partsOf(job);
  for (let failures = 0; ; failures++) {
    try {
      return await workOn(job, settings, {
        ...shared,
        didSlice: () => {
          failures = 0;
        },
      });
    } catch (error) {
      settings.signal?.throwIfAborted();
      if (!(error instanceof EnvelockError && error.retryable) || failures >= MOST_FAILURES) throw error;
      await sleep(clock, Math.min(MAX_PAUSE_MS, Math.max(IDLE_MS * 2 ** Math.min(failures, 6), error.retryAfterMs ?? 0)), settings.signal);
    }
  }
}

async function workOn(job: FleetJob, settings: SliceSettings, shared: Shared & { didSlice(): void }): Promise<void> {
  const parts = partsOf(job);
  const { clock } = parts;
  const { signal } = settings;
  for (;;) {
    signal?.throwIfAborted();
    const standing = await advance(parts, signal);
    const { state, kind, waitMs } = standing.record;
    await shared.tell();
    if (state === "failing" && shared.budget.retriesLeft > 0) {
      if (waitMs > 0) await sleep(clock, Math.min(waitMs, IDLE_MS), signal);
      else if ((await beginRound(parts, false, signal)).isChanged) shared.budget.retriesLeft--;
      continue;
    }
    if (state !== "running" || kind !== job.kind) return;
    const next = oneOf(freeIn(standing), clock.random());
    if (next === undefined) await sleep(clock, IDLE_MS, signal);
    else {
      const { end, waitMs: restMs } = await workSlice(job, next.id, settings);
      shared.didSlice();
      if (end === "throttled") await sleep(clock, Math.min(restMs, IDLE_MS), signal);
    }
  }
}

/** @throws `invalid-argument` */
export function sliceSettings(options: SliceOptions): SliceSettings {
  const { concurrency = 8, leaseMs = 60_000, sliceMs = leaseMs / 3, signal, onPage = () => undefined } = options;
  if (!(positive(leaseMs, "leaseMs") >= MIN_LEASE_MS && leaseMs <= MAX_LEASE_MS))
    throw invalidArgument(`leaseMs is ${leaseMs}, expected ${MIN_LEASE_MS} to ${MAX_LEASE_MS}`);
  if (positive(sliceMs, "sliceMs") > leaseMs) throw invalidArgument("sliceMs must not be longer than the lease");
  return { leaseMs, sliceMs, concurrency: count(concurrency, "concurrency", 256), signal, onPage, owner: newOwner() };
}

/** A partition at random, so that workers that begin at once do not want the same. */
function oneOf<T>(free: readonly T[], chance: number): T | undefined {
  return free[Math.floor(chance * free.length)];
}

function newOwner(): string {
  return toHex(crypto.getRandomValues(new Uint8Array(8)));
}

export const SLICE_OPTIONS: OptionNames<SliceOptions> = { leaseMs: true, sliceMs: true, concurrency: true, signal: true, onPage: true };
const RUN_OPTIONS: OptionNames<RunOptions> = {
  leaseMs: true,
  sliceMs: true,
  concurrency: true,
  signal: true,
  lanes: true,
  retries: true,
  onProgress: true,
  progressMs: true,
};
/** The time between two looks for a partition that is free. */
const IDLE_MS = 500;
const MAX_PAUSE_MS = 30_000;
const MOST_FAILURES = 20;
const MIN_LEASE_MS = 100;
const MAX_LEASE_MS = 3_600_000;
