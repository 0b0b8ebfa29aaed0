import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { median } from "./harness.ts";
import { type Run, runIn } from "./runs.ts";
import { BASELINE, CONTESTANTS } from "./stream-contestants.ts";

/**
 * A large stream to a null sink: each run is a process of its own, the contestants take turns. Ratios are throughput against one
 * GCM message by hand in the same round; memory is the process's peak over that of one that does nothing.
 *
 * @param mebibytes plaintext of a run
 */
export async function streamTable(mebibytes: number = SIZE_MEBIBYTES): Promise<string> {
  const bytes = mebibytes * 2 ** 20;
  const folder = await mkdtemp(join(tmpdir(), "envelock-bench-"));
  try {
    const idle = await child("idle");
    const runs = new Map(CONTESTANTS.map(({ name }) => [name, { encrypt: [] as Run[], decrypt: [] as Run[] }]));
    for (const { name } of CONTESTANTS) await prove(name, join(folder, "proof"));
    for (let round = 0; round < ROUNDS; round++) {
      for (const { name } of round % 2 === 0 ? CONTESTANTS : [...CONTESTANTS].reverse()) {
        const path = join(folder, "sealed");
        runs.get(name)?.encrypt.push(await child("encrypt", name, path, `${bytes}`));
        await child("make", name, path, `${bytes}`);
        runs.get(name)?.decrypt.push(await child("decrypt", name, path, `${bytes}`));
        await rm(path);
      }
    }
    const base = runs.get(BASELINE);
    const lines = [...runs].map(([name, { encrypt, decrypt }]) => {
      const [sealing, opening] = [columnsOf(encrypt, base?.encrypt, bytes, idle), columnsOf(decrypt, base?.decrypt, bytes, idle)];
      return `| ${name} | ${sealing} | ${opening} |`;
    });
    return [HEAD, RULE, ...lines].join("\n");
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** `MB/s (ratio) | CPU s/GB | RSS MiB` */
function columnsOf(runs: readonly Run[], base: readonly Run[] | undefined, bytes: number, idle: Run): string {
  const speed = median(runs.map(({ seconds }) => bytes / 1e6 / seconds));
  const ratio = median(runs.map(({ seconds }, round) => (base?.[round]?.seconds ?? Number.NaN) / seconds));
  const cpu = median(runs.map(({ cpuSeconds }) => cpuSeconds / (bytes / 1e9)));
  const rss = median(runs.map(({ rssBytes }) => (rssBytes - idle.rssBytes) / 2 ** 20));
  return `${speed.toFixed(0)} (${ratio.toFixed(2)}) | ${cpu.toFixed(2)} | ${rss.toFixed(0)}`;
}

/** Before anything is timed: what a contestant encrypts, it decrypts to the same. */
async function prove(name: string, path: string): Promise<void> {
  await child("make", name, path, `${PROOF_BYTES}`);
  await child("prove", name, path, `${PROOF_BYTES}`);
}

async function child(mode: string, name = "", path = "", bytes = "0"): Promise<Run> {
  return await runIn({}, "stream-child.ts", mode, name, path, bytes);
}

const { BENCH_STREAM_MIB = "1024" } = process.env;
const SIZE_MEBIBYTES = Number(BENCH_STREAM_MIB);
const ROUNDS = 3;
const PROOF_BYTES = 3_000_007;
const HEAD = "| contestant | encrypt MB/s (ratio) | CPU s/GB | RSS MiB over idle | decrypt MB/s (ratio) | CPU s/GB | RSS MiB over idle |";
const RULE = "| --- | ---: | ---: | ---: | ---: | ---: | ---: |";
