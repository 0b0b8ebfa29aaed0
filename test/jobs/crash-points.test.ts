import { expect, test } from "vitest";
import { EnvelockError } from "../../src/core/base/errors.ts";
import type { DataKeyStore, RowChange } from "../../src/core/contracts/data-key-store.ts";
import type { JobRow, JobStore } from "../../src/core/contracts/job-store.ts";
import { planRewrap, retryJob, runPartitions } from "../../src/jobs/index.ts";
import { deferred } from "../support/deferred.ts";
import { kek, watched } from "../support/keks.ts";
import { refusalCode } from "../support/refusal.ts";
import { fleetOf, revisionsIn } from "./set-up.ts";

const ID = "rewrap-2026-11";

/** A call of a store at which a process may end. */
interface Call {
  readonly of: "keys" | "jobs";
  readonly method: "insertIfAbsent" | "compareAndSwap" | "compareAndSwapMany";
  readonly row: Partial<JobRow>;
  readonly isClaim: boolean;
  readonly document: { readonly state?: string; readonly phase?: string; readonly owner?: string | null };
}

type Point = readonly [what: string, isIt: (call: Call) => boolean, when: "before" | "after", turn?: number];

const isPlan = ({ row }: Call): boolean => row.kind === "plan";
const isJobMade = ({ method, row }: Call): boolean => method === "insertIfAbsent" && row.kind === "job";
const isPartitionMade = ({ method, row }: Call): boolean => method === "insertIfAbsent" && row.kind === "partition";
const isClaim = (call: Call): boolean => call.of === "jobs" && call.isClaim && call.row.kind === "partition";
const isEffect = ({ of, method }: Call): boolean => of === "keys" && method === "compareAndSwap";
const areEffects = ({ of, method }: Call): boolean => of === "keys" && method === "compareAndSwapMany";
const isCheckpoint = ({ method, row, isClaim, document }: Call): boolean =>
  method === "compareAndSwap" && row.kind === "partition" && !isClaim && document.state === "open";
const isDone = ({ row, document }: Call): boolean => row.kind === "partition" && document.state === "done";
const isBarrier = ({ method, row, document }: Call): boolean =>
  method === "compareAndSwap" && row.kind === "job" && document.phase === "verify";
const isEnd = ({ method, row, document }: Call): boolean => method === "compareAndSwap" && row.kind === "job" && document.state === "done";

const POINTS: readonly Point[] = [
  ["with a plan and without a job", isPlan, "after"],
  ["with a job and without a partition", isJobMade, "after"],
  ["with some of the partitions", isPartitionMade, "after", 3],
  ["before a partition is taken", isClaim, "before"],
  ["after a partition is taken", isClaim, "after"],
  ["in the middle of a page, before a row is replaced", isEffect, "before", 40],
  ["in the middle of a page, after a row is replaced", isEffect, "after", 40],
  ["in the middle of a page, before some of its rows are replaced together", areEffects, "before", 2],
  ["in the middle of a page, after some of its rows are replaced together", areEffects, "after", 2],
  ["after a page and before its checkpoint", isCheckpoint, "before"],
  ["after a checkpoint and before the partition is given back", isCheckpoint, "after"],
  ["before a partition is done", isDone, "before"],
  ["after a partition is done", isDone, "after", 2],
  ["after the last partition and before the barrier", isBarrier, "before"],
  ["after the barrier and before the partitions of the verification", isBarrier, "after"],
  ["in the middle of the verification", isClaim, "after", 6],
  ["after the last verification and before the end", isEnd, "before"],
  ["after the end and before anyone was told", isEnd, "after"],
];

test.each(
  POINTS.map(([what, isIt, when, turn = 1]) => ({ what, isIt, when, turn })),
)("a process that ends $what leaves nothing undone and nothing done twice", async ({ isIt, when, turn }) => {
  const { clock, store, jobs, open } = await fleetOf(700);
  const mortal = mortalStores(store, jobs, isIt, when, turn, isIt !== isEffect);
  const running = async () => {
    const job = await planRewrap({ id: ID, dataKeys: open(undefined, undefined, mortal.store), jobs: mortal.jobs, partitions: 4, clock });
    return await runPartitions(job, { concurrency: 4 });
  };
  await expect(clock.finish(running())).rejects.toThrow(/^(the process has ended|the data-key store failed)$/);
  const next = await planRewrap({ id: ID, dataKeys: open(), jobs, partitions: 9, clock });
  const status = await clock.finish(runPartitions(next));
  expect(status).toMatchObject({ state: "done", round: 0, failures: [], report: { retirable: [{ keyId: "old" }] } });
  expect(status.report?.counts).toMatchObject({ rows: 700, stale: 0, failed: 0 });
  expect(await revisionsIn(store)).toEqual(Array(700).fill(2));
});

test.each([
  ["before the first part", "before", 2],
  ["with some parts", "after", 2],
  ["with all parts", "after", 4],
] as const)("a process that ends %s of the last verification, after a retry, leaves none of them out", async (_what, when, turn) => {
  const { clock, store, jobs, open } = await fleetOf(60);
  await open(kek("lost"), []).rotate({ tenant: "x" });
  const first = await planRewrap({ id: ID, dataKeys: open(), jobs, partitions: 4, clock });
  expect(await runPartitions(first, { retries: 0 })).toMatchObject({ state: "failing" });
  await retryJob(first);
  const isAdded = ({ method, row }: Call): boolean => method === "insertIfAbsent" && row.id?.startsWith("0001/verify/") === true;
  const mortal = mortalStores(store, jobs, isAdded, when, turn, true);
  const mended = (over: DataKeyStore) => open(kek("new"), [kek("old"), kek("lost")], over);
  const dying = await planRewrap({ id: ID, dataKeys: mended(mortal.store), jobs: mortal.jobs, clock });
  await expect(clock.finish(runPartitions(dying))).rejects.toThrow("the process has ended");
  const next = await planRewrap({ id: ID, dataKeys: mended(store), jobs, clock });
  const status = await clock.finish(runPartitions(next));
  expect(status).toMatchObject({ state: "done", round: 1, partitions: { total: 4, done: 4 }, failures: [] });
  expect(status.report).toMatchObject({ counts: { rows: 61, read: 61, stale: 0 }, retirable: [{ keyId: "lost" }, { keyId: "old" }] });
  expect(await revisionsIn(store)).toEqual(Array(61).fill(2));
});

test("half of the workers cannot unwrap with the new key: they are refused, or lose the right and change nothing", async () => {
  const { clock, store, jobs, open } = await fleetOf(700);
  let isDenied = false;
  const half = watched(kek("new"), {
    async unwrap(recipient, options) {
      if (isDenied) throw new EnvelockError("access-denied", "no right to unwrap");
      return await kek("new").unwrap(recipient, options);
    },
  });
  const blind = await planRewrap({
    id: ID,
    dataKeys: open({ ...half, owns: (keyId) => kek("new").owns(keyId) }),
    jobs,
    partitions: 8,
    clock,
  });
  isDenied = true;
  expect(await refusalCode(() => planRewrap({ id: ID, dataKeys: open(half), jobs, clock }))).toBe("access-denied");
  expect(await refusalCode(() => planRewrap({ id: ID, dataKeys: open(kek("old"), []), jobs, clock }))).toBe("invalid-argument");
  const able = await planRewrap({ id: ID, dataKeys: open(), jobs, clock });
  const [end] = await clock.finish(Promise.allSettled([runPartitions(able), runPartitions(blind, { concurrency: 4 })]));
  expect(end).toMatchObject({ status: "fulfilled", value: { state: "done", report: { counts: { rows: 700, stale: 0, failed: 0 } } } });
  expect(await revisionsIn(store)).toEqual(Array(700).fill(2));
});

test("a worker that was frozen beyond its lease changes nothing that another has changed since, and stops", async () => {
  const { clock, store, jobs, open } = await fleetOf(700);
  const frozen = deferred();
  const atCheckpoint = deferred();
  let isFirst = true;
  const freezing: JobStore = {
    ...jobs,
    async compareAndSwap(row, revision, lease, options) {
      if (isFirst && row.kind === "partition" && lease.onlyIfFree !== true) {
        isFirst = false;
        atCheckpoint.resolve();
        await frozen.promise;
      }
      return await jobs.compareAndSwap(row, revision, lease, options);
    },
  };
  const zombie = planRewrap({ id: ID, dataKeys: open(), jobs: freezing, partitions: 2, clock }).then((job) => runPartitions(job));
  await atCheckpoint.promise;
  await clock.advance(61_000);
  const job = await planRewrap({ id: ID, dataKeys: open(), jobs, clock });
  expect(await clock.finish(runPartitions(job))).toMatchObject({ state: "done", report: { counts: { rows: 700 } } });
  const before = await jobs.list({ kind: "partition", job: ID, limit: 100 });
  frozen.resolve();
  expect(await clock.finish(zombie)).toMatchObject({ state: "done" });
  expect(await jobs.list({ kind: "partition", job: ID, limit: 100 })).toEqual(before);
  expect(await revisionsIn(store)).toEqual(Array(700).fill(2));
});

test("a checkpoint whose answer is lost with the connection counts each row once", async () => {
  const { clock, store, jobs, open } = await fleetOf(700);
  let lost = 0;
  const cut: JobStore = {
    ...jobs,
    async compareAndSwap(row, revision, lease, options) {
      const isSwapped = await jobs.compareAndSwap(row, revision, lease, options);
      if (row.kind === "partition" && lease.onlyIfFree !== true && lost++ % 3 === 0)
        throw new EnvelockError("unavailable", "the connection has ended", { retryable: true });
      return isSwapped;
    },
  };
  const job = await planRewrap({ id: ID, dataKeys: open(), jobs: cut, partitions: 3, clock });
  const status = await clock.finish(runPartitions(job));
  expect(lost).toBeGreaterThan(3);
  expect(status).toMatchObject({ state: "done", failures: [], report: { counts: { rows: 700, rewrapped: 700, read: 700 } } });
  expect(await revisionsIn(store)).toEqual(Array(700).fill(2));
});

test("two jobs on one table change each row once, and both end", async () => {
  const { clock, store, jobs, open } = await fleetOf(700);
  const run = async (id: string) => await runPartitions(await planRewrap({ id, dataKeys: open(), jobs, partitions: 3, clock }));
  const [one, other] = await clock.finish(Promise.all([run("one"), run("other")]));
  for (const end of [one, other]) expect(end).toMatchObject({ state: "done", report: { counts: { rows: 700, stale: 0, failed: 0 } } });
  expect(await revisionsIn(store)).toEqual(Array(700).fill(2));
});

test("a table without rows is done, and retires nothing", async () => {
  const { clock, jobs, open } = await fleetOf(0);
  const job = await planRewrap({ id: ID, dataKeys: open(), jobs, clock });
  expect(await runPartitions(job)).toMatchObject({ state: "done", report: { counts: { rows: 0 }, keyVersions: [], retirable: [] } });
});

test("a table that vanishes in the middle ends the call, and the job goes on when it is back", async () => {
  const { clock, store, jobs, open } = await fleetOf(700);
  let scans = 0;
  const vanishing: DataKeyStore = {
    ...store,
    async scan(page, options) {
      if (scans++ > 8) throw new EnvelockError("provider-failure", "the database answered 42P01");
      return await store.scan(page, options);
    },
  };
  const job = await planRewrap({ id: ID, dataKeys: open(undefined, undefined, vanishing), jobs, partitions: 3, clock });
  expect(await refusalCode(() => clock.finish(runPartitions(job)))).toBe("provider-failure");
  const again = await planRewrap({ id: ID, dataKeys: open(), jobs, clock });
  expect(await clock.finish(runPartitions(again))).toMatchObject({ state: "done", report: { counts: { rows: 700 } } });
  expect(await revisionsIn(store)).toEqual(Array(700).fill(2));
});

/** Stores of one process, which ends at a call: from then on none of its calls reaches a store. */
function mortalStores(
  store: DataKeyStore,
  jobs: JobStore,
  isIt: (call: Call) => boolean,
  when: "before" | "after",
  turn: number,
  hasMany: boolean,
): { readonly store: DataKeyStore; readonly jobs: JobStore } {
  let isDead = false;
  let turns = 0;
  const living = (): void => {
    if (isDead) throw new Error("the process has ended");
  };
  const at = async <T>(call: Call, run: () => Promise<T>): Promise<T> => {
    living();
    const isHere = isIt(call) && ++turns === turn;
    if (isHere && when === "before") isDead = true;
    living();
    const answer = await run();
    if (isHere) isDead = true;
    living();
    return answer;
  };
  const reading = async <T>(run: () => Promise<T>): Promise<T> => {
    living();
    return await run();
  };
  const none = { document: {}, isClaim: false } as const;
  return {
    store: {
      byKid: (scope, kid) => reading(() => store.byKid(scope, kid)),
      list: (scope) => reading(() => store.list(scope)),
      scan: (page) => reading(() => store.scan(page)),
      insertIfAbsent: (row) => reading(() => store.insertIfAbsent(row)),
      compareAndSwap: (row, revision) =>
        at({ of: "keys", method: "compareAndSwap", row: {}, ...none }, () => store.compareAndSwap(row, revision)),
      ...(hasMany && {
        compareAndSwapMany: (changes: readonly RowChange[]) =>
          at({ of: "keys", method: "compareAndSwapMany", row: {}, ...none }, async () => (await store.compareAndSwapMany?.(changes)) ?? []),
      }),
    },
    jobs: {
      get: (place) => reading(() => jobs.get(place)),
      list: (page) => reading(() => jobs.list(page)),
      insertIfAbsent: (row) =>
        at({ of: "jobs", method: "insertIfAbsent", row, document: JSON.parse(row.document), isClaim: false }, () =>
          jobs.insertIfAbsent(row),
        ),
      compareAndSwap: (row, revision, lease) =>
        at({ of: "jobs", method: "compareAndSwap", row, document: JSON.parse(row.document), isClaim: lease.onlyIfFree === true }, () =>
          jobs.compareAndSwap(row, revision, lease),
        ),
    },
  };
}
