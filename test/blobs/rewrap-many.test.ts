import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterAll, expect, test } from "vitest";
import { azureBlobs } from "../../src/blobs/azure/index.ts";
import { gcsBlobs } from "../../src/blobs/gcs/index.ts";
import { type BlobStore, rewrapStale } from "../../src/blobs/index.ts";
import { s3Blobs } from "../../src/blobs/s3/index.ts";
import { EnvelockError } from "../../src/core/base/errors.ts";
import { GcsEmulator } from "../../src/testing/gcs/index.ts";
import { S3Emulator } from "../../src/testing/s3/index.ts";
import { noise } from "../support/arbitraries.ts";
import { startAzurite } from "../support/azurite.ts";
import { expectSameBytes } from "../support/bytes.ts";
import { keyringOf, storedBytesOf, storeOf, wholeOf } from "./set-up.ts";

// ENVELOCK_BLOBS=1000 ENVELOCK_BLOB_KILLS=20 makes it as long as it is meant to be.

const { ENVELOCK_BLOBS = "40", ENVELOCK_BLOB_KILLS = "2" } = process.env;
const BLOBS = Number(ENVELOCK_BLOBS);
const KILLS = Number(ENVELOCK_BLOB_KILLS);
const BODY_BYTES = 30_000;
/** A service on a machine that does much else may be silent for long. */
const SILENCE_MS = 600_000;

/** A place of blobs, which a process of its own can open too. */
interface Shop {
  readonly backing: BlobStore;
  readonly kind: "azure" | "gcs" | "s3";
  readonly place: object;
  /** Returns what rewraps have left behind, apart from blobs and their headers. */
  leftOvers(): number;
}

const azurite = await startAzurite();
const emulator = await S3Emulator.start();
const google = await GcsEmulator.start();
afterAll(async () => {
  await google.close();
  await emulator.close();
  await azurite.close();
});

async function azureShop(): Promise<Shop> {
  const container = await azurite.createContainer();
  const place = { url: `${azurite.url}/${container}`, sas: azurite.sas(container), silenceMs: SILENCE_MS };
  return { backing: azureBlobs(place), kind: "azure", place, leftOvers: () => 0 };
}

async function s3Shop(rewrap: "sidecar" | "in-place"): Promise<Shop> {
  const { accessKeyId, secretAccessKey } = emulator.credentials;
  const { region } = emulator.connection;
  const place = {
    url: `${emulator.url}/${emulator.createBucket(rewrap)}`,
    region,
    credentials: { accessKeyId, secretAccessKey },
    silenceMs: SILENCE_MS,
  };
  const leftOvers = (): number => emulator.openUploads(rewrap);
  return { backing: s3Blobs(place, { mode: "aws", rewrap }), kind: "s3", place: { ...place, rewrap }, leftOvers };
}

async function gcsShop(): Promise<Shop> {
  const bucket = google.createBucket("many");
  const place = { ...google.connection, bucket, silenceMs: SILENCE_MS };
  return { backing: gcsBlobs(place), kind: "gcs", place, leftOvers: () => google.openUploads(bucket) };
}

const SHOPS: readonly (readonly [string, () => Promise<Shop>])[] = [
  ["Azure", azureShop],
  ["S3, beside", () => s3Shop("sidecar")],
  ["S3, in place", () => s3Shop("in-place")],
  ["Google Cloud Storage", gcsShop],
];

test.each(SHOPS)(
  "a rewrap of many blobs, killed and run again, among readers and writers: %s",
  { timeout: 3_600_000 },
  async (_name, open) => {
    const { backing, kind, place, leftOvers } = await open();
    const [writer, reader] = [storeOf(backing, keyringOf("old", "new")), storeOf(backing, keyringOf("x", "old", "new"))];
    const names = Array.from({ length: BLOBS }, (_, at) => `many/${String(at).padStart(5, "0")}`);
    /** What each blob must hold. Every third one is written again while the rewrap runs. */
    const versions = new Map(names.map((name) => [name, 0]));
    for (const name of names) await writer.put(name, bodyOf(name, 0));
    const before = new Map<string, Uint8Array>();
    for (const name of names) before.set(name, await storedBytesOf(backing, name));

    let isOver = false;
    const reading = (async () => {
      for (let at = 0; !isOver; at++) {
        const name = names[(at * 7) % BLOBS] ?? "";
        const seen = versions.get(name) ?? 0;
        const bytes = await wholeOf(reader, name).catch((error: unknown) => {
          if (EnvelockError.is(error) && error.detail === "source-changed") return undefined; // it was replaced meanwhile, and says so
          throw error;
        });
        const possible = [seen, versions.get(name) ?? 0, (versions.get(name) ?? 0) + 1].map((version) => bodyOf(name, version));
        if (bytes !== undefined && !possible.some((body) => Buffer.compare(body, bytes) === 0)) throw new Error(`${name} was read in part`);
      }
    })();
    const writing = (async () => {
      for (let at = 0; !isOver; at++) {
        const name = names[(at * 3) % BLOBS] ?? "";
        const next = (versions.get(name) ?? 0) + 1;
        await writer.put(name, bodyOf(name, next), { replace: true }).then(
          () => versions.set(name, next),
          (error: unknown) => {
            if (!(EnvelockError.is(error) && error.detail === "blob-changed")) throw error; // a rewrap came between: nothing was written
          },
        );
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    })();
    for (let kill = 0; kill < KILLS; kill++) await killedAfter(Math.ceil(BLOBS / (KILLS + 1) / 2), [kind, JSON.stringify(place), "many/"]);
    isOver = true;
    await Promise.all([reading, writing]);

    const mover = storeOf(backing, keyringOf("new", "old"));
    for await (const { outcome, error } of rewrapStale(mover, { prefix: "many/" }))
      expect([outcome, error]).toEqual(["rewrapped", undefined]);
    for await (const name of mover.findStale({ prefix: "many/" })) expect.fail(`${name} was left`);
    const after = storeOf(backing, keyringOf("new"));
    for (const name of names) {
      const version = versions.get(name) ?? 0;
      expectSameBytes(await wholeOf(after, name), bodyOf(name, version));
      const now = await storedBytesOf(backing, name);
      if (version === 0) expectSameBytes(now.subarray(-BODY_BYTES), before.get(name)?.subarray(-BODY_BYTES) ?? noise(1));
    }
    expect(leftOvers()).toBe(0);
  },
);

test("a job over the headers of a container, killed and run again, replaces each once", { timeout: 3_600_000 }, async () => {
  const { backing, place } = await azureShop();
  const folder = await mkdtemp(join(tmpdir(), "killed-job-"));
  const writer = storeOf(backing, keyringOf("old", "new"));
  const names = Array.from({ length: BLOBS }, (_, at) => `job/${String(at).padStart(5, "0")}`);
  for (const name of names) await writer.put(name, bodyOf(name, 0));
  const options = [JSON.stringify(place), join(folder, "jobs.json"), "job/"];
  const replaced: string[] = [];
  for (let kill = 0; kill < KILLS; kill++) {
    const { lines, signal } = await ran("job-process.ts", options, Math.ceil(BLOBS / (KILLS + 2)));
    expect(signal).toBe("SIGKILL");
    replaced.push(...lines);
  }
  const ends = await Promise.all([1, 2].map(() => ran("job-process.ts", options)));
  for (const { lines } of ends) {
    replaced.push(...lines.slice(0, -1));
    expect(JSON.parse(lines.at(-1) ?? "")).toMatchObject({
      state: "done",
      report: { counts: { rows: BLOBS, read: BLOBS, stale: 0, failed: 0 }, retirable: [{ keyId: "old" }] },
    });
  }
  expect(new Set(replaced).size).toBe(replaced.length); // a process that was killed may not have said the last one or two
  expect(replaced.every((line) => line.endsWith(" replaced"))).toBe(true);
  expect(replaced.length).toBeGreaterThanOrEqual(BLOBS - 2 * KILLS);
  const after = storeOf(backing, keyringOf("new"));
  for (const name of names) expectSameBytes(await wholeOf(after, name), bodyOf(name, 0));
  await rm(folder, { recursive: true });
});

function bodyOf(name: string, version: number): Uint8Array<ArrayBuffer> {
  return noise(BODY_BYTES, `${name} ${version}`);
}

/** Runs the rewrap in a process of its own, and kills it when it has done so many blobs. */
async function killedAfter(blobs: number, options: readonly string[]): Promise<void> {
  expect((await ran("rewrap-process.ts", options, blobs)).lines.length).toBeGreaterThan(0);
}

/** Runs a program of this folder. @param most the lines after which it is killed */
async function ran(
  program: string,
  options: readonly string[],
  most: number = Number.POSITIVE_INFINITY,
): Promise<{ readonly lines: readonly string[]; readonly signal: string | null }> {
  const script = fileURLToPath(new URL(program, import.meta.url));
  const child = spawn(process.execPath, ["--import", "tsx", script, ...options], { stdio: ["ignore", "pipe", "inherit"] });
  const ended = once(child, "exit");
  const lines: string[] = [];
  for await (const line of createInterface(child.stdout)) {
    lines.push(line);
    if (lines.length >= most) child.kill("SIGKILL");
  }
  const [, signal] = await ended;
  return { lines, signal };
}
