import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { median } from "./harness.ts";

/** Streams that run at once, fed a piece for each turn of the loop; each run is a process of its own, and the two take turns. */
export function streamsAtOnceTable(): string {
  const lines = [1, 8, 64].flatMap((streams) => {
    const rounds = Array.from({ length: ROUNDS }, () => NAMES.map((name) => child(name, streams)));
    return NAMES.map((name, place) => {
      const runs = rounds.flatMap((round) => round[place] ?? []);
      const of = (value: (run: Run) => number): number => median(runs.map(value));
      const speed = of(({ seconds }) => TOTAL_BYTES / 1e6 / seconds).toFixed(0);
      const cpu = of(({ cpuSeconds }) => cpuSeconds / (TOTAL_BYTES / 1e9)).toFixed(2);
      const [rss, delay] = [of(({ rssBytes }) => rssBytes / 2 ** 20).toFixed(0), of(({ delayMs }) => delayMs).toFixed(1)];
      return `| ${streams} | ${name} | ${speed} | ${cpu} | ${rss} | ${delay} |`;
    });
  });
  return [
    "| streams | contestant | MB/s | CPU s/GB | RSS MiB | loop delay p99, ms |",
    "| ---: | --- | ---: | ---: | ---: | ---: |",
    ...lines,
  ].join("\n");
}

interface Run {
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly rssBytes: number;
  readonly delayMs: number;
}

function child(name: string, streams: number): Run {
  const script = fileURLToPath(new URL("streams-at-once-child.ts", import.meta.url));
  const args = [...process.execArgv, script, name, `${streams}`, `${TOTAL_BYTES}`];
  return JSON.parse(execFileSync(process.execPath, args, { encoding: "utf8" }));
}

const NAMES = ["by-hand", "envelock"] as const;
const ROUNDS = 3;
const TOTAL_BYTES = 384 * 2 ** 20;
