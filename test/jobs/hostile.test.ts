import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { Context } from "../../src/core/base/context.ts";
import { EnvelockError } from "../../src/core/base/errors.ts";
import type { DataKeyStore } from "../../src/core/contracts/data-key-store.ts";
import type { JobStore } from "../../src/core/contracts/job-store.ts";
import { Keyring } from "../../src/core/keyring/keyring.ts";
import { DataKeys } from "../../src/fields/data-keys.ts";
import { memoryStore } from "../../src/fields/stores/memory.ts";
import {
  cancelJob,
  integerBounds,
  isUnchangedReport,
  type JobStatus,
  jobStatus,
  listJobs,
  memoryJobStore,
  pauseJob,
  planReencrypt,
  planRewrap,
  resumeJob,
  retryJob,
  runPartitions,
} from "../../src/jobs/index.ts";
import { fileJobStore } from "../../src/stores/file.ts";
import { memoryTenantStore, Tenants } from "../../src/tenants/index.ts";
import { fakeClock } from "../support/fake-clock.ts";
import { kek } from "../support/keks.ts";
import { refusal, refusalCode } from "../support/refusal.ts";
import { untyped } from "../support/untyped.ts";
import { fleetOf, revisionsIn } from "./set-up.ts";

// Stores, clocks and papers that are not what they should be.

const ID = "rewrap-2026-11";

test.each<[string, (report: Record<string, unknown>) => unknown]>([
  ["another count", (report) => ({ ...report, partitions: 3000 })],
  ["a member that the hash does not cover", (report) => ({ ...report, note: "retire all of them" })],
  ["an entry with a member more", (report) => ({ ...report, retirable: [{ provider: "local", keyId: "old", also: "new" }] })],
  ["no counts", (report) => ({ ...report, counts: null })],
  ["retirable that is no list", (report) => ({ ...report, retirable: {} })],
  ["entries that are none", (report) => ({ ...report, keyVersions: [null] })],
  ["no hash", ({ sha256: _sha256, ...report }) => report],
  ["the hash of another", (report) => ({ ...report, sha256: "0".repeat(64) })],
  ["nothing", () => undefined],
  ["null", () => null],
  ["text", (report) => JSON.stringify(report)],
])("a filed report with %s is told from the one that was written", async (_what, altered) => {
  const { clock, jobs, open } = await fleetOf(3);
  const { report } = await clock.finish(runPartitions(await planRewrap({ id: ID, dataKeys: open(), jobs, clock })));
  if (report === null) throw new Error("no report");
  const filed: Record<string, unknown> = JSON.parse(JSON.stringify(report));
  expect(await isUnchangedReport(untyped(filed))).toBe(true);
  const { counts, ...others } = filed;
  expect(await isUnchangedReport(untyped({ counts, ...others }))).toBe(true); // members in another order
  expect(await isUnchangedReport(untyped(altered(filed)))).toBe(false);
});

test.each<[string, object]>([
  ["behind its partition", { after: { scope: "zzzz", version: 1 } }],
  ["before its partition", { after: { scope: "", version: 1 } }],
  ["of another kind of table", { after: 5 }],
  ["that is none", { after: { scope: 1 } }],
  ["with counts that are none", { counts: { rows: -1 } }],
])("a checkpoint %s that a hand has written is refused, and no row is stepped over", async (_what, edit) => {
  const { clock, store, jobs, open } = await fleetOf(300);
  const job = await planRewrap({ id: ID, dataKeys: open(), jobs, partitions: 4, clock });
  let scans = 0;
  const failing: DataKeyStore = {
    ...store,
    async scan(page) {
      if (scans++ > 2) throw new EnvelockError("provider-failure", "the database answered 42P01");
      return await store.scan(page);
    },
  };
  const stopped = await planRewrap({ id: ID, dataKeys: open(undefined, undefined, failing), jobs, clock });
  expect(await refusalCode(() => clock.finish(runPartitions(stopped)))).toBe("provider-failure");
  const [, second] = await jobs.list({ kind: "partition", job: ID, limit: 4 });
  if (second === undefined) throw new Error("no partition");
  const written = { ...JSON.parse(second.document), state: "open", ...edit };
  await jobs.compareAndSwap({ ...second, revision: second.revision + 1, document: JSON.stringify(written) }, second.revision, {
    leaseMs: 0,
  });
  expect(await refusalCode(() => clock.finish(runPartitions(job)))).toBe("provider-failure");
  expect((await revisionsIn(store)).every((revision) => revision <= 2)).toBe(true);
});

test("a store that cuts a table into too many parts, and a caller's bounds that are too many, give a plan of at most 4,096", async () => {
  const { clock, store, jobs, open } = await fleetOf(3);
  const bounds = Array.from({ length: 50_000 }, (_, at) => `${at}`.padStart(6, "0"));
  const cutting: DataKeyStore = { ...store, cuts: async () => ({ rows: 3, bounds }) };
  await planRewrap({ id: ID, dataKeys: open(undefined, undefined, cutting), jobs, clock });
  expect((await jobStatus({ jobs, id: ID })).partitions.total).toBeLessThanOrEqual(4096);
  await planReencrypt<string>({
    id: "column",
    column: "users.email",
    jobs,
    cipher: await open().field({ table: "users", column: "email" }),
    rows: async () => [],
    update: async () => true,
    bounds: () => Array.from({ length: 9000 }, (_, at) => at),
    clock,
  });
  expect((await jobStatus({ jobs, id: "column" })).partitions.total).toBeLessThanOrEqual(4096);
  expect(integerBounds(1, 10, 4096)).toHaveLength(9);
});

test.each<[string, (jobs: JobStore) => Partial<JobStore>]>([
  ["hides half of the partitions", (jobs) => ({ list: async (page) => (await jobs.list(page)).filter((_row, at) => at % 2 === 0) })],
  [
    "begins each list anew",
    (jobs) => ({
      async list({ kind, job }) {
        const rows = await jobs.list({ kind, job, limit: 1 });
        return rows.flatMap((row) => Array.from({ length: 1000 }, () => row));
      },
    }),
  ],
])("a store of jobs that %s ends the call, and does not run for ever", async (_what, half) => {
  const { clock, jobs, open } = await fleetOf(20);
  const job = await planRewrap({ id: ID, dataKeys: open(), jobs: { ...jobs, ...half(jobs) }, partitions: 8, clock });
  expect(await refusalCode(() => clock.finish(runPartitions(job)))).toBe("provider-failure");
});

test("a store of data keys that orders scopes in another way is refused, and retires nothing", async () => {
  const { clock, store, jobs, open } = await fleetOf(40);
  const backwards: DataKeyStore = {
    ...store,
    async scan({ after, limit }) {
      const rows = [...(await store.scan({ limit: 1000 }))].reverse();
      const at = rows.findIndex(({ scope, version }) => scope === after?.scope && version === after.version);
      return rows.slice(at + 1, at + 1 + limit);
    },
  };
  const job = await planRewrap({ id: ID, dataKeys: open(undefined, undefined, backwards), jobs, partitions: 1, clock });
  const error = await refusal(() => clock.finish(runPartitions(job)));
  expect([error.code, error.hint]).toEqual(["provider-failure", expect.stringContaining("collate")]);
});

test.each<[string, readonly [from: number, to: number]]>([
  ["the first part to the last", [0, 11]],
  ["the last part to the first", [11, 0]],
])("a stale row that moves once from %s is never retired, whenever it moves", async (_what, [from, to]) => {
  let moves = 0;
  for (let moment = 1, isMoved = true; isMoved; moment++) {
    const { clock, store, jobs, open } = await fleetOf(12);
    const lost = open(kek("lost"), []);
    const scopes = (await store.scan({ limit: 12 })).map(({ scope }) => scope);
    await lost.rotate({ tenant: "lost" });
    const [row] = (await store.scan({ limit: 13 })).filter(({ scope }) => !scopes.includes(scope));
    if (row === undefined) throw new Error("no row");
    let calls = 0;
    const placeOf = (at: number): string => `${scopes[at]}~`; // no key context: such a row can be read, and not be opened
    const moving: DataKeyStore = {
      ...store,
      async scan({ after, limit }) {
        const rows = (await store.scan({ limit: 100 })).map((one) =>
          one.scope === row.scope ? { ...one, scope: placeOf(calls < moment ? from : to) } : one,
        );
        const sorted = rows.sort((one, other) => (one.scope < other.scope ? -1 : 1));
        return sorted.filter(({ scope }) => after === undefined || scope > after.scope).slice(0, limit);
      },
    };
    const counting: JobStore = {
      ...jobs,
      async compareAndSwap(...change) {
        calls++;
        return await jobs.compareAndSwap(...change);
      },
    };
    const job = await planRewrap({ id: ID, dataKeys: open(undefined, undefined, moving), jobs: counting, partitions: 3, clock });
    const { state, report } = await clock.finish(runPartitions(job, { retries: 1 }));
    expect({ moment, state, report }).toEqual({ moment, state: "failing", report: null });
    isMoved = calls >= moment;
    moves = moment;
  }
  expect(moves).toBeGreaterThan(20);
});

test.each<[string, (ranges: { from: string | null; to: string | null }[]) => unknown]>([
  ["a gap", (ranges) => ranges.splice(1, 1, { from: `${ranges[1]?.from}~`, to: ranges[1]?.to ?? null })],
  ["a part twice", (ranges) => ranges.splice(1, 1, { from: ranges[0]?.from ?? null, to: ranges[1]?.to ?? null })],
  ["no end", (ranges) => ranges.splice(2, 1, { from: ranges[2]?.from ?? null, to: `${ranges[2]?.from}~` })],
])("partitions that have %s, which a hand has written, are refused, and nothing is retired", async (_what, edit) => {
  const { clock, jobs, open } = await fleetOf(30);
  const job = await planRewrap({ id: ID, dataKeys: open(), jobs, partitions: 3, clock });
  const stopped = await planRewrap({
    id: ID,
    dataKeys: open(undefined, undefined, { ...memoryStore(), scan: () => Promise.reject(new Error("away")) }),
    jobs,
    clock,
  });
  await refusal(() => clock.finish(runPartitions(stopped)));
  const rows = await jobs.list({ kind: "partition", job: ID, limit: 9 });
  const ranges = rows.map(({ document }) => JSON.parse(document));
  edit(ranges);
  for (const [at, { leaseMs: _leaseMs, ...row }] of rows.entries()) {
    const document = JSON.stringify({ ...JSON.parse(row.document), from: ranges[at].from, to: ranges[at].to });
    await jobs.compareAndSwap({ ...row, revision: row.revision + 1, document }, row.revision, { leaseMs: 0 });
  }
  expect(await refusal(() => clock.finish(runPartitions(job)))).toMatchObject({
    code: "provider-failure",
    message: expect.stringContaining("do not make up the whole table"),
  });
  expect((await jobStatus({ jobs, id: ID, clock })).report).toBeNull();
});

test("a plan that a process of another kind has left behind is not taken for the plan of the job", async () => {
  const { clock, jobs, open, store } = await fleetOf(30);
  const dying: JobStore = {
    ...jobs,
    async insertIfAbsent(row) {
      if (row.kind === "job") throw new EnvelockError("unavailable", "the process has ended");
      return await jobs.insertIfAbsent(row);
    },
  };
  const cipher = await open().field({ table: "users", column: "email" });
  const column = { column: "users.email", cipher, rows: async () => [], update: async () => true, bounds: () => [10, 20, 30] };
  expect(await refusalCode(() => planReencrypt<string>({ id: ID, jobs: dying, clock, ...column }))).toBe("unavailable");
  const job = await planRewrap({ id: ID, dataKeys: open(), jobs, clock });
  expect(await clock.finish(runPartitions(job))).toMatchObject({
    state: "done",
    partitions: { total: 1 },
    report: { counts: { rows: 31 } },
  });
  expect((await revisionsIn(store)).filter((revision) => revision === 2)).toHaveLength(30);
});

test("a clock that is behind gives no rate and no time left", async () => {
  const { clock, jobs, open } = await fleetOf(30);
  await clock.finish(runPartitions(await planRewrap({ id: ID, dataKeys: open(), jobs, clock })));
  const late = { ...clock, unixMs: () => clock.unixMs() - 86_400_000 };
  expect(await jobStatus({ jobs, id: ID, clock: late })).toMatchObject({ rowsPerSecond: 0, leftMs: undefined });
});

test("the failure of a tenant without a name is not that of data keys without a tenant", async () => {
  const { clock, jobs, open } = await fleetOf(6, (at): Context => (at < 3 ? { tenant: "", unit: `${at}` } : { unit: `${at}` }));
  const keyring = new Keyring({ wrapWith: [kek("new")], unwrapWith: [kek("old")], clock });
  const keyringOf = ({ tenant }: Context): Keyring => {
    if (tenant === "") throw new EnvelockError("key-disabled", "the key is disabled");
    return keyring;
  };
  const job = await planRewrap({ id: ID, dataKeys: open(), jobs, partitions: 1, keyringOf, clock });
  const first = await clock.finish(runPartitions(job, { retries: 0 }));
  expect(first).toMatchObject({ state: "failing", failures: [{ tenant: "", entries: 1 }], counts: { rows: 6, failed: 3, stale: 0 } });
});

test("what is over stays over: a done job takes no retry, pause or cancel, a cancelled one no resume", async () => {
  const { clock, store, jobs, open } = await fleetOf(30);
  const job = await planRewrap({ id: ID, dataKeys: open(), jobs, clock });
  await clock.finish(runPartitions(job));
  for (const verb of [retryJob, pauseJob, cancelJob, resumeJob])
    expect(await refusalCode(() => verb({ jobs, id: ID, clock }))).toBe("invalid-argument");
  await planRewrap({ id: "other", dataKeys: open(), jobs, clock });
  await cancelJob({ jobs, id: "other", clock });
  for (const verb of [retryJob, pauseJob, resumeJob])
    expect(await refusalCode(() => verb({ jobs, id: "other", clock }))).toBe("invalid-argument");
  expect(await revisionsIn(store)).toEqual(Array(30).fill(2));
});

test("a job that is cancelled in the middle stops at its next page, and what was done stays done", async () => {
  const { clock, store, jobs, open } = await fleetOf(1200);
  const job = await planRewrap({ id: ID, dataKeys: open(), jobs, partitions: 1, clock });
  let isCancelled = false;
  const cancelling: DataKeyStore = {
    ...store,
    async scan(page) {
      if (page.after !== undefined && !isCancelled) {
        isCancelled = true;
        await cancelJob({ jobs, id: ID, clock });
      }
      return await store.scan(page);
    },
  };
  const worker = await planRewrap({ id: ID, dataKeys: open(undefined, undefined, cancelling), jobs, clock });
  const { state, report, partitions } = await clock.finish(runPartitions(worker));
  expect({ state, report, held: partitions.held }).toEqual({ state: "cancelled", report: null, held: 0 });
  const changed = (await revisionsIn(store)).filter((revision) => revision === 2).length;
  expect(changed).toBeGreaterThan(0);
  expect(changed).toBeLessThan(1200);
  expect(await clock.finish(runPartitions(job))).toMatchObject({ state: "cancelled" });
  expect((await revisionsIn(store)).filter((revision) => revision === 2)).toHaveLength(changed);
});

test.each(["leaseMs", "sliceMs", "concurrency", "lanes", "progressMs", "retries"])("%s of 0, NaN, -1 or text is refused", async (name) => {
  const { clock, jobs, open } = await fleetOf(1);
  const job = await planRewrap({ id: ID, dataKeys: open(), jobs, clock });
  for (const value of [0, Number.NaN, -1, "5", null])
    if (!(name === "retries" && value === 0))
      expect(await refusalCode(() => runPartitions(job, untyped({ [name]: value }))), `${value}`).toBe("invalid-argument");
});

test.each([
  -3_600_000, 3_600_000, -86_400_000,
])("a store of jobs whose clock jumps by %d ms in the middle loses nothing, and does nothing twice", async (jumpMs) => {
  const { clock, store, open } = await fleetOf(700);
  let calls = 0;
  const jumping = { ...clock, unixMs: () => clock.unixMs() + (calls > 25 ? jumpMs : 0) };
  const inner = memoryJobStore({ clock: jumping });
  const jobs: JobStore = {
    ...inner,
    async compareAndSwap(...change) {
      calls++;
      return await inner.compareAndSwap(...change);
    },
  };
  const budgets = [{ perSecond: 500, share: 1 }];
  const ends = Array.from({ length: 3 }, async () =>
    runPartitions(await planRewrap({ id: ID, dataKeys: open(), jobs, partitions: 4, budgets, clock })),
  );
  for (const end of await clock.finish(Promise.all(ends)))
    expect(end).toMatchObject({
      state: "done",
      failures: [],
      report: { counts: { rows: 700, read: 700, stale: 0 }, retirable: [{ keyId: "old" }] },
    });
  expect(calls).toBeGreaterThan(26);
  expect(await revisionsIn(store)).toEqual(Array(700).fill(2));
});

test("a tenant that is suspended in the middle holds nobody up, and the job after its return does its rows", async () => {
  const clock = fakeClock();
  const [dataKeyStore, tenantStore, jobs] = [memoryStore(), memoryTenantStore(), memoryJobStore({ clock })];
  const openTenants = (...platform: readonly string[]) =>
    new Tenants({ store: tenantStore, dataKeyStore, platform: platform.map((name) => kek(name)), clock });
  const before = openTenants("old");
  for (const id of ["acme", "beta", "gamma"]) {
    await before.invite(id);
    await before.activate(id);
    const dataKeys = await before.dataKeys(id);
    for (let at = 0; at < 80; at++) await dataKeys.rotate({ unit: `${at}` });
  }
  await before.close();
  const tenants = openTenants("new", "old");
  let asked = 0;
  const keyringOf = async (scope: Context) => {
    if (asked++ === 20) await tenants.suspend("beta");
    return await tenants.keyringOf(scope);
  };
  const run = async (id: string) => {
    const dataKeys = new DataKeys({ keyring: new Keyring({ wrapWith: [kek("new")], clock }), store: dataKeyStore, clock });
    return await clock.finish(runPartitions(await planRewrap({ id, dataKeys, jobs, keyringOf, partitions: 3, clock })));
  };
  const underNew = ({ report }: JobStatus) => report?.keyVersions.find(({ keyId }) => keyId === "new")?.after ?? 0;
  const first = await run("first");
  expect(first).toMatchObject({ state: "done", failures: [], report: { counts: { rows: 240, skipped: 80, failed: 0 } } });
  expect(underNew(first)).toBeGreaterThanOrEqual(160);
  expect(underNew(first)).toBeLessThan(240);
  await tenants.restore("beta");
  const second = await run("second");
  expect(second).toMatchObject({ state: "done", failures: [], report: { counts: { rows: 240, skipped: 0, failed: 0 } } });
  expect(underNew(second)).toBe(240);
  expect(await revisionsIn(dataKeyStore)).toEqual(Array(240).fill(2));
  await tenants.close();
});

test.each([
  "a/b%c'\"\\;--",
  "__proto__",
  "constructor",
  "0001/work/0000",
  "%2F..%2f..",
  `~${"x".repeat(127)}`,
])("a job whose id is %s is a job of its own, in a file too", async (id) => {
  const folder = await mkdtemp(join(tmpdir(), "odd-ids-"));
  const jobs = fileJobStore(join(folder, "jobs.json"));
  const { clock, open, store } = await fleetOf(4, (at): Context => ({ tenant: ["__proto__", "a/b", "é'\"", " "][at] ?? "" }));
  const lost = open(kek("lost"), []);
  await lost.rotate({ tenant: "__proto__", unit: "2" });
  const other = await planRewrap({ id: "other", dataKeys: open(), jobs, partitions: 2, clock });
  const job = await planRewrap({ id, dataKeys: open(), jobs, partitions: 2, clock });
  expect(await clock.finish(runPartitions(job, { retries: 0 }))).toMatchObject({ id, state: "failing", failures: [{ entries: 1 }] });
  expect(await jobStatus({ jobs, id: other.id, clock })).toMatchObject({ state: "running", partitions: { done: 0 } });
  expect((await listJobs({ jobs })).map((one) => one.id).sort()).toEqual([id, "other"].sort());
  expect((await revisionsIn(store)).filter((revision) => revision === 2)).toHaveLength(4);
  await rm(folder, { recursive: true });
});
