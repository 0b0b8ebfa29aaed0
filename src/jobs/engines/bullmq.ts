import { invalidArgument } from "../../core/base/errors.ts";
import { type OptionNames, refuseUnknown } from "../../core/base/options.ts";
import { type FleetJob, partsOf } from "../fleet-job.ts";
import { SLICE_OPTIONS, sliceSettings } from "../run-partitions.ts";
import type { SliceOptions } from "../slice.ts";
import { type EngineFleet, type SliceMessage, sendFree, workOnMessage } from "./messages.ts";

/** The method of BullMQ's `Queue` that is called. */
export interface BullMqQueue {
  add(
    name: string,
    data: SliceMessage,
    options: { jobId: string; attempts: number; backoff: number; removeOnComplete: boolean; removeOnFail: boolean },
  ): Promise<unknown>;
}

export interface BullMqOptions<W> extends SliceOptions {
  /** A queue for this job alone. */
  readonly queue: BullMqQueue;
  /** Makes the worker of that queue: `(process) => new Worker(name, process, { connection, maxStalledCount: 100 })`. */
  readonly worker: (process: (message: { readonly data: unknown }) => Promise<void>) => W;
}

/**
 * Works on a job with a worker of BullMQ, and sends the first messages. Stop it with `worker.close()`.
 *
 * @returns the worker that was made, and `reconcile`
 * @throws `invalid-argument` for bad options; what BullMQ and the store of the job throw
 * @example
 * ```ts
 * import { type BullMqOptions, type FleetJob, workWithBullMq } from "envelock/jobs";
 *
 * export async function work<W>(queue: BullMqOptions<W>["queue"], worker: BullMqOptions<W>["worker"], job: FleetJob) {
 *   const fleet = await workWithBullMq({ queue, worker }, job);
 *   setInterval(() => fleet.reconcile().catch(console.error), 60_000);
 *   return fleet.worker;
 * }
 * ```
 */
export async function workWithBullMq<W>(options: BullMqOptions<W>, job: FleetJob): Promise<EngineFleet & { readonly worker: W }> {
  refuseUnknown(options, OPTIONS, "workWithBullMq");
  const { queue, worker: newWorker, ...slice } = options;
  partsOf(job);
  sliceSettings(slice); // refuses bad ones now and not in a worker
  if (typeof newWorker !== "function") throw invalidArgument("worker must be a function that makes a worker from a processor");
  const send = (data: SliceMessage, jobId: string) =>
    queue.add("slice", data, { jobId, attempts: 10, backoff: 1000, removeOnComplete: true, removeOnFail: true });
  const worker = newWorker(({ data }) => workOnMessage(job, data, slice, send));
  const reconcile = () => sendFree(job, send);
  await reconcile();
  return { worker, reconcile };
}

const OPTIONS: OptionNames<BullMqOptions<unknown>> = { ...SLICE_OPTIONS, queue: true, worker: true };
