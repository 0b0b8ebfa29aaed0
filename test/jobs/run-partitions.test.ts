import { describe, expect, test } from "vitest";
import type { Context } from "../../src/core/base/context.ts";
import { EnvelockError } from "../../src/core/base/errors.ts";
import type { DataKeyStore } from "../../src/core/contracts/data-key-store.ts";
import type { JobStore } from "../../src/core/contracts/job-store.ts";
import { Keyring } from "../../src/core/keyring/keyring.ts";
import {
  cancelJob,
  jobStatus,
  listJobs,
  pauseJob,
  planRewrap,
  type RunOptions,
  resumeJob,
  retryJob,
  runPartitions,
} from "../../src/jobs/index.ts";
import { isUnchangedReport } from "../../src/jobs/report.ts";
import { deferred } from "../support/deferred.ts";
import { kek, watched } from "../support/keks.ts";
import { refusal, refusalCode } from "../support/refusal.ts";
import { untyped } from "../support/untyped.ts";
import { fleetOf, revisionsIn } from "./set-up.ts";

const ID = "rewrap-2026-11";

describe("a rewrap over a fleet", () => {
  test("wraps each record once, verifies, and gives a report of what may be retired", async () => {
    const { store, jobs, open, clock } = await fleetOf(700);
    const job = await planRewrap({ id: ID, dataKeys: open(), jobs, partitions: 5, clock });
    const status = await runPartitions(job);
    expect(status).toMatchObject({ state: "done", round: 0, phase: "verify", failures: [], counts: { rows: 700, stale: 0, failed: 0 } });
    expect(status.partitions).toEqual({ total: 5, done: 5, held: 0, free: 0 });
    expect(status.report).toMatchObject({
      format: "envelock-retirement/1",
      job: ID,
      rounds: 1,
      partitions: 5,
      counts: { rows: 700, rewrapped: 700, failed: 0 },
      keyVersions: [
        { keyId: "new", before: 0, after: 700 },
        { keyId: "old", before: 700, after: 0 },
      ],
      retirable: [{ provider: "local", keyId: "old" }],
    });
    expect(await revisionsIn(store)).toEqual(Array(700).fill(2));
    expect(await open(kek("new"), []).verifyAll()).toMatchObject({ opened: 700, failed: 0 });
    const { report } = status;
    if (report === null) throw new Error("no report");
    expect(await isUnchangedReport(report)).toBe(true);
    expect(await isUnchangedReport({ ...report, retirable: [] })).toBe(false);
    expect(await isUnchangedReport({ ...report, counts: { ...report.counts, rows: 701 } })).toBe(false);
  });

  test("many processes and lanes share it, and each row is changed once", async () => {
    const { store, jobs, open, clock } = await fleetOf(600);
    const members = Array.from({ length: 4 }, async () => {
      const job = await planRewrap({ id: ID, dataKeys: open(), jobs, clock });
      return await runPartitions(job, { lanes: 2, concurrency: 3 });
    });
    const ends = await clock.finish(Promise.all(members));
    for (const end of ends) expect(end).toMatchObject({ state: "done", report: { counts: { rows: 600, rewrapped: 600 } } });
    expect(await revisionsIn(store)).toEqual(Array(600).fill(2));
    expect(await listJobs({ jobs })).toMatchObject([{ id: ID, kind: "rewrap-keys/1", state: "done" }]);
  });

  test("slices end in time and are taken up, and a partition that alone is left is split", async () => {
    const { store, jobs, open, clock } = await fleetOf(3000);
    const slow: DataKeyStore = {
      ...store,
      async scan(page, options) {
        clock.advanceNow(1000);
        return await store.scan(page, options);
      },
    };
    const job = await planRewrap({ id: ID, dataKeys: open(undefined, undefined, slow), jobs, partitions: 1, clock });
    const status = await clock.finish(runPartitions(job, { leaseMs: 9000, sliceMs: 1000 }));
    expect(status).toMatchObject({
      state: "done",
      report: { counts: { rows: 3000, rewrapped: 3000 }, keyVersions: [{ after: 3000 }, { after: 0 }] },
    });
    expect(status.partitions.total).toBeGreaterThan(1);
    expect(await revisionsIn(store)).toEqual(Array(3000).fill(2));
  });

  test("a process reads the plan of a job once to work on it, and once for the state at the end", async () => {
    const { jobs, open, clock } = await fleetOf(100);
    let reads = 0;
    const counting: JobStore = {
      ...jobs,
      async get(place, options) {
        if (place.kind === "plan") reads++;
        return await jobs.get(place, options);
      },
    };
    const job = await planRewrap({ id: ID, dataKeys: open(), jobs: counting, partitions: 5, clock });
    expect(await runPartitions(job)).toMatchObject({ state: "done", partitions: { total: 5 } });
    expect(reads).toBe(2);
  });

  test("rows that come in meanwhile are seen, and one that an old process wraps with the old key is met again", async () => {
    const { jobs, open, clock } = await fleetOf(300);
    const job = await planRewrap({ id: ID, dataKeys: open(), jobs, partitions: 3, clock });
    const old = open(kek("old"), [kek("new")]);
    let writes = 0;
    const watching: JobStore = {
      ...jobs,
      async compareAndSwap(row, revision, lease, options) {
        // as the verification begins
        if (row.kind === "job" && JSON.parse(row.document).phase === "verify" && writes++ === 0) await old.rotate({ tenant: "t7" });
        return await jobs.compareAndSwap(row, revision, lease, options);
      },
    };
    const member = await planRewrap({ id: ID, dataKeys: open(), jobs: watching, clock });
    const status = await clock.finish(runPartitions(member));
    expect(job.id).toBe(ID);
    expect(status).toMatchObject({ state: "done", round: 1, report: { rounds: 2, counts: { rows: 301, rewrapped: 301 } } });
    expect(status.report?.retirable).toMatchObject([{ keyId: "old" }]);
  });

  test("onProgress tells of the whole job, and what it throws ends the call", async () => {
    const { jobs, open, clock } = await fleetOf(600);
    const job = await planRewrap({ id: ID, dataKeys: open(), jobs, partitions: 2, clock });
    const told: number[] = [];
    await runPartitions(job, { progressMs: 1e-9, onProgress: ({ partitions }) => told.push(partitions.done) });
    expect(told.at(-1)).toBe(2);
    const other = await planRewrap({ id: "other", dataKeys: open(), jobs, clock });
    const enough = new Error("enough");
    const running = runPartitions(other, {
      onProgress: () => {
        throw enough;
      },
    });
    await expect(running).rejects.toBe(enough);
  });

  test("onProgress is called within a slice too", async () => {
    const { store, jobs, open, clock } = await fleetOf(1500);
    const slow: DataKeyStore = {
      ...store,
      async scan(page, options) {
        clock.advanceNow(1000);
        return await store.scan(page, options);
      },
    };
    const job = await planRewrap({ id: ID, dataKeys: open(undefined, undefined, slow), jobs, partitions: 1, clock });
    const told: number[] = [];
    const onProgress: RunOptions["onProgress"] = ({ phase, partitions, counts: { rows = 0 } }) => {
      if (phase === "work" && partitions.done === 0) told.push(rows);
    };
    await clock.finish(runPartitions(job, { leaseMs: 3_600_000, progressMs: 1000, onProgress }));
    expect(told).toEqual([256, 512, 768, 1024, 1280, 1500]);
  });

  test("an aborted signal stops it with its reason, and its partition is free at once", async () => {
    const { store, jobs, open, clock } = await fleetOf(600);
    const controller = new AbortController();
    const stopping: DataKeyStore = {
      ...store,
      async compareAndSwapMany(changes) {
        controller.abort(new Error("enough"));
        return (await store.compareAndSwapMany?.(changes)) ?? [];
      },
    };
    const job = await planRewrap({ id: ID, dataKeys: open(undefined, undefined, stopping), jobs, partitions: 2, clock });
    await expect(runPartitions(job, { signal: controller.signal })).rejects.toThrow("enough");
    expect((await jobStatus({ jobs, id: ID, clock })).partitions).toMatchObject({ held: 0, done: 0, free: 2 });
    const again = await planRewrap({ id: ID, dataKeys: open(), jobs, clock });
    expect(await runPartitions(again)).toMatchObject({ state: "done" });
    expect(await revisionsIn(store)).toEqual(Array(600).fill(2));
  });
});

describe("a plan", () => {
  test("of two planners one plan stands", async () => {
    const { jobs, open, clock } = await fleetOf(100);
    const plans = [3, 7, 5].map((partitions) => planRewrap({ id: ID, dataKeys: open(), jobs, partitions, clock }));
    const [one] = await Promise.all(plans);
    if (one === undefined) throw new Error("no job");
    const status = await runPartitions(one);
    expect([3, 7, 5]).toContain(status.partitions.total);
    expect(status).toMatchObject({ state: "done", report: { counts: { rows: 100, rewrapped: 100 } } });
  });

  test("a process that wraps with another key than the job was planned for is refused, and says so", async () => {
    const { jobs, open, clock } = await fleetOf(3);
    await planRewrap({ id: ID, dataKeys: open(), jobs, clock });
    const error = await refusal(() => planRewrap({ id: ID, dataKeys: open(kek("old"), [kek("new")]), jobs, clock }));
    expect(error).toMatchObject({
      code: "invalid-argument",
      message: expect.stringContaining("local old"),
      hint: expect.stringContaining("Roll"),
    });
  });

  test("a process without keyringOf takes up no job that has one, and the other way round", async () => {
    const { jobs, open, clock } = await fleetOf(3);
    const keyringOf = ({ tenant = "" }: Context): Keyring =>
      new Keyring({ wrapWith: [kek("new")], unwrapWith: [kek("old")], context: { tenant }, clock });
    const plans = [{}, { keyringOf }].map((own, at) => ({ id: `job-${at}`, dataKeys: open(), jobs, clock, ...own }));
    for (const plan of plans) await planRewrap(plan);
    for (const [at, plan] of plans.entries()) {
      expect(await refusalCode(() => planRewrap({ ...plan, id: `job-${1 - at}` }))).toBe("invalid-argument");
      await planRewrap(plan);
    }
  });

  test("a process that cannot read its own wraps plans nothing", async () => {
    const { jobs, open, clock } = await fleetOf(3);
    const blind = watched(kek("new"), {
      unwrap: async () => {
        throw new EnvelockError("access-denied", "wrap only");
      },
    });
    expect(await refusalCode(() => planRewrap({ id: ID, dataKeys: open(blind), jobs, clock }))).toBe("access-denied");
    expect(await listJobs({ jobs })).toEqual([]);
  });

  test.each<[string, object]>([
    ["an id with a space", { id: "a b" }],
    ["no store of jobs", { jobs: {} }],
    ["no data keys", { dataKeys: {} }],
    ["too many partitions", { partitions: 4097 }],
    ["a misspelt option", { partition: 3 }],
    ["a share above 1", { budgets: [{ perSecond: 5, share: 2 }] }],
    ["a budget that is no number", { budgets: [{ perSecond: Number.POSITIVE_INFINITY }] }],
    ["a budget of no calls", { budgets: [{ perSecond: 0 }] }],
    ["a budget below 0", { budgets: [{ perSecond: -5 }] }],
    ["a budget of less than a call in a day", { budgets: [{ perSecond: 1e-300, share: 1e-300 }] }],
    ["a keyringOf that is no function", { keyringOf: 7 }],
  ])("with %s is refused", async (_what, differences) => {
    const { jobs, open } = await fleetOf(1);
    expect(await refusalCode(() => planRewrap(untyped({ id: ID, dataKeys: open(), jobs, ...differences })))).toBe("invalid-argument");
  });

  test.each<[string, object]>([
    ["a lease of no length", { leaseMs: 1 }],
    ["a slice longer than its lease", { leaseMs: 1000, sliceMs: 2000 }],
    ["no lane", { lanes: 0 }],
    ["a misspelt option", { lane: 1 }],
    ["half a retry", { retries: 0.5 }],
  ])("a run with %s is refused", async (_what, options) => {
    const { jobs, open, clock } = await fleetOf(1);
    const job = await planRewrap({ id: ID, dataKeys: open(), jobs, clock });
    expect(await refusalCode(() => runPartitions(job, untyped(options)))).toBe("invalid-argument");
    expect(await refusalCode(() => runPartitions(untyped({ jobs, id: ID })))).toBe("invalid-argument");
  });
});

describe("control", () => {
  test("a paused job rests until it is resumed, and a cancelled one is over", async () => {
    const { jobs, open, clock, store } = await fleetOf(100);
    const job = await planRewrap({ id: ID, dataKeys: open(), jobs, clock });
    expect(await pauseJob(job)).toBe("paused");
    expect(await runPartitions(job)).toMatchObject({ state: "paused" });
    expect(await revisionsIn(store)).toEqual(Array(100).fill(1));
    expect(await resumeJob(job)).toBe("running");
    expect(await cancelJob({ jobs, id: ID })).toBe("cancelled");
    expect(await runPartitions(job)).toMatchObject({ state: "cancelled" });
    expect(await refusalCode(() => resumeJob(job))).toBe("invalid-argument");
    expect(await refusalCode(() => retryJob(job))).toBe("invalid-argument");
    expect(await refusalCode(() => jobStatus({ jobs, id: "none" }))).toBe("key-not-found");
    for (const none of [undefined, {}, { jobs: {} }, { jobs, page: 2 }])
      expect(await refusalCode(() => listJobs(untyped(none)))).toBe("invalid-argument");
  });

  test("a pause is seen at the next page", async () => {
    const { jobs, open, clock, store } = await fleetOf(600);
    let scans = 0;
    const pausing: DataKeyStore = {
      ...store,
      async scan(page, options) {
        if (scans++ === 5) await pauseJob({ jobs, id: ID }); // the second page, after those of the plan
        return await store.scan(page, options);
      },
    };
    const job = await planRewrap({ id: ID, dataKeys: open(undefined, undefined, pausing), jobs, partitions: 1, clock });
    expect(await runPartitions(job)).toMatchObject({ state: "paused", partitions: { held: 0, free: 1 } });
    expect((await revisionsIn(store)).filter((revision) => revision === 2).length).toBeLessThan(600);
    await resumeJob(job);
    expect(await runPartitions(job)).toMatchObject({ state: "done" });
  });

  test("a worker that does not know the kind of a job leaves it alone", async () => {
    const { jobs, open, clock, store } = await fleetOf(10);
    const job = await planRewrap({ id: ID, dataKeys: open(), jobs, clock });
    const [row] = await jobs.list({ kind: "job", job: "", limit: 1 });
    if (row === undefined) throw new Error("no job");
    const newer = { ...row, revision: 2, document: row.document.replace("rewrap-keys/1", "rewrap-keys/2") };
    await jobs.compareAndSwap(newer, 1, { leaseMs: 0 });
    expect(await runPartitions(job)).toMatchObject({ state: "running", kind: "rewrap-keys/2" });
    expect(await refusalCode(() => planRewrap({ id: ID, dataKeys: open(), jobs, clock }))).toBe("invalid-argument");
    expect(await revisionsIn(store)).toEqual(Array(10).fill(1));
  });
});

describe("failures", () => {
  test("a row that fails holds nothing, is in the ledger, and is done in a later round", async () => {
    const { jobs, open, clock, store } = await fleetOf(300);
    const lost = open(kek("lost"), []);
    await lost.rotate({ tenant: "x" });
    const job = await planRewrap({ id: ID, dataKeys: open(), jobs, partitions: 4, clock });
    const status = await runPartitions(job, { retries: 0 });
    expect(status).toMatchObject({ state: "failing", report: null, counts: { rows: 301, stale: 1 } });
    expect(status.retryInMs).toBeGreaterThan(0);
    expect(status.failures).toMatchObject([{ code: "no-matching-provider", entries: 1, tries: 1 }]);
    const mended = await planRewrap({ id: ID, dataKeys: open(kek("new"), [kek("old"), kek("lost")]), jobs, clock });
    expect(await retryJob(mended)).toBe("running");
    const end = await runPartitions(mended);
    expect(end).toMatchObject({ state: "done", round: 1, failures: [], partitions: { total: 4 } }); // all are looked at once more
    expect(end.report).toMatchObject({ counts: { rows: 301, rewrapped: 301 }, retirable: [{ keyId: "lost" }, { keyId: "old" }] });
    expect(await revisionsIn(store)).toEqual(Array(301).fill(2));
  });

  test("what fails is tried again after a pause by the store's clock, so many times", async () => {
    const { jobs, open, clock } = await fleetOf(3);
    await open(kek("lost"), []).rotate({ tenant: "x" });
    const job = await planRewrap({ id: ID, dataKeys: open(), jobs, clock });
    const beganAtMs = clock.monotonicMs();
    expect(await clock.finish(runPartitions(job, { retries: 2 }))).toMatchObject({ state: "failing", round: 2, failures: [{ tries: 3 }] });
    expect(clock.monotonicMs() - beganAtMs).toBeGreaterThanOrEqual(30_000 + 60_000);
  });

  test("a round that several lanes want to begin counts once", async () => {
    const { jobs, open, clock } = await fleetOf(3);
    await open(kek("lost"), []).rotate({ tenant: "x" });
    let lanes: (() => void)[] = [];
    const gathering: JobStore = {
      ...jobs,
      async compareAndSwap(row, revision, lease, options) {
        if (row.kind === "job" && lease.onlyIfFree === true)
          await new Promise<void>((resolve) => {
            if (lanes.push(resolve) < 4) return;
            for (const go of lanes) go();
            lanes = [];
          });
        return await jobs.compareAndSwap(row, revision, lease, options);
      },
    };
    const job = await planRewrap({ id: ID, dataKeys: open(), jobs: gathering, clock });
    expect(await clock.finish(runPartitions(job, { lanes: 4, retries: 2 }))).toMatchObject({ state: "failing", round: 2 });
  });

  test("a ledger of any size is told, and not read while nothing fails", async () => {
    const { jobs, open, clock } = await fleetOf(3);
    const entries = 150_000;
    const document = { round: 0, code: "timeout", message: "late", tenant: null, part: "0000", tries: 1, firstAtMs: 0 };
    let reads = 0;
    const large: JobStore = {
      ...jobs,
      async list(page, options) {
        if (page.kind !== "failure") return await jobs.list(page, options);
        reads++;
        const first = page.after ? Number(page.after.slice(4)) + 1 : 1e6;
        const length = Math.min(page.limit, 1e6 + entries - first);
        return Array.from({ length }, (_, at) => {
          const tries = first + at === 1e6 + 7 ? 3 : 1;
          return { ...page, id: `row/${first + at}`, revision: 1, leaseMs: 0, document: JSON.stringify({ ...document, tries }) };
        });
      },
    };
    const job = await planRewrap({ id: ID, dataKeys: open(), jobs, partitions: 1, clock });
    await pauseJob(job);
    expect(await jobStatus({ jobs: large, id: ID, clock })).toMatchObject({ failures: [] });
    expect(reads).toBe(0);
    await resumeJob(job);
    await open(kek("lost"), []).rotate({ tenant: "x" });
    await runPartitions(job, { retries: 0 });
    const { failures } = await jobStatus({ jobs: large, id: ID, clock });
    expect(failures).toEqual([{ code: "timeout", tenant: null, message: "late", entries, tries: 3, example: "row/1000000" }]);
  });

  test("a tenant whose key is disabled holds nobody up, is in the ledger once, and is done when it is back", async () => {
    const { jobs, open, clock, store } = await fleetOf(900, (at) => ({ tenant: `t${at % 30}`, unit: `${at}` }));
    let isDisabled = true;
    const disabled = watched(kek("old"), {
      async unwrap(recipient, options) {
        if (isDisabled) throw new EnvelockError("key-disabled", "the tenant disabled its key");
        return await kek("old").unwrap(recipient, options);
      },
    });
    const keyringOf = ({ tenant = "" }: Context): Keyring =>
      new Keyring({ wrapWith: [kek("new")], unwrapWith: [tenant === "t7" ? disabled : kek("old")], context: { tenant }, clock });
    const job = await planRewrap({ id: ID, dataKeys: open(), jobs, keyringOf, partitions: 8, clock });
    const status = await clock.finish(runPartitions(job, { retries: 0, lanes: 2 }));
    expect(status).toMatchObject({ state: "failing", counts: { rows: 900 } });
    expect(status.failures).toMatchObject([{ tenant: "t7", code: "key-disabled", entries: 1, tries: 1 }]);
    expect(await jobs.list({ kind: "failure", job: ID, limit: 100 })).toHaveLength(1);
    expect(disabled.calls.filter((call) => call === "unwrap").length).toBeLessThanOrEqual(2 * 8); // those in flight in both lanes
    expect((await revisionsIn(store)).filter((revision) => revision === 2)).toHaveLength(870);

    isDisabled = false;
    await clock.advance(60_000);
    const end = await clock.finish(runPartitions(job));
    expect(end).toMatchObject({
      state: "done",
      round: 1,
      failures: [],
      report: { retirable: [{ keyId: "old" }], counts: { rewrapped: 900 } },
    });
    expect(await revisionsIn(store)).toEqual(Array(900).fill(2));
  });

  test("a tenant that is refused before any call is one entry too, and one that is skipped is no failure", async () => {
    const { jobs, open, clock } = await fleetOf(90, (at) => ({ tenant: `t${at % 3}`, unit: `${at}` }));
    const keyringOf = ({ tenant = "" }: Context) => {
      if (tenant === "t0") throw new EnvelockError("access-denied", "suspended", { tenant });
      if (tenant === "t1") return { skip: "moves by itself" };
      return new Keyring({ wrapWith: [kek("new")], unwrapWith: [kek("old")], context: { tenant }, clock });
    };
    const job = await planRewrap({ id: ID, dataKeys: open(), jobs, keyringOf, partitions: 2, clock });
    const status = await runPartitions(job, { retries: 0 });
    expect(status).toMatchObject({
      state: "failing",
      counts: { rows: 90, skipped: 30, failed: 30 },
      failures: [{ tenant: "t0", entries: 1 }],
    });
  });

  test("a key service that wants a pause ends the slice early, and its partition rests so long", async () => {
    const { jobs, open, clock, store } = await fleetOf(40);
    let limited = 3;
    const busy = watched(kek("old"), {
      async unwrap(recipient, options) {
        if (limited-- > 0) throw new EnvelockError("rate-limited", "later", { retryAfterMs: 45_000, retryable: true });
        return await kek("old").unwrap(recipient, options);
      },
    });
    const dataKeys = open(kek("new"), [{ ...busy, owns: (keyId) => kek("old").owns(keyId) }]);
    const job = await planRewrap({ id: ID, dataKeys, jobs, partitions: 1, clock });
    const beganAtMs = clock.monotonicMs();
    expect(await clock.finish(runPartitions(job, { concurrency: 1 }))).toMatchObject({ state: "done", failures: [] });
    expect(clock.monotonicMs() - beganAtMs).toBeGreaterThanOrEqual(45_000);
    expect(await jobs.list({ kind: "failure", job: ID, limit: 10 })).toEqual([]);
    expect(await revisionsIn(store)).toEqual(Array(40).fill(2));
  });

  test("a row whose key service stays away goes into the ledger after some rests, and the others are done", async () => {
    const { jobs, open, clock, store } = await fleetOf(40);
    const away = watched(kek("away"), {
      async unwrap() {
        throw new EnvelockError("unavailable", "away", { retryable: true });
      },
    });
    await open(kek("away"), []).rotate({ tenant: "x" });
    const dataKeys = open(kek("new"), [kek("old"), { ...away, owns: (keyId) => kek("away").owns(keyId) }]);
    const job = await planRewrap({ id: ID, dataKeys, jobs, partitions: 1, clock });
    const status = await clock.finish(runPartitions(job, { retries: 0 }));
    expect(status).toMatchObject({ state: "failing", counts: { rows: 41, stale: 1 }, failures: [{ code: "unavailable", entries: 1 }] });
    expect((await revisionsIn(store)).filter((revision) => revision === 2)).toHaveLength(40);
  });

  test("a keyring that is refused for every row ends the call, instead of asking for each row", async () => {
    const { jobs, open, clock } = await fleetOf(600);
    const denied = watched(kek("old"), {
      unwrap: async () => {
        throw new EnvelockError("access-denied", "no right to unwrap");
      },
    });
    const job = await planRewrap({ id: ID, dataKeys: open(kek("new"), [denied]), jobs, partitions: 2, clock });
    expect(await refusalCode(() => clock.finish(runPartitions(job)))).toBe("access-denied");
    expect(denied.calls.filter((call) => call === "unwrap").length).toBeLessThanOrEqual(256);
  });
});

describe("a verification that unwraps", () => {
  test("counts what no longer opens as failed, within the budget, and retires nothing", async () => {
    const { jobs, open, clock } = await fleetOf(40);
    const job = await planRewrap({ id: ID, dataKeys: open(), jobs, partitions: 2, verification: "unwrap", clock });
    expect(job.kind).toBe("rewrap-keys/1+unwrap");
    expect(await runPartitions(job)).toMatchObject({ state: "done", report: { retirable: [{ keyId: "old" }] } });
    let unwraps = 0;
    const fresh = watched(kek("new"), {
      async unwrap(recipient, options) {
        if (unwraps++ === 7) throw new EnvelockError("unwrap-rejected", "the wrapped key was damaged");
        return await kek("new").unwrap(recipient, options);
      },
    });
    const own = {
      id: "later",
      dataKeys: open(fresh),
      jobs,
      partitions: 2,
      verification: "unwrap",
      budgets: [{ perSecond: 10, share: 1 }],
    } as const;
    const later = await planRewrap({ ...own, clock });
    unwraps = 0;
    const beganAtMs = clock.monotonicMs();
    const status = await clock.finish(runPartitions(later, { retries: 0, concurrency: 1 }));
    expect(status).toMatchObject({
      state: "failing",
      counts: { rows: 40, stale: 0, failed: 1 },
      failures: [{ code: "authentication-failed" }],
    });
    expect(clock.monotonicMs() - beganAtMs).toBeGreaterThan(3000); // 40 calls
    expect(await refusalCode(() => planRewrap({ ...own, verification: "names", clock }))).toBe("invalid-argument");
  });
});

describe("a budget", () => {
  test.each([1, 3])("%d processes together keep to the calls that the fleet may make in a second", async (processes) => {
    const { jobs, clock, store, open } = await fleetOf(120);
    const callsAtMs: number[] = [];
    const counted = (name: string) => {
      const inner = kek(name);
      const note = <T>(call: Promise<T>): Promise<T> => {
        callsAtMs.push(clock.monotonicMs());
        return call;
      };
      return watched(inner, {
        wrap: (dek, options) => note(inner.wrap(dek, options)),
        unwrap: (recipient, options) => note(inner.unwrap(recipient, options)),
      });
    };
    const members = Array.from({ length: processes }, async () => {
      const dataKeys = open(counted("new"), [counted("old")]);
      const job = await planRewrap({ id: ID, dataKeys, jobs, budgets: [{ perSecond: 100, share: 0.6 }], partitions: 6, clock });
      callsAtMs.length = 0; // without the trial of the plan
      return await runPartitions(job);
    });
    const ends = await clock.finish(Promise.all(members));
    expect(ends.every(({ state }) => state === "done")).toBe(true);
    expect(await revisionsIn(store)).toEqual(Array(120).fill(2));
    const most = Math.max(...callsAtMs.map((at) => callsAtMs.filter((other) => other >= at && other < at + 1000).length));
    expect(most).toBeLessThanOrEqual(60 + 3 * processes);
    expect(Math.max(...callsAtMs)).toBeGreaterThan(5000); // 120 records of three calls
  });

  test("a page that takes longer than the lease stays with its worker, and no other does it too", async () => {
    const { jobs, clock, store, open } = await fleetOf(60);
    const members = Array.from({ length: 2 }, async () => {
      const job = await planRewrap({ id: ID, dataKeys: open(), jobs, budgets: [{ perSecond: 1, share: 1 }], partitions: 1, clock });
      return await runPartitions(job, { leaseMs: 10_000 });
    });
    const [end] = await clock.finish(Promise.all(members));
    expect(end).toMatchObject({ state: "done", report: { counts: { rows: 60, rewrapped: 60 } } });
    expect(clock.monotonicMs()).toBeGreaterThan(150_000);
    expect(await revisionsIn(store)).toEqual(Array(60).fill(2));
    const [worked] = await jobs.list({ kind: "partition", job: ID, limit: 1 });
    expect(JSON.parse(worked?.document ?? "{}")).toMatchObject({ state: "done", attempts: 1 });
  });

  test("a page that hangs loses its partition after twenty leases, and its worker stops when it is back", async () => {
    const { jobs, clock, store, open } = await fleetOf(20);
    const hangs = deferred();
    let isFirst = true;
    const hanging: DataKeyStore = {
      ...store,
      async compareAndSwapMany(changes) {
        if (isFirst) {
          isFirst = false;
          await hangs.promise;
        }
        return (await store.compareAndSwapMany?.(changes)) ?? [];
      },
    };
    const job = await planRewrap({ id: ID, dataKeys: open(undefined, undefined, hanging), jobs, partitions: 1, clock });
    const stuck = runPartitions(job, { leaseMs: 1000 });
    await clock.advance(15_000);
    expect((await jobStatus({ jobs, id: ID, clock })).partitions).toMatchObject({ held: 1 });
    await clock.advance(10_000);
    const other = await planRewrap({ id: ID, dataKeys: open(), jobs, clock });
    expect(await clock.finish(runPartitions(other))).toMatchObject({ state: "done", report: { counts: { rows: 20 } } });
    hangs.resolve();
    expect(await clock.finish(stuck)).toMatchObject({ state: "done" });
    expect(await revisionsIn(store)).toEqual(Array(20).fill(2));
  });

  test("payers have limits of their own", async () => {
    const { jobs, clock, open } = await fleetOf(60, (at) => ({ tenant: at < 50 ? "large" : "small", unit: `${at}` }));
    const done: (readonly [string, number])[] = [];
    const keyringOf = ({ tenant = "" }: Context): Keyring => {
      const old = watched(kek("old"), {
        async unwrap(recipient, options) {
          done.push([tenant, clock.monotonicMs()]);
          return await kek("old").unwrap(recipient, options);
        },
      });
      return new Keyring({ wrapWith: [kek("new")], unwrapWith: [old], context: { tenant }, clock });
    };
    const budgets = [{ perSecond: 15, share: 0.2, of: ({ tenant }: Context) => tenant }];
    const job = await planRewrap({ id: ID, dataKeys: open(), jobs, keyringOf, budgets, partitions: 2, clock });
    expect(await clock.finish(runPartitions(job, { lanes: 2, leaseMs: 600_000 }))).toMatchObject({ state: "done" });
    const lastOf = (name: string): number => Math.max(...done.filter(([tenant]) => tenant === name).map(([, at]) => at));
    expect(lastOf("small")).toBeLessThan(15_000);
    expect(lastOf("large")).toBeGreaterThan(45_000);
  });
});
