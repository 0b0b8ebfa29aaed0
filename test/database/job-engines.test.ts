import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type DataKeyStore, DataKeys } from "envelock/fields";
import { type FleetJob, jobStatus, type PgBossClient, planRewrap, workWithBullMq, workWithPgBoss } from "envelock/jobs";
import { postgresJobStore, postgresStore } from "envelock/stores/postgres";
import { Pool } from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { deferred } from "../support/deferred.ts";
import { installed, runtimeBinary } from "../support/npm-tools.ts";
import { freshDatabase } from "../support/postgres.ts";
import { type EngineTask, newPgBoss, type PgBossLife } from "./job-engine-worker.ts";
import { fleetKeyring } from "./job-worker.ts";

const ROWS = 600;
const url = await freshDatabase();
const pool = new Pool({ connectionString: url, max: 8 });
const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const besideOf = (modules: string): string => join(modules, "..", "package.json");
const PG_BOSS_10 = besideOf(installed("engines", ["pg-boss@10.4.2"]));
const PG_BOSS_12 = besideOf(installed("engines", ["pg-boss@12.38.0"]));
const BULLMQ = installed("engines", ["bullmq@6.7.0", "ioredis@5.11.1"]);
const loadRedis = createRequire(besideOf(BULLMQ));
const AT_ONCE = { graceful: false, timeout: 2000 };
const SLICE = { leaseMs: 3000, sliceMs: 20, concurrency: 4 };

beforeAll(async () => {
  await postgresStore({ client: pool }).migrate();
  await postgresJobStore({ client: pool }).migrate();
});

afterAll(async () => await pool.end());

// version 12 asks for Node 22, which the worker that is killed gets: https://www.npmjs.com/package/pg-boss
describe.each([
  { name: "pg-boss 10", beside: PG_BOSS_10, node: () => process.execPath, kept: ["version", "queue"] }, // `queue` names a table of each queue
  { name: "pg-boss 12", beside: PG_BOSS_12, node: () => runtimeBinary("node-22"), kept: ["version"] },
])("$name", ({ name, beside, node, kept }) => {
  afterAll(async () => await pool.query("drop schema pgboss cascade")); // the next version has another

  test("brings a job to its end, also when its tables are truncated in the middle", { timeout: 180_000 }, async () => {
    const { job, goOn } = await waiting(name.replace(" ", "-"));
    const boss = await started(beside);
    const fleet = await workWithPgBoss(boss, job, { queue: job.id, lanes: 2, ...SLICE });
    await until(async () => (await changedRows()) > 0);
    const { rows } = await pool.query("select count(*)::int as messages from pgboss.job where name = $1", [job.id]);
    expect(rows[0].messages).toBeGreaterThan(0);
    await truncateTables("pgboss", kept);
    expect(await changedRows()).toBeLessThan(ROWS);
    goOn();
    await until(async () => (await fleet.reconcile()) === "done");
    await boss.stop(AT_ONCE);
    await expectDone(job);
  });

  test("has another worker for one that is killed in a slice", { timeout: 180_000 }, async () => {
    const job = await filled(`${name.replace(" ", "-")}-killed`);
    await killInSlice({ url, id: job.id, beside }, node());
    const boss = await started(beside);
    const fleet = await workWithPgBoss(boss, job, { queue: job.id, lanes: 2, ...SLICE });
    await until(async () => (await fleet.reconcile()) === "done");
    await boss.stop(AT_ONCE);
    await expectDone(job);
  });
});

test("BullMQ brings a job to its end, also when its Redis is flushed in the middle", { timeout: 180_000 }, async () => {
  const redis = await startRedis();
  const { Queue, Worker } = loadRedis("bullmq");
  const { Redis } = loadRedis("ioredis");
  const connection = { host: "127.0.0.1", port: redis.port, maxRetriesPerRequest: null };
  const { job, goOn } = await waiting("bullmq");
  const queue = new Queue("rewrap", { connection });
  try {
    const fleet = await workWithBullMq({ queue, worker: (process) => new Worker("rewrap", process, { connection }), ...SLICE }, job);
    fleet.worker.on("error", () => undefined);
    await until(async () => (await changedRows()) > 0);
    const client = new Redis(connection);
    expect(await client.dbsize()).toBeGreaterThan(0);
    expect(await client.flushall()).toBe("OK");
    client.disconnect();
    expect(await changedRows()).toBeLessThan(ROWS);
    goOn();
    await until(async () => (await fleet.reconcile()) === "done");
    await fleet.worker.close(true);
    await expectDone(job);
  } finally {
    await queue.close();
    await redis.stop();
  }
});

test("a worker of BullMQ that is killed in a slice is replaced", { timeout: 180_000 }, async () => {
  const redis = await startRedis();
  const { Queue, Worker } = loadRedis("bullmq");
  const connection = { host: "127.0.0.1", port: redis.port, maxRetriesPerRequest: null };
  const job = await filled("bullmq-killed");
  const queue = new Queue("rewrap", { connection });
  try {
    await killInSlice({ url, id: job.id, beside: besideOf(BULLMQ), redisPort: redis.port });
    const fleet = await workWithBullMq({ queue, worker: (process) => new Worker("rewrap", process, { connection }), ...SLICE }, job);
    fleet.worker.on("error", () => undefined);
    await until(async () => (await fleet.reconcile()) === "done");
    await fleet.worker.close(true);
    await expectDone(job);
  } finally {
    await queue.close();
    await redis.stop();
  }
});

/** Kills a worker within a page: it holds a lease that nobody gives back. */
async function killInSlice(task: EngineTask, node: string = process.execPath): Promise<void> {
  const env = { ...process.env, TSX_TSCONFIG_PATH: join(ROOT, ".config/tsconfig.run.json") };
  const script = join(ROOT, "test/database/job-engine-worker.ts");
  const worker = spawn(node, ["--import", "tsx", script, JSON.stringify(task)], { cwd: ROOT, env, stdio: "inherit" });
  const ended = once(worker, "exit");
  await until(async () => (await changedRows()) > 0);
  worker.kill("SIGKILL");
  expect(await ended).toEqual([null, "SIGKILL"]);
  expect(await changedRows()).toBeLessThan(ROWS);
  const { rows } = await pool.query("select count(*)::int as held from envelock_jobs where job = $1 and lease_until > now()", [task.id]);
  expect(rows[0].held, "a lease outlives its worker").toBeGreaterThan(0);
}

/** A job whose rows are replaced once, and then wait until `goOn` is called. */
async function waiting(id: string): Promise<{ readonly job: FleetJob; goOn(): void }> {
  const opened = deferred();
  let changes = 0;
  const job = await filled(id, (store) => ({
    ...store,
    async compareAndSwapMany(list, options) {
      if (changes++ > 0) await opened.promise;
      return (await store.compareAndSwapMany?.(list, options)) ?? [];
    },
  }));
  return { job, goOn: opened.resolve };
}

async function filled(id: string, over: (store: DataKeyStore) => DataKeyStore = (store) => store): Promise<FleetJob> {
  await pool.query("delete from envelock_data_keys");
  const store = postgresStore({ client: pool });
  const writer = new DataKeys({ keyring: fleetKeyring("a"), store });
  for (let at = 0; at < ROWS; at++) await writer.rotate({ tenant: `t${at}` });
  await writer.close();
  const dataKeys = new DataKeys({ keyring: fleetKeyring("b"), store: over(store) });
  return await planRewrap({ id, dataKeys, jobs: postgresJobStore({ client: pool }), partitions: 8 });
}

async function started(beside: string): Promise<PgBossClient & PgBossLife> {
  const boss = newPgBoss(beside, url);
  boss.on("error", () => undefined);
  await boss.start();
  return boss;
}

/** Empties the tables of an engine, but for those that `kept` names. */
async function truncateTables(schema: string, kept: readonly string[]): Promise<void> {
  const text = "select quote_ident(tablename) as name from pg_tables where schemaname = $1 and tablename <> all ($2)";
  const { rows } = await pool.query(text, [schema, kept]);
  await pool.query(`truncate ${rows.map(({ name }) => `${schema}.${name}`).join(", ")}`);
}

async function changedRows(): Promise<number> {
  const { rows } = await pool.query("select count(*)::int as changed from envelock_data_keys where revision > 1");
  return rows[0].changed;
}

async function expectDone({ jobs, id }: FleetJob): Promise<void> {
  expect(await jobStatus({ jobs, id })).toMatchObject({
    state: "done",
    failures: [],
    report: { counts: { rows: ROWS, failed: 0, read: ROWS } },
  });
  const { rows } = await pool.query("select revision, count(*)::int as rows from envelock_data_keys group by revision");
  expect(rows).toEqual([{ revision: 2, rows: ROWS }]);
}

async function until(isSo: () => Promise<boolean>): Promise<void> {
  while (!(await isSo())) await new Promise((resolve) => setTimeout(resolve, 10));
}

async function startRedis(): Promise<{ port: number; stop(): Promise<void> }> {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const address = probe.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  probe.close();
  await once(probe, "close");
  const folder = await mkdtemp(join(tmpdir(), "redis-"));
  const options = ["--bind", "127.0.0.1", "--port", `${port}`, "--save", "", "--dir", folder];
  const server: ChildProcess = spawn("redis-server", options, { stdio: ["ignore", "pipe", "inherit"] });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.stdout?.on("data", (text: Buffer) => text.includes("Ready to accept connections") && resolve());
  });
  return {
    port,
    async stop() {
      server.kill();
      await once(server, "exit");
      await rm(folder, { recursive: true });
    },
  };
}
