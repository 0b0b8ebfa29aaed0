import { Writable } from "node:stream";
import { median } from "./harness.ts";
import { outputOf, type Run, timedRun } from "./runs.ts";

// A large object to a store and back. Each run is a process of its own, the ways take turns.

/** Both directions of each way, a run for each round. */
export type Runs<W extends string> = ReadonlyMap<W, { readonly up: Run[]; readonly down: Run[] }>;

/**
 * Runs every way up and down, in turns.
 *
 * @param script the child's file: `direction way place name bytes`
 * @param place where the store is, as the child takes it
 */
export async function transfers<W extends string>(script: string, ways: readonly W[], place: string, bytes: number): Promise<Runs<W>> {
  const child = async (direction: string, way: W): Promise<Run> =>
    JSON.parse(await outputOf(script, direction, way, place, way, `${bytes}`));
  const runs = new Map(ways.map((way) => [way, { up: [] as Run[], down: [] as Run[] }]));
  for (let round = 0; round < ROUNDS; round++) {
    for (const way of round % 2 === 0 ? ways : [...ways].reverse()) {
      runs.get(way)?.up.push(await child("up", way));
      runs.get(way)?.down.push(await child("down", way));
    }
  }
  return runs;
}

/** The table's head and a line for each way; ratios are against `plain` in the same round. */
export function transferLines<W extends string>(runs: Runs<W>, names: Readonly<Record<W, string>>, plain: W): readonly string[] {
  const base = runs.get(plain);
  return [
    HEAD,
    RULE,
    ...[...runs].map(([way, { up, down }]) => `| ${names[way]} | ${columnsOf(up, base?.up)} | ${columnsOf(down, base?.down)} |`),
  ];
}

/** `wall s (ratio) | CPU s (ratio) | RSS MiB over plain` */
function columnsOf(runs: readonly Run[], base: readonly Run[] | undefined): string {
  const seconds = median(runs.map((run) => run.seconds));
  const ratio = median(runs.map((run, round) => run.seconds / (base?.[round]?.seconds ?? Number.NaN)));
  const cpu = median(runs.map(({ cpuSeconds }) => cpuSeconds));
  const cpuRatio = median(runs.map((run, round) => run.cpuSeconds / (base?.[round]?.cpuSeconds ?? Number.NaN)));
  const rss = median(runs.map(({ rssBytes }, round) => (rssBytes - (base?.[round]?.rssBytes ?? 0)) / 2 ** 20));
  return `${seconds.toFixed(2)} (${ratio.toFixed(2)}) | ${cpu.toFixed(2)} (${cpuRatio.toFixed(2)}) | ${rss.toFixed(0)}`;
}

/** In the child: transfers 1 MB each way to warm up, then times one transfer and prints the run. */
export async function timedTransfer(transfer: (direction: string, length: number, name: string) => Promise<void>): Promise<void> {
  const [, , direction = "", , , name = "", bytes = "0"] = process.argv;
  for (const each of ["up", "down"]) await transfer(each, WARM_UP_BYTES, `${name}-warm`);
  console.log(JSON.stringify(await timedRun(() => transfer(direction, Number(bytes), name))));
}

/** Takes bytes and counts them. */
export class CountingSink extends Writable {
  taken = 0;

  constructor() {
    super({ highWaterMark: 2 ** 20 });
  }

  override _write(piece: Uint8Array, _encoding: string, done: () => void): void {
    this.taken += piece.length;
    done();
  }
}

export async function* piecesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  const reader = stream.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    yield value;
  }
}

const { BENCH_BLOB_MIB = "200" } = process.env;
export const TRANSFER_BYTES: number = Number(BENCH_BLOB_MIB) * 2 ** 20;
const ROUNDS = 5;
const WARM_UP_BYTES = 1_000_000;
const HEAD =
  "| way | upload wall s (ratio) | CPU s (ratio) | RSS MiB over plain | download wall s (ratio) | CPU s (ratio) | RSS MiB over plain |";
const RULE = "| --- | ---: | ---: | ---: | ---: | ---: | ---: |";
