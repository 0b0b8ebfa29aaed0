import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** One way of doing the job that a contest times. */
export interface Contestant {
  readonly name: string;
  readonly run: () => unknown;
}

export interface Contest {
  readonly name: string;
  /** Proves, before anything is timed, that every contestant does the whole job. Throws if one does not. */
  readonly prove: () => void | Promise<void>;
  /** What a user would write by hand; every ratio is against it. */
  readonly baseline: Contestant;
  readonly contestants: readonly Contestant[];
}

export interface Row {
  readonly contest: string;
  readonly contestant: string;
  readonly microseconds: number;
  /** Time relative to the baseline of the same repetition, the median of all repetitions: below 1 is faster. */
  readonly ratio: number;
  /** The same of processor time, which other work on the machine does not lengthen. It counts all threads, so the collector's too. */
  readonly cpuRatio: number;
}

/**
 * Runs a contest: short slots, all contestants once per repetition in random order, ratios within a repetition. Absolute times
 * drift with the machine, ratios hold.
 */
export async function runContest(
  { name, prove, baseline, contestants }: Contest,
  repetitions: number = REPETITIONS,
): Promise<readonly Row[]> {
  await prove();
  const everybody = [baseline, ...contestants];
  const batches = new Map<Contestant, Batch>();
  for (const contestant of everybody) batches.set(contestant, await warmedUp(contestant)); // else what is timed is the compiler
  const slots = new Map<Contestant, Slot[]>(everybody.map((contestant) => [contestant, []]));
  for (let repetition = 0; repetition < repetitions; repetition++) {
    for (const contestant of shuffled(everybody, repetition)) {
      const batch = batches.get(contestant);
      if (batch !== undefined) slots.get(contestant)?.push(await slotOf(batch));
    }
  }
  const base = slots.get(baseline) ?? [];
  return everybody.map((contestant) => {
    const own = slots.get(contestant) ?? [];
    const ratioOf = (time: (slot: Slot | undefined) => number | undefined): number =>
      median(own.map((slot, repetition) => (time(slot) ?? Number.NaN) / (time(base[repetition]) ?? Number.NaN)));
    return {
      contest: name,
      contestant: contestant.name,
      microseconds: median(own.map(({ microseconds }) => microseconds)),
      ratio: ratioOf((slot) => slot?.microseconds),
      cpuRatio: ratioOf((slot) => slot?.cpuMicroseconds),
    };
  });
}

/** Times of one call, as one slot found them: the median by the clock, the mean of processor time. */
interface Slot {
  readonly microseconds: number;
  readonly cpuMicroseconds: number;
}

/** Some calls, one after the other, so that the clock is read seldom, and that sync and async contestants pay the same for being measured. */
interface Batch {
  readonly calls: number;
  run(): unknown;
}

async function warmedUp({ run }: Contestant): Promise<Batch> {
  const first = run();
  await first; // what is one at a time must not be still under way
  const batchOf = (calls: number): Batch => ({
    calls,
    run:
      first instanceof Promise
        ? async () => {
            for (let call = 0; call < calls; call++) await run();
          }
        : () => {
            for (let call = 0; call < calls; call++) run();
          },
  });
  const { microseconds } = await timed(batchOf(1), WARM_UP_CPU_MS, LEAST_WARM_UP);
  return batchOf(Math.min(MOST_CALLS, Math.max(1, Math.round(BATCH_MICROSECONDS / microseconds))));
}

async function slotOf(batch: Batch): Promise<Slot> {
  collect({ type: "minor" }); // else a slot pays for what the ones before it have left. A whole collection would go on within the slot
  return await timed(batch, SLOT_CPU_MS, LEAST_BATCHES);
}

/** Repeats a batch until it has used so much processor time, and as often as that at least. */
async function timed({ calls, run }: Batch, cpuMs: number, least: number): Promise<Slot> {
  const times: number[] = [];
  const before = process.cpuUsage();
  let cpu = 0;
  while (times.length < least || cpu < cpuMs * 1000) {
    const start = performance.now();
    const running = run();
    if (running instanceof Promise) await running;
    times.push(performance.now() - start);
    const { user, system } = process.cpuUsage(before);
    cpu = user + system;
  }
  return { microseconds: (median(times) * 1000) / calls, cpuMicroseconds: cpu / times.length / calls };
}

/** The rows as a Markdown table, as bench/README.md holds them. */
export function tableOf(rows: readonly Row[]): string {
  const lines = rows.map(({ contest, contestant, microseconds, ratio, cpuRatio }) => {
    return `| ${contest} | ${contestant} | ${microseconds.toFixed(2)} | ${ratio.toFixed(2)} | ${cpuRatio.toFixed(2)} |`;
  });
  return ["| contest | contestant | µs | time against the baseline | CPU time |", "| --- | --- | ---: | ---: | ---: |", ...lines].join(
    "\n",
  );
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

/** Fisher-Yates over a small generator of its own, so that a run can be repeated. */
function shuffled<T>(items: readonly T[], seed: number): readonly T[] {
  const order = [...items];
  let state = seed * 2654435761 + 1;
  for (let last = order.length - 1; last > 0; last--) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const other = state % (last + 1);
    const [a, b] = [order[last], order[other]];
    if (a !== undefined && b !== undefined) [order[last], order[other]] = [b, a];
  }
  return order;
}

setFlagsFromString("--expose-gc");
const collect: (options: { readonly type: "minor" }) => void = runInNewContext("gc");

const { BENCH_REPETITIONS = "11" } = process.env;
const REPETITIONS = Number(BENCH_REPETITIONS);
const BATCH_MICROSECONDS = 500;
const MOST_CALLS = 200;
const SLOT_CPU_MS = 25;
const LEAST_BATCHES = 3;
const WARM_UP_CPU_MS = 300;
const LEAST_WARM_UP = 3;
