import { EnvelockError, invalidArgument } from "../../core/base/errors.ts";
import { sleep } from "../../core/base/wait.ts";
import { advance, beginRound } from "../barrier.ts";
import { type FleetJob, partsOf } from "../fleet-job.ts";
import type { JobPhase, JobState, PartitionRecord } from "../records.ts";
import { sliceSettings } from "../run-partitions.ts";
import { freeIn, type SliceOptions, workSlice } from "../slice.ts";

/** What an engine carries: the names of a job and of one of its partitions, nothing else. */
export interface SliceMessage {
  readonly job: string;
  readonly round: number;
  readonly phase: JobPhase;
  readonly part: string;
}

/** A job that an engine works on. */
export interface EngineFleet {
  /**
   * Sends a message for each partition that is not done and that no worker holds, and begins the next round when its time has come. Call it
   * every minute, from any number of processes: a message that is there already is not sent twice, and one that was lost is sent again.
   *
   * @returns the state of the job
   * @throws what the store of the job and the engine throw
   */
  reconcile(): Promise<JobState>;
}

/** Sends one message. `key` names the message: the engine drops a second one with the same key. */
type Send = (message: SliceMessage, key: string) => Promise<unknown>;

/** Sends what can be worked on now. A job of a kind that this process does not know is left to others. */
export async function sendFree(job: FleetJob, send: Send): Promise<JobState> {
  const parts = partsOf(job);
  const known = await parts.rows.requireJob();
  if (known.kind !== job.kind) return known.state;
  if (known.state === "failing" && known.waitMs === 0) await beginRound(parts, false);
  const standing = await advance(parts);
  await sendAll(job, freeIn(standing), send);
  return standing.record.state;
}

/**
 * Works on one slice of what a message names, then sends what this slice has made possible: the rest of the partition and the part that was
 * cut off it, or the next phase. So a slice sends one message and seldom more, however many partitions wait. `reconcile` sends the others.
 *
 * @throws `invalid-argument` if the message is of another job, or the job of another kind: the engine gives it to another worker
 */
export async function workOnMessage(job: FleetJob, data: unknown, options: SliceOptions, send: Send): Promise<void> {
  const message = readMessage(data);
  if (message.job !== job.id) throw invalidArgument("the message is of another job", "Give each job a queue of its own.");
  const parts = partsOf(job);
  const { kind } = await parts.rows.requireJob();
  if (kind !== job.kind) throw new EnvelockError("invalid-argument", "the job is of a kind that this worker does not know");
  const settings = sliceSettings(options);
  const { end, waitMs } = await workSlice(job, message, settings);
  if (end === "held" || end === "lost" || end === "stopped") return; // the worker that holds the partition sends what follows
  if (end === "throttled") await sleep(parts.clock, Math.min(waitMs, MOST_WAIT_MS), settings.signal);
  const standing = await advance(parts);
  const free = freeIn(standing);
  const { round, phase, part } = message;
  const isOwn = ({ id }: PartitionRecord): boolean =>
    id.round === round && id.phase === phase && (id.part === part || id.part.startsWith(`${part}.`));
  await sendAll(job, standing.isBegun ? free : free.filter(isOwn), send);
}

/** Names each message by the attempt too, so that the rest of a partition is not taken for the message that is worked on. */
async function sendAll(job: FleetJob, partitions: readonly PartitionRecord[], send: Send): Promise<void> {
  for (const { id, attempts } of partitions) {
    const key = [job.id, `${id.round}-${id.phase}`, id.part, `${attempts}`].map(encodeURIComponent).join("/");
    await send({ job: job.id, round: id.round, phase: id.phase, part: id.part }, key);
  }
}

function readMessage(data: unknown): SliceMessage {
  if (typeof data === "object" && data !== null && "job" in data && "round" in data && "phase" in data && "part" in data) {
    const { job, round, phase, part } = data;
    const isPhase = phase === "work" || phase === "verify";
    if (typeof job === "string" && Number.isSafeInteger(round) && typeof round === "number" && isPhase && typeof part === "string")
      return { job, round, phase, part };
  }
  throw invalidArgument("the message is not of envelock: expected { job, round, phase, part }", "Give each job a queue of its own.");
}

/** The time that a worker waits for a partition that rests. A longer rest is left to `reconcile`. */
const MOST_WAIT_MS = 10_000;
