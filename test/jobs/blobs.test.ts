import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { fileBlobs } from "../../src/blobs/files/index.ts";
import { type BlobStore, type EncryptedStore, encryptedStore, memoryBlobs } from "../../src/blobs/index.ts";
import { s3Blobs } from "../../src/blobs/s3/index.ts";
import type { Context } from "../../src/core/base/context.ts";
import { EnvelockError } from "../../src/core/base/errors.ts";
import type { KeyProvider } from "../../src/core/contracts/key-provider.ts";
import { Keyring } from "../../src/core/keyring/keyring.ts";
import { memoryJobStore, type PlanRewrapBlobsOptions, planRewrapBlobs, retryJob, runPartitions } from "../../src/jobs/index.ts";
import { S3Emulator } from "../../src/testing/s3/index.ts";
import { fakeClock } from "../support/fake-clock.ts";
import { kek, watched } from "../support/keks.ts";
import { refusalCode } from "../support/refusal.ts";
import { untyped } from "../support/untyped.ts";

const BLOBS = 24;
const folder = await mkdtemp(join(tmpdir(), "job-blobs-"));
const s3 = await S3Emulator.start();
s3.createBucket("invoices");
afterAll(async () => {
  await s3.close();
  await rm(folder, { recursive: true });
});
const bucket = (): BlobStore =>
  s3Blobs({ url: `${s3.url}/invoices`, region: s3.connection.region, credentials: s3.credentials }, { mode: "aws" });

describe.each<[string, () => BlobStore]>([
  ["a folder", () => fileBlobs(folder)],
  ["a bucket", bucket],
])("the blobs of %s", (_place, backing) => {
  test("are rewrapped over a fleet, also if a member ends in the middle, and stay readable", async () => {
    const { names, members, after } = await filled(backing());
    await backing()
      .create("foreign.txt", { metadata: {}, keys: [] })
      .then(async (upload) => {
        await upload.put(0, new TextEncoder().encode("no envelope"));
        await upload.commit({ always: true });
      });
    const stop = new AbortController();
    const first = await members();
    const ended = runPartitions(first, { sliceMs: 1, signal: stop.signal, progressMs: 1, onProgress: () => stop.abort() });
    await expect(ended).rejects.toThrow();
    const ends = await Promise.all([runPartitions(await members(), { lanes: 2 }), runPartitions(await members())]);
    for (const end of ends) {
      expect(end).toMatchObject({ state: "done", failures: [], kind: "rewrap-blobs/1:here" });
      expect(end.report).toMatchObject({
        counts: { rows: BLOBS + 1, read: BLOBS + 1, stale: 0, failed: 0, foreign: 1 },
        keyVersions: [
          { keyId: "new", after: BLOBS },
          { keyId: "old", after: 0 },
        ],
        retirable: [{ provider: "local", keyId: "old" }],
      });
    }
    for (const name of names.filter((_name, at) => at % 8 === 0)) expect(await textOf(after, name)).toBe(name);
    for await (const name of after.findStale()) expect.fail(`${name} was left`);
  });
});

describe("a job over blobs", () => {
  test("in a bucket, by many at once on one signal, is no leak of listeners to the runtime", async () => {
    const warnings: Error[] = [];
    const hear = (warning: Error): void => void warnings.push(warning);
    process.on("warning", hear);
    const { signal } = new AbortController();
    const names = Array.from({ length: BLOBS }, (_, at) => `many/${at}.pdf`);
    const { members, after } = await filled(bucket(), names);
    const job = await members({ id: "many", prefix: "many/" });
    expect(await runPartitions(job, { lanes: 2, concurrency: 16, signal })).toMatchObject({ state: "done" });
    const read = async (name: string): Promise<void> => (await after.get(name, { signal })).close();
    await Promise.all(names.map(read));
    await new Promise((resolve) => setImmediate(resolve)); // warnings come in a turn of their own
    process.off("warning", hear);
    expect(warnings.filter(({ name }) => name === "MaxListenersExceededWarning")).toEqual([]);
  });

  test("puts no name behind a bound that a store orders in another way", async () => {
    const names = ["a", "b", "\u{1f600}", "\u{1f601}", "\ufb01", "\uffee", ...Array.from({ length: 20 }, (_, at) => `\u{1f680}${at}`)];
    const inUtf8 = (one: string, other: string): number => Buffer.compare(Buffer.from(one), Buffer.from(other));
    const { members } = await filled(orderedBlobs(inUtf8), names);
    expect(await runPartitions(await members({ partitions: 9 }))).toMatchObject({
      state: "done",
      report: { counts: { rows: names.length, rewrapped: names.length } },
    });
  });

  test("cuts names at the bounds of the caller, and refuses those that it cannot place", async () => {
    const { members } = await filled(memoryBlobs(), ["1", "5", "9", "c"]);
    const job = await members({ id: "cut", partitions: 4, bounds: () => ["4", "8", "b"] });
    expect(await runPartitions(job)).toMatchObject({ state: "done", partitions: { total: 4 }, report: { counts: { rewrapped: 4 } } });
    for (const bounds of [() => ["8", "4"], () => ["\ufb01"], () => [""], () => [7], () => "4"])
      expect(await refusalCode(() => members(untyped({ id: "other", bounds })))).toBe("invalid-argument");
    for (const bad of [{ container: "a b" }, { blobs: {} }, { prefix: 7 }, { bounds: 7 }, { verification: "all" }, { store: 1 }])
      expect(await refusalCode(() => members(untyped({ id: "other", ...bad })))).toBe("invalid-argument");
  });

  test.each<[string, string, string]>([
    ["the first range to the last", "0", "9"],
    ["the last range to the first", "9", "0"],
  ])("is never done while a blob is stale that gets another name once, from %s, whenever that is", async (_what, from, to) => {
    let moved = 0;
    for (let moment = 0, isMoved = true; isMoved; moment++) {
      const inner = memoryBlobs();
      let calls = 0;
      const moving: BlobStore = {
        ...inner,
        async open(...page) {
          if (++calls === moment) await renamed(inner, from, to);
          return await inner.open(...page);
        },
      };
      const { members, after } = await filled(moving, ["1", "5", "8", from], undefined, () => ({ object: "any" }));
      calls = 0;
      const job = await members({ partitions: 3, bounds: () => ["2", "6"] });
      const { state, report } = await runPartitions(job, { concurrency: 1, retries: 0 });
      isMoved = calls >= moment;
      const stale: string[] = [];
      for await (const name of after.findStale()) stale.push(name);
      expect({ moment, retirable: report?.retirable.length ?? 0 }).toEqual({ moment, retirable: state === "done" ? 1 : 0 });
      expect({ moment, state, stale }).toEqual({ moment, state: stale.length === 0 ? "done" : "failing", stale });
      moved = moment;
    }
    expect(moved).toBeGreaterThan(8);
  });

  test("lists a blob whose header the store cannot replace, and does the others", async () => {
    const inner = memoryBlobs();
    let isHeld = true;
    const held: BlobStore = {
      ...inner,
      async open(name, firstBytes, options) {
        const blob = await inner.open(name, firstBytes, options);
        if (blob === undefined || name !== "3" || !isHeld) return blob;
        return { ...blob, read: blob.read.bind(blob), replaceHeader: async () => "not-possible" };
      },
    };
    const { members } = await filled(held, ["1", "2", "3"]);
    const job = await members();
    expect(await runPartitions(job, { retries: 0 })).toMatchObject({
      state: "failing",
      counts: { rows: 3, stale: 1 },
      failures: [{ code: "provider-failure", entries: 1, example: "row/3" }],
    });
    isHeld = false;
    await retryJob(job);
    expect(await runPartitions(job)).toMatchObject({ state: "done", report: { counts: { rewrapped: 3 } } });
  });

  test("that unwraps in its verification finds a blob that no longer opens", async () => {
    let isLost = false;
    const fresh = watched(kek("new"), {
      async unwrap(recipient, options) {
        if (isLost) throw new EnvelockError("unwrap-rejected", "another key");
        return await kek("new").unwrap(recipient, options);
      },
    });
    const { members, clock } = await filled(memoryBlobs(), ["1", "2"], fresh);
    const job = await members({ verification: "unwrap", budgets: [{ perSecond: 1000 }] });
    expect(job.kind).toBe("rewrap-blobs/1+unwrap:here");
    expect(await clock.finish(runPartitions(job))).toMatchObject({ state: "done" });
    const later = await members({ id: "later", verification: "unwrap", budgets: [{ perSecond: 1000 }] });
    isLost = true;
    expect(await clock.finish(runPartitions(later, { retries: 0 }))).toMatchObject({ state: "failing", counts: { stale: 0, failed: 2 } });
  });
});

/** A store with blobs under "old", and the members of a fleet that moves them to "new". */
async function filled(
  backing: BlobStore,
  names: readonly string[] = Array.from({ length: BLOBS }, (_, at) => `2026/${at}.pdf`),
  next: KeyProvider = kek("new"),
  context: (name: string) => Context = (name) => ({ object: name }),
) {
  const clock = fakeClock();
  const storeOf = (wrap: KeyProvider, ...unwrap: readonly KeyProvider[]): EncryptedStore =>
    encryptedStore(new Keyring({ wrapWith: [wrap], unwrapWith: unwrap }), backing, { context });
  const writer = storeOf(kek("old"));
  for (const name of names) await writer.put(name, new TextEncoder().encode(name));
  const jobs = memoryJobStore();
  const members = (differences: Partial<PlanRewrapBlobsOptions> = {}) =>
    planRewrapBlobs({ id: "blobs", container: "here", blobs: storeOf(next, kek("old")), jobs, partitions: 5, ...differences });
  return { names, members, after: storeOf(kek("new")), clock };
}

/** Gives a blob another name: a copy, and then the end of the first. */
async function renamed(store: BlobStore, from: string, to: string): Promise<void> {
  const blob = await store.open(from, 10_000);
  if (blob === undefined) throw new Error(`there is no blob ${from}`);
  const upload = await store.create(to, { metadata: blob.metadata, keys: [] });
  await upload.put(0, blob.first);
  await upload.commit({ always: true });
  await store.delete(from);
}

async function textOf(store: EncryptedStore, name: string): Promise<string> {
  const blob = await store.get(name);
  try {
    return await new Response(blob.stream()).text();
  } finally {
    blob.close();
  }
}

/** Blobs in memory that are listed in another order. */
function orderedBlobs(compare: (one: string, other: string) => number): BlobStore {
  const inner = memoryBlobs();
  return {
    ...inner,
    async list({ prefix, after, limit }) {
      const all = await inner.list({ limit: 1000, ...(prefix !== undefined && { prefix }) });
      const sorted = all.toSorted((one, other) => compare(one.name, other.name));
      return sorted.filter(({ name }) => after === undefined || compare(name, after) > 0).slice(0, limit);
    },
  };
}
