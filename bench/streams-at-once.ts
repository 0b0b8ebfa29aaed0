import { median } from "./harness.ts";
import { outputOf, type Run } from "./runs.ts";

/** Streams that run at once, fed a piece for each turn of the loop; each run is a process of its own, and the two take turns. */
export async function streamsAtOnceTable(): Promise<string> {
  const lines: string[] = [];
  for (const streams of [1, 8, 64]) {
    const runs = NAMES.map((name) => ({ name, own: [] as DelayedRun[] }));
    for (let round = 0; round < ROUNDS; round++) {
      for (const { name, own } of runs)
        own.push(JSON.parse(await outputOf("streams-at-once-child.ts", name, `${streams}`, `${TOTAL_BYTES}`)));
    }
    for (const { name, own } of runs) {
      const of = (value: (run: DelayedRun) => number): number => median(own.map(value));
      const speed = of(({ seconds }) => TOTAL_BYTES / 1e6 / seconds).toFixed(0);
      const cpu = of(({ cpuSeconds }) => cpuSeconds / (TOTAL_BYTES / 1e9)).toFixed(2);
      const [rss, delay] = [of(({ rssBytes }) => rssBytes / 2 ** 20).toFixed(0), of(({ delayMs }) => delayMs).toFixed(1)];
      lines.push(`| ${streams} | ${name} | ${speed} | ${cpu} | ${rss} | ${delay} |`);
    }
  }
  return [
    "| streams | contestant | MB/s | CPU s/GB | RSS MiB | loop delay p99, ms |",
    "| ---: | --- | ---: | ---: | ---: | ---: |",
    ...lines,
  ].join("\n");
}

interface DelayedRun extends Run {
  readonly delayMs: number;
}

const NAMES = ["by-hand", "envelock"] as const;
const ROUNDS = 3;
const TOTAL_BYTES = 384 * 2 ** 20;
