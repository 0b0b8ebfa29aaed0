import { rmSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { applicationWithNative } from "../test/support/native-package.ts";
import { runtimeBinary } from "../test/support/npm-tools.ts";
import { median } from "./harness.ts";
import { type Run, runIn, type Surroundings } from "./runs.ts";
import { BASELINE } from "./stream-contestants.ts";

/**
 * A stream to a null sink by one lane, with `@envelock/native` and without, beside one GCM message by hand: on each Node, each run in a process
 * of its own, in turns. Ratios are speed against the message by hand in the same round and on the same Node, so above 1 is faster.
 */
export async function engineStreamTable(mebibytes: number = SIZE_MEBIBYTES): Promise<string> {
  const bytes = mebibytes * 2 ** 20;
  const application = applicationWithNative();
  const folder = await mkdtemp(join(tmpdir(), "envelock-bench-"));
  try {
    const lines: string[] = [];
    for (const { name, node } of NODES()) {
      const contestants: readonly Streaming[] = [
        { name: BASELINE, stream: BASELINE, surroundings: { node } },
        { name: "envelock, node:crypto", stream: "envelock, 1 lane", surroundings: { node } },
        {
          name: "envelock, native",
          stream: "envelock, 1 lane",
          surroundings: { node, env: { NODE_PATH: join(application, "node_modules") } },
        },
      ];
      const runs = contestants.map((contestant, place) => {
        return { contestant, path: join(folder, `sealed-${place}`), encrypt: [] as Run[], decrypt: [] as Run[] };
      });
      for (const { contestant, path } of runs) await run(contestant, "make", path, bytes);
      for (let round = 0; round < ROUNDS; round++) {
        for (const { contestant, path, encrypt, decrypt } of round % 2 === 0 ? runs : [...runs].reverse()) {
          encrypt.push(await run(contestant, "encrypt", path, bytes));
          decrypt.push(await run(contestant, "decrypt", path, bytes));
        }
      }
      for (const { path } of runs) await rm(path);
      const [base] = runs;
      for (const { contestant, encrypt, decrypt } of runs) {
        lines.push(
          `| ${name} | ${contestant.name} | ${columnsOf(encrypt, base?.encrypt, bytes)} | ${columnsOf(decrypt, base?.decrypt, bytes)} |`,
        );
      }
    }
    return [HEAD, RULE, ...lines].join("\n");
  } finally {
    await rm(folder, { recursive: true, force: true });
    rmSync(application, { recursive: true });
  }
}

interface Streaming {
  readonly name: string;
  /** Its name among the contestants of streams. */
  readonly stream: string;
  readonly surroundings: Surroundings;
}

async function run({ stream, surroundings }: Streaming, mode: string, path: string, bytes: number): Promise<Run> {
  return await runIn(surroundings, "stream-child.ts", mode, stream, path, `${bytes}`);
}

/** `MB/s | speed | speed by processor time` */
function columnsOf(runs: readonly Run[], base: readonly Run[] | undefined, bytes: number): string {
  const against = (time: (run: Run) => number): string =>
    median(runs.map((own, round) => (base?.[round] === undefined ? Number.NaN : time(base[round]) / time(own)))).toFixed(2);
  const speed = median(runs.map(({ seconds }) => bytes / 1e6 / seconds)).toFixed(0);
  return `${speed} | ${against(({ seconds }) => seconds)} | ${against(({ cpuSeconds }) => cpuSeconds)}`;
}

const NODES = (): readonly { readonly name: string; readonly node: string }[] => [
  { name: process.version, node: process.execPath },
  { name: "22", node: runtimeBinary("node-22") },
  { name: "24", node: runtimeBinary("node-24") },
];
const { BENCH_STREAM_MIB = "256" } = process.env;
const SIZE_MEBIBYTES = Number(BENCH_STREAM_MIB);
const ROUNDS = 3;
const HEAD = "| Node | contestant | encrypt MB/s | speed | by CPU | decrypt MB/s | speed | by CPU |";
const RULE = "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |";
