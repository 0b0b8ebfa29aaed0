import { measure } from "mitata";

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
  for (const contestant of everybody) await measure(await batchOf(contestant), WARM_UP); // else what is timed is the compiler
  const slots = new Map<Contestant, Slot[]>(everybody.map((contestant) => [contestant, []]));
  for (let repetition = 0; repetition < repetitions; repetition++) {
    for (const contestant of shuffled(everybody, repetition)) {
      slots.get(contestant)?.push(await slotOf(contestant));
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

async function slotOf(contestant: Contestant): Promise<Slot> {
  const batch = await batchOf(contestant);
  let batches = 0;
  const counted = (): unknown => {
    batches++;
    return batch();
  };
  const before = process.cpuUsage();
  const { p50 } = await measure(counted, SLOT);
  const { user, system } = process.cpuUsage(before);
  return { microseconds: p50 / 1000 / BATCH, cpuMicroseconds: (user + system) / batches / BATCH };
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

/** Many calls to a sample, one after the other, so that sync and async contestants pay the same for being measured. */
async function batchOf({ run }: Contestant): Promise<() => unknown> {
  const first = run();
  await first; // what is one at a time must not be still under way
  if (!(first instanceof Promise)) {
    return () => {
      for (let call = 0; call < BATCH; call++) run();
    };
  }
  return async () => {
    for (let call = 0; call < BATCH; call++) await run();
  };
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

const REPETITIONS = 11;
const BATCH = 50;
const WARM_UP = { min_cpu_time: 800e6, min_samples: 4, batch_threshold: 0 } as const;
const SLOT = { min_cpu_time: 60e6, min_samples: 12, warmup_samples: 2, batch_threshold: 0 } as const;
