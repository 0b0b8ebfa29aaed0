import { EnvelockError } from "../core/base/errors.ts";
import { beginRound } from "./barrier.ts";
import type { JobRecord, JobState } from "./records.ts";
import { type JobRef, openRef } from "./status.ts";

/**
 * Pauses a job. Workers see it at their next page, and give their partitions back.
 *
 * @returns the state of the job then
 * @throws `key-not-found`; `invalid-argument` if the job is over; what the store throws
 * @example
 * ```ts
 * import { type JobStore, pauseJob } from "envelock/jobs";
 *
 * export const pause = (jobs: JobStore) => pauseJob({ jobs, id: "rewrap-2026-11" });
 * ```
 */
export async function pauseJob(ref: JobRef): Promise<JobState> {
  return await changed(
    ref,
    "pauseJob",
    ({ state }) => (state === "running" || state === "failing" ? { state: "paused" } : undefined),
    "paused",
  );
}

/**
 * Lets a paused job go on, once a worker runs.
 *
 * @throws as `pauseJob`
 * @example
 * ```ts
 * import { type JobStore, resumeJob } from "envelock/jobs";
 *
 * export const resume = (jobs: JobStore) => resumeJob({ jobs, id: "rewrap-2026-11" });
 * ```
 */
export async function resumeJob(ref: JobRef): Promise<JobState> {
  return await changed(ref, "resumeJob", ({ state }) => (state === "paused" ? { state: "running" } : undefined), "running");
}

/**
 * Ends a job for good. What was done stays done.
 *
 * @throws as `pauseJob`
 * @example
 * ```ts
 * import { cancelJob, type JobStore } from "envelock/jobs";
 *
 * export const cancel = (jobs: JobStore) => cancelJob({ jobs, id: "rewrap-2026-11" });
 * ```
 */
export async function cancelJob(ref: JobRef): Promise<JobState> {
  return await changed(ref, "cancelJob", ({ state }) => (state === "done" ? undefined : { state: "cancelled" }), "cancelled");
}

/**
 * Begins another round over the partitions that have rows that failed, at once: after a tenant's key is back, or a row was put right.
 *
 * @throws `key-not-found`; `invalid-argument` if nothing failed; what the store throws
 * @example
 * ```ts
 * import { type FleetJob, retryJob, runPartitions } from "envelock/jobs";
 *
 * export async function again(job: FleetJob) {
 *   await retryJob(job);
 *   return await runPartitions(job);
 * }
 * ```
 */
export async function retryJob(ref: JobRef): Promise<JobState> {
  const { rows, clock, signal } = openRef(ref, "retryJob");
  const { state, id } = (await beginRound({ rows, clock }, true, signal)).record;
  if (state === "running") return state;
  throw new EnvelockError("invalid-argument", `job ${id} is ${state}: a retry needs one that is failing`);
}

async function changed(
  ref: JobRef,
  what: string,
  next: (record: JobRecord) => Partial<JobRecord> | undefined,
  wanted: JobState,
): Promise<JobState> {
  const { rows, signal } = openRef(ref, what);
  const { state, id } = (await rows.changeJob((record) => (record.state === wanted ? undefined : next(record)), signal)).record;
  if (state === wanted) return state;
  throw new EnvelockError("invalid-argument", `job ${id} is ${state}: it cannot become ${wanted}`);
}
