import { expect, test } from "vitest";
import { jobStatus, type PgBossClient, planReencrypt, planRewrap, workWithBullMq, workWithPgBoss } from "../../src/jobs/index.ts";
import { refusalCode } from "../support/refusal.ts";
import { fleetOf, revisionsIn } from "./set-up.ts";

const ID = "rewrap-2026-11";
const PARTITIONS = 64;
const WORKERS = 4;

test("a slice sends a message for what it leaves, and not one for each partition that waits", async () => {
  const { jobs, open, clock, store } = await fleetOf(320);
  const engine = queue();
  const members = await Promise.all(
    Array.from({ length: WORKERS }, () => planRewrap({ id: ID, dataKeys: open(), jobs, partitions: PARTITIONS, clock })),
  );
  for (const job of members) await workWithPgBoss(engine.client, job, { queue: "q", lanes: 1 });
  await clock.finish(engine.drain());
  expect(await jobStatus({ jobs, id: ID })).toMatchObject({ state: "done", report: { counts: { rows: 320, rewrapped: 320 } } });
  expect(await revisionsIn(store)).toEqual(Array(320).fill(2));
  expect(engine.sent(), "by each worker as it begins, and once for the verification").toBe((WORKERS + 1) * PARTITIONS);
});

test("the rest of a partition and the part that is cut off it are sent by the worker that gives it back", async () => {
  const { jobs, open, clock } = await fleetOf(1);
  const cipher = await open().field({ table: "users", column: "email", migrating: "plaintext-allowed" });
  const users = Array.from({ length: 1600 }, (_, at) => ({ key: at + 1, stored: `user ${at}` }));
  const job = await planReencrypt<string>({
    id: "emails",
    column: "users.email",
    jobs,
    cipher,
    clock,
    partitions: 2,
    bounds: () => [1500],
    async rows(after = 0, limit, to = users.length) {
      clock.advanceNow(1000); // a page is a slice
      return users.filter(({ key }) => key > Number(after) && key <= Number(to)).slice(0, limit);
    },
    async update({ key, to }) {
      users[Number(key) - 1] = { key: Number(key), stored: to };
      return true;
    },
  });
  const engine = queue();
  await workWithBullMq({ queue: { add: engine.add }, worker: engine.work, leaseMs: 9000, sliceMs: 1000 }, job);
  await clock.finish(engine.drain());
  const status = await jobStatus(job);
  expect(status).toMatchObject({ state: "done", report: { counts: { rows: 1600, plaintext: 1600 } } });
  expect(status.partitions.total).toBeGreaterThan(2);
  expect(engine.sent()).toBeLessThan(2 * engine.worked());
});

test("a worker that does not know the kind of a job gives its message back, and touches nothing", async () => {
  const { jobs, open, clock, store } = await fleetOf(10);
  const job = await planRewrap({ id: ID, dataKeys: open(), jobs, partitions: 2, clock });
  const engine = queue();
  await workWithPgBoss(engine.client, job, { queue: "q" });
  const [row] = await jobs.list({ kind: "job", job: "", limit: 1 });
  if (row === undefined) throw new Error("no job");
  const newer = { ...row, revision: 2, document: row.document.replace("rewrap-keys/1", "rewrap-keys/2") };
  await jobs.compareAndSwap(newer, 1, { leaseMs: 0 });
  expect(await refusalCode(() => engine.drain())).toBe("invalid-argument");
  expect(engine.sent()).toBe(2);
  expect(await revisionsIn(store)).toEqual(Array(10).fill(1));
  for (const message of [
    undefined,
    { job: "other", round: 0, phase: "work", part: "0000" },
    { job: ID, round: 0.5, phase: "work", part: "0" },
  ])
    expect(await refusalCode(() => engine.give(message))).toBe("invalid-argument");
});

/** An engine in this process: a message with the key of one that waits is dropped. */
function queue() {
  const waiting = new Map<string, unknown>();
  const workers: ((message: { readonly data: unknown }) => Promise<void>)[] = [];
  let sent = 0;
  let worked = 0;
  const send = (data: unknown, key: string): void => {
    sent++;
    if (!waiting.has(key)) waiting.set(key, data);
  };
  const client: PgBossClient = {
    createQueue: async () => undefined,
    send: async (_name, data, { singletonKey }) => send(data, singletonKey),
    work: async (_name, _options, handler) => workers.push((message) => handler([message])),
  };
  const take = async (worker: (message: { readonly data: unknown }) => Promise<void>): Promise<void> => {
    for (;;) {
      const [next] = waiting;
      if (next === undefined) return;
      waiting.delete(next[0]);
      worked++;
      await worker({ data: next[1] });
    }
  };
  return {
    client,
    add: async (_name: string, data: unknown, { jobId }: { readonly jobId: string }) => send(data, jobId),
    work: (worker: (message: { readonly data: unknown }) => Promise<void>) => workers.push(worker),
    /** Works until no message waits. */
    async drain(): Promise<void> {
      while (waiting.size > 0) await Promise.all(workers.map(take));
    },
    /** Hands a worker a message that nothing has sent. */
    give: async (data: unknown): Promise<void> => await workers[0]?.({ data }),
    sent: () => sent,
    worked: () => worked,
  };
}
