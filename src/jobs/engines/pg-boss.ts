import { invalidArgument } from "../../core/base/errors.ts";
import { type OptionNames, refuseUnknown } from "../../core/base/options.ts";
import { count } from "../../core/resilience/checks.ts";
import { type FleetJob, partsOf } from "../fleet-job.ts";
import { SLICE_OPTIONS, sliceSettings } from "../run-partitions.ts";
import type { SliceOptions } from "../slice.ts";
import { type EngineFleet, type SliceMessage, sendFree, workOnMessage } from "./messages.ts";

/** The methods of pg-boss that are called. Tested with versions 10.4 and 12.38. */
export interface PgBossClient {
  createQueue(name: string, options: { name: string; policy: "stately" }): Promise<unknown>;
  send(name: string, data: object, options: { singletonKey: string; retryLimit: number; retryDelay: number }): Promise<unknown>;
  work(
    name: string,
    options: { batchSize: number; pollingIntervalSeconds: number },
    handler: (jobs: readonly { readonly data: unknown }[]) => Promise<void>,
  ): Promise<unknown>;
}

export interface PgBossOptions extends SliceOptions {
  /** The name of a queue for this job alone. It is made if it is missing. */
  readonly queue: string;
  /** The number of partitions that this process works on at once. Default 1. */
  readonly lanes?: number;
}

/**
 * Works on a job with the workers of pg-boss, and sends the first messages. Stop it with `boss.stop()`.
 *
 * @param boss a pg-boss that was started
 * @throws `invalid-argument` for bad options; what pg-boss and the store of the job throw
 * @example
 * ```ts
 * import { type FleetJob, type PgBossClient, workWithPgBoss } from "envelock/jobs";
 *
 * export async function work(boss: PgBossClient, job: FleetJob) {
 *   const { reconcile } = await workWithPgBoss(boss, job, { queue: "rewrap-2026-11" });
 *   setInterval(() => reconcile().catch(console.error), 60_000);
 * }
 * ```
 */
export async function workWithPgBoss(boss: PgBossClient, job: FleetJob, options: PgBossOptions): Promise<EngineFleet> {
  refuseUnknown(options, OPTIONS, "workWithPgBoss");
  const { queue, lanes: wanted = 1, ...slice } = options;
  partsOf(job);
  sliceSettings(slice); // refuses bad ones now and not in a worker
  const lanes = count(wanted, "lanes", 64);
  if (typeof queue !== "string" || queue === "") throw invalidArgument("queue must be the name of a queue for this job alone");
  const createQueue = () => boss.createQueue(queue, { name: queue, policy: "stately" });
  await createQueue();
  const send = (message: SliceMessage, key: string) => boss.send(queue, message, { singletonKey: key, retryLimit: 10, retryDelay: 1 });
  for (let lane = 0; lane < lanes; lane++)
    await boss.work(queue, { batchSize: 1, pollingIntervalSeconds: 0.5 }, async (messages) => {
      for (const { data } of messages) await workOnMessage(job, data, slice, send);
    });
  const reconcile = async () => {
    await createQueue(); // one that is gone takes no messages, and does not say so
    return await sendFree(job, send);
  };
  await reconcile();
  return { reconcile };
}

const OPTIONS: OptionNames<PgBossOptions> = { ...SLICE_OPTIONS, queue: true, lanes: true };
