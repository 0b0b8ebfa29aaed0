import { EnvelockError } from "../core/base/errors.ts";
import type { Standing } from "./barrier.ts";
import { FleetBudget } from "./budget.ts";
import type { FleetJob, FleetParts } from "./fleet-job.ts";
import { partsOf } from "./fleet-job.ts";
import { Lease } from "./lease.ts";
import { type Bound, countOf, type PartitionId, type PartitionRecord } from "./records.ts";
import type { FailedPlace, SlicePage } from "./work.ts";

/** How a slice of a partition is worked on. */
export interface SliceOptions {
  /** The time for which a partition is held without a sign of life. Default 60,000. */
  readonly leaseMs?: number;
  /** The time after which a slice ends and gives its partition back. Default a third of the lease. */
  readonly sliceMs?: number;
  /** The number of rows in flight. Default 8. */
  readonly concurrency?: number;
  readonly signal?: AbortSignal;
  /** Called after each page, with the rows of this slice so far. */
  readonly onPage?: (rows: number) => void;
}

/**
 * How a slice ended. `done`: the partition is finished. `more`: it is free again and has rows left. `held`: another worker has it. `lost`:
 * another worker took it over meanwhile. `throttled`: the key service wants a pause, until which the partition rests. `stopped`: the job is
 * paused, cancelled, or in another phase.
 */
export interface SliceEnd {
  readonly end: "done" | "more" | "held" | "lost" | "throttled" | "stopped";
  /** The time until the partition can be taken up again, for `throttled`. */
  readonly waitMs: number;
}

/** The settings of a slice, checked. */
export interface SliceSettings extends Required<Pick<SliceOptions, "leaseMs" | "sliceMs" | "concurrency">> {
  readonly signal: AbortSignal | undefined;
  /** The hook of the caller. A slice waits for it. */
  readonly onPage: (rows: number) => unknown;
  readonly owner: string;
}

/** Takes a partition and works on it for the time of a slice. */
export async function workSlice(job: FleetJob, id: PartitionId, settings: SliceSettings): Promise<SliceEnd> {
  const parts = partsOf(job);
  const { rows } = parts;
  const { leaseMs, signal, owner } = settings;
  const record = await rows.requireJob(signal);
  if (record.kind !== parts.work.kind || !isAt(record, id)) return STOPPED;
  const found = await rows.partition(id, signal);
  if (found === undefined || found.leaseMs > 0) return HELD;
  if (found.state === "done") return DONE;
  const claimed = await rows.swapPartition(found, { owner, attempts: found.attempts + 1 }, { leaseMs, onlyIfFree: true }, signal);
  return claimed === undefined ? HELD : await new Slice(parts, claimed, record.rates, settings).run();
}

/** One slice, by the worker that holds the lease. */
class Slice {
  readonly #parts: FleetParts;
  readonly #settings: SliceSettings;
  readonly #rates: readonly number[];
  readonly #budgets = new Map<string, FleetBudget>();
  readonly #endAtMs: number;
  readonly #rowsBefore: number;
  /** Aborted by the caller, and when another worker has the partition. */
  readonly #signal: AbortSignal;
  readonly #lost = new AbortController();
  readonly #lease: Lease;
  #end: SliceEnd = MORE;

  constructor(parts: FleetParts, held: PartitionRecord, rates: readonly number[], settings: SliceSettings) {
    this.#parts = parts;
    this.#rates = rates;
    this.#settings = settings;
    this.#endAtMs = parts.clock.monotonicMs() + settings.sliceMs;
    this.#rowsBefore = countOf(held.counts, "rows");
    this.#signal = settings.signal === undefined ? this.#lost.signal : AbortSignal.any([settings.signal, this.#lost.signal]);
    this.#lease = new Lease(parts, held, settings.leaseMs, () => {
      this.#end = LOST;
      this.#lost.abort(new EnvelockError("unavailable", "another worker has taken the partition over"));
    });
  }

  async run(): Promise<SliceEnd> {
    const { work, ledger } = this.#parts;
    const { id, from, to, after, counts, keyVersions } = this.#lease.held;
    try {
      const isOver = await work.run({
        phase: id.phase,
        from,
        to,
        after,
        counts,
        keyVersions,
        concurrency: this.#settings.concurrency,
        signal: this.#signal,
        refused: await ledger.refused(id.round, this.#signal),
        take: (budget, bucket, calls) => this.#take(budget, bucket, calls),
        afterPage: (page) => this.#afterPage(page),
      });
      if (!isOver) return this.#end;
      return (await this.#lease.end({ state: "done", owner: null })) ? DONE : LOST;
    } catch (error) {
      if (this.#lost.signal.aborted) return LOST;
      await this.#release(error);
      throw error;
    } finally {
      this.#lease.stop();
    }
  }

  /** Writes the ledger, then the checkpoint with its counts in one statement. A worker that lost its lease stops here. */
  async #afterPage({ last, counts, keyVersions, failed }: SlicePage): Promise<boolean> {
    const { rows, ledger, clock } = this.#parts;
    const { onPage } = this.#settings;
    const { id, counts: before, rests: restsBefore } = this.#lease.held;
    const throttled = failed.find(({ isThrottled }) => isThrottled);
    const rests = countOf(counts, "rewrapped") > countOf(before, "rewrapped") ? 0 : restsBefore;
    if (throttled !== undefined && rests < MOST_RESTS) return await this.#rest(throttled, rests);
    if (failed.length > 0) await ledger.write(failed, { round: id.round, part: id.part, nowMs: Math.floor(clock.unixMs()) }, this.#signal);
    const record = await rows.requireJob(this.#signal);
    const isStopped = !isAt(record, id);
    const isOver = isStopped || clock.monotonicMs() >= this.#endAtMs;
    const change = { after: last, rests: 0, counts, keyVersions };
    const isKept = isOver ? await this.#lease.end({ ...change, owner: null }) : await this.#lease.keep(change);
    if (!isKept) return this.#ended(LOST);
    await onPage(countOf(counts, "rows") - this.#rowsBefore);
    if (isStopped) return this.#ended(STOPPED);
    if (!isOver) return true;
    await this.#split();
    return this.#ended(MORE);
  }

  /** Ends the slice before its checkpoint, and keeps the partition until the key service wants to be called again. */
  async #rest({ error }: FailedPlace, rests: number): Promise<boolean> {
    const waitMs = Math.max(restMsOf(error), MIN_REST_MS * 2 ** rests);
    const isKept = await this.#lease.end({ owner: null, rests: rests + 1 }, waitMs);
    return this.#ended(isKept ? { end: "throttled", waitMs } : LOST);
  }

  #ended(end: SliceEnd): boolean {
    this.#end = end;
    return false;
  }

  /** Cuts the rest of a partition in two if no other is free: other workers of the fleet may have nothing to do. */
  async #split(): Promise<void> {
    const { rows, work } = this.#parts;
    const signal = this.#signal;
    const { held } = this.#lease;
    const { id, after, to, children } = held;
    const behind = boundOf(after);
    if (behind === undefined) return;
    const open = (await rows.partitions(id.round, id.phase, signal)).filter(({ state }) => state === "open");
    if (open.length >= MOST_OPEN || open.some((one) => one.leaseMs === 0 && one.id.part !== id.part)) return;
    const { bounds } = await work.cuts({ least: 1, most: 2, rowsEach: FEWEST_ROWS, after: behind, to: to ?? undefined }, signal);
    const [middle] = bounds;
    if (middle === undefined || middle === to || middle === behind) return;
    const turn = 2 * id.round + (id.phase === "verify" ? 1 : 0); // in the name, so that no part of another phase is taken for it
    const child = { part: `${id.part}.${turn}.${children.length}`, from: middle, to };
    await rows.swapPartition(held, { to: middle, children: [...children, child] }, { leaseMs: 0, onlyIfFree: true }, signal); // `advance` makes the row of the child
  }

  async #take(budget: number, bucket: string, calls: number): Promise<void> {
    const rate = this.#rates[budget];
    if (rate === undefined) throw new EnvelockError("invalid-argument", "the job was planned with fewer budgets than this worker has");
    const { rows, clock } = this.#parts;
    const id = `${budget}/${encodeURIComponent(bucket)}`;
    const known = this.#budgets.get(id) ?? new FleetBudget(rows.store, rows.id, id, rate, clock, this.#signal);
    this.#budgets.set(id, known);
    await known.take(calls);
  }

  /** Lets go of the partition after a failure that is not a row's. After an abort at once, else after a pause, so that the fleet does not run hot. */
  async #release(error: unknown): Promise<void> {
    const isAborted = this.#settings.signal?.aborted === true;
    const restMs = isAborted || !(error instanceof EnvelockError) ? 0 : restMsOf(error);
    await this.#lease.end({ owner: null }, restMs).catch(() => undefined); // else the lease ends by itself
  }
}

/** Returns the partitions that a worker may take now. */
export function freeIn({ partitions }: Standing): readonly PartitionRecord[] {
  return partitions.filter(({ state, leaseMs }) => state === "open" && leaseMs === 0);
}

function isAt(
  { state, round, phase }: { readonly state: string; readonly round: number; readonly phase: string },
  id: PartitionId,
): boolean {
  return state === "running" && round === id.round && phase === id.phase;
}

/** The time for which a partition rests after a failure: what the service asked for, within limits. */
function restMsOf({ retryAfterMs = 0 }: EnvelockError): number {
  return Math.min(MAX_REST_MS, Math.max(MIN_REST_MS, retryAfterMs));
}

function boundOf(after: PartitionRecord["after"]): Bound | undefined {
  return typeof after === "object" ? after?.scope : after;
}

const DONE: SliceEnd = { end: "done", waitMs: 0 };
const MORE: SliceEnd = { end: "more", waitMs: 0 };
const HELD: SliceEnd = { end: "held", waitMs: 0 };
const LOST: SliceEnd = { end: "lost", waitMs: 0 };
const STOPPED: SliceEnd = { end: "stopped", waitMs: 0 };
const MIN_REST_MS = 1000;
const MAX_REST_MS = 3_600_000;
/** The rests of a page in which no record could be rewrapped, before its rows go into the ledger. */
const MOST_RESTS = 8;
/** The rows from which the rest of a partition is worth a split. */
const FEWEST_ROWS = 2048;
/** The partitions of one phase, so that a list of them stays short. */
const MOST_OPEN = 256;
