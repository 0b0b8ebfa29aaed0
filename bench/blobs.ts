import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { Keyring } from "envelock";
import { encryptedStore } from "envelock/blobs";
import { azureBlobs } from "envelock/blobs/azure";
import { localKey } from "envelock/providers/local";
import { type Azurite, startAzurite } from "../test/support/azurite.ts";
import { median } from "./harness.ts";

/**
 * A large blob to Azurite and back: each run is a process of its own, the ways take turns. Ratios are wall time against
 * `@azure/storage-blob` without encryption in the same round; memory is the peak over that of plain.
 */
export async function blobTable(mebibytes: number = SIZE_MEBIBYTES): Promise<string> {
  const azurite = await startAzurite();
  try {
    const name = await azurite.createContainer();
    const container = `${azurite.url}/${name}?${azurite.sas(name)}`;
    const runs = new Map(WAYS.map((way) => [way, { up: [] as Run[], down: [] as Run[] }]));
    for (let round = 0; round < ROUNDS; round++) {
      for (const way of round % 2 === 0 ? WAYS : [...WAYS].reverse()) {
        runs.get(way)?.up.push(await child("up", way, container, way, `${mebibytes * 2 ** 20}`));
        if (round === 0) await child("up", way, container, `${way}-warm`, "1000000");
        runs.get(way)?.down.push(await child("down", way, container, way, `${mebibytes * 2 ** 20}`));
      }
    }
    const base = runs.get("plain");
    const lines = [...runs].map(([way, { up, down }]) => `| ${NAMES[way]} | ${columnsOf(up, base?.up)} | ${columnsOf(down, base?.down)} |`);
    return [HEAD, RULE, ...lines, "", ...(await rangeLines(azurite, name, mebibytes * 2 ** 20))].join("\n");
  } finally {
    await azurite.close();
  }
}

/** What a range of 1 MiB from the middle takes: of a blob that was stored before, opened anew. */
async function rangeLines(azurite: Azurite, container: string, bytes: number): Promise<readonly string[]> {
  const counts = { requests: 0, bytes: 0 };
  const counting: typeof fetch = async (input, request) => {
    const answer = await fetch(input, request);
    counts.requests++;
    counts.bytes += Number(answer.headers.get("content-length"));
    return answer;
  };
  const keyring = new Keyring(localKey({ keyId: "bench", key: new Uint8Array(32).fill(7) }));
  const blobs = azureBlobs({ url: `${azurite.url}/${container}`, sas: azurite.sas(container), fetch: counting });
  const blob = await encryptedStore(keyring, blobs, { context: (name) => ({ object: name }) }).get("client");
  const middle = Math.floor(bytes / 2) + 1234;
  const found = await blob.read(middle, middle + RANGE_BYTES);
  blob.close();
  if (found.length !== RANGE_BYTES) throw new Error(`${found.length} bytes came`);
  const over = (counts.bytes - RANGE_BYTES) / 1024;
  return [
    "| 1 MiB from the middle | requests | KiB over what was asked |",
    "| --- | ---: | ---: |",
    `| \`get\` and \`read\` | ${counts.requests} | ${over.toFixed(1)} |`,
  ];
}

interface Run {
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly rssBytes: number;
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

async function child(direction: string, way: string, container: string, name: string, bytes: string): Promise<Run> {
  const script = fileURLToPath(new URL("blobs-child.ts", import.meta.url));
  const { stdout } = await run(process.execPath, ["--import", "tsx", script, direction, way, container, name, bytes]);
  return JSON.parse(stdout);
}

const run = promisify(execFile);
const { BENCH_BLOB_MIB = "200" } = process.env;
const RANGE_BYTES = 2 ** 20;
const SIZE_MEBIBYTES = Number(BENCH_BLOB_MIB);
const ROUNDS = 5;
const WAYS = ["plain", "client", "client-bare", "fetch", "fetch-bare"] as const;
const NAMES = {
  plain: "`@azure/storage-blob`, not encrypted",
  client: "`azureBlobs(client)`, encrypted",
  "client-bare": 'the same, `blockDigest: "none"`',
  fetch: "`azureBlobs({ url, sas })`, encrypted",
  "fetch-bare": 'the same, `blockDigest: "none"`',
} as const;
const HEAD =
  "| way | upload wall s (ratio) | CPU s (ratio) | RSS MiB over plain | download wall s (ratio) | CPU s (ratio) | RSS MiB over plain |";
const RULE = "| --- | ---: | ---: | ---: | ---: | ---: | ---: |";
