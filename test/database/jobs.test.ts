import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { DataKeys } from "envelock/fields";
import { isUnchangedReport, jobStatus, planReencrypt, planRewrap, runPartitions } from "envelock/jobs";
import { type PostgresClient, postgresJobStore, postgresStore } from "envelock/stores/postgres";
import { Pool } from "pg";
import { rolldown } from "rolldown";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { toHex } from "../../src/core/base/bytes.ts";
import { KeyContext } from "../../src/core/base/context.ts";
import { scopeText } from "../../src/fields/scope.ts";
import { type PostgresServer, startPostgres } from "../support/postgres-server.ts";
import { type FleetTask, fleetKeyring } from "./job-worker.ts";

// Full size: ENVELOCK_JOB_ROWS=1000000, where a worker is killed every second
const { ENVELOCK_JOB_ROWS = "3000" } = process.env;
const ROWS = Number(ENVELOCK_JOB_ROWS);
const WORKERS = 4;
const PARTITIONS = 16;
const ROOT = fileURLToPath(new URL("../..", import.meta.url));
/** A million rows take minutes on a quiet machine, and hours on a busy one. */
const HOURS = 6 * 3_600_000;

let worker: string;
let server: PostgresServer; // of its own: it is restarted
let pool: Pool;

beforeAll(async () => {
  worker = await bundledWorker();
  server = await startPostgres();
  pool = new Pool({ connectionString: server.url, max: 4 });
  pool.on("error", () => undefined);
  await postgresStore({ client: pool }).migrate();
  await postgresJobStore({ client: pool }).migrate();
});

afterAll(async () => {
  await pool.end();
  await server.stop();
  await rm(dirname(worker), { recursive: true });
});

describe.each<[string, Partial<FleetTask>, (fleet: RunningFleet) => void | Promise<void>]>([
  ["is killed at random", {}, (fleet) => fleet.killSome()],
  ["is frozen beyond its lease and goes on", { leaseMs: 400 }, (fleet) => fleet.freezeSome(1500)],
  ["has a clock that jumps by days", { isClockWrong: true }, (fleet) => fleet.killSome()],
  ["loses its database to a restart", {}, (fleet) => fleet.restartDatabase()],
])("a fleet of which a member %s", (what, differences, harm) => {
  test(
    `changes each of ${ROWS} rows once, loses none, and retires the old key`,
    async () => {
      await fill(ROWS);
      const id = what.replaceAll(" ", "-");
      const task: FleetTask = { url: server.url, id, wrapWith: "b", partitions: PARTITIONS, leaseMs: 3000, ...differences };
      const fleet = new RunningFleet(task);
      await harm(fleet);
      await fleet.ended();
      expect(fleet.harmed, "the harm was done").toBeGreaterThan(0);
      const status = await jobStatus({ jobs: postgresJobStore({ client: pool }), id });
      expect(status).toMatchObject({ state: "done", failures: [] });
      expect(status.report?.counts).toMatchObject({ rows: ROWS, stale: 0, failed: 0, read: ROWS });
      const [old, next] = status.report?.keyVersions ?? [];
      expect([old, next]).toMatchObject([
        { keyId: "a", after: 0 },
        { keyId: "b", after: ROWS },
      ]);
      expect((old?.before ?? 0) + (next?.before ?? 0)).toBe(ROWS); // a page that was done twice was found done the second time
      expect(status.report?.retirable).toEqual([{ provider: "local", keyId: "a" }]);
      expect(status.report !== null && (await isUnchangedReport(status.report))).toBe(true);
      const { rows } = await pool.query("select revision, count(*)::int as rows from envelock_data_keys group by revision");
      expect(rows).toEqual([{ revision: 2, rows: ROWS }]);
      const dataKeys = new DataKeys({ keyring: fleetKeyring("b"), store: postgresStore({ client: pool }) });
      if (ROWS <= LARGE_ROWS) expect(await dataKeys.verifyAll()).toMatchObject({ opened: ROWS, failed: 0 });
      await dataKeys.close();
      if (ROWS > LARGE_ROWS)
        console.log(
          `${new Date().toISOString()} ${what}: ${fleet.harmed} times`,
          JSON.stringify(status.report?.counts),
          JSON.stringify(rows),
        );
    },
    HOURS,
  );
});

test("a database that only reads for a while, as after a failover, is waited for", async () => {
  await fill(600);
  const dataKeys = new DataKeys({ keyring: fleetKeyring("b"), store: postgresStore({ client: pool }) });
  const job = await planRewrap({ id: "read-only", dataKeys, jobs: postgresJobStore({ client: pool }), partitions: 4 });
  const setReadOnly = async (value: "on" | "off"): Promise<void> => {
    await pool.query(`alter system set default_transaction_read_only = ${value}`);
    await pool.query("select pg_reload_conf()");
    const setting = async () => (await pool.query("show default_transaction_read_only")).rows[0]?.default_transaction_read_only;
    await expect.poll(setting, SOON).toBe(value);
  };
  const refusals: string[] = [];
  const client: PostgresClient = {
    query: async (text, values) =>
      await pool.query(text, values).catch((error: { readonly code?: string }) => {
        refusals.push(error.code ?? "");
        throw error;
      }),
  };
  const member = await planRewrap({ id: job.id, dataKeys, jobs: postgresJobStore({ client }) });
  await setReadOnly("on");
  const ended = runPartitions(member);
  await expect.poll(() => refusals, SOON).toContain("25006");
  await setReadOnly("off");
  expect(await ended).toMatchObject({ state: "done", failures: [], report: { counts: { rows: 600, rewrapped: 600 } } });
  const { rows } = await pool.query("select revision, count(*)::int as rows from envelock_data_keys group by revision");
  expect(rows).toEqual([{ revision: 2, rows: 600 }]);
  await dataKeys.close();
});

test("a server that says much goes on", async () => {
  const much = "x".repeat(2 ** 20); // a statement that fails is written to the log, which is a pipe
  for (let i = 0; i < 3; i++) await expect(pool.query(`select 1 / 0 -- ${much}`)).rejects.toThrow("division by zero");
  expect((await pool.query("select 1 as found")).rows).toEqual([{ found: 1 }]);
});

test("the bounds of a plan come from a sample, and have parts of about the same size", async () => {
  await fill(20_000);
  const store = postgresStore({ client: pool });
  for (const prepare of ["select 1", "analyze envelock_data_keys"]) {
    await pool.query(prepare);
    const cut = await store.cuts?.({ least: 8, most: 8, rowsEach: 10 });
    expect(cut?.bounds).toHaveLength(7);
    const sizes = await partSizes(cut?.bounds ?? []);
    for (const size of sizes) expect(Math.abs(size - 2500)).toBeLessThan(250);
  }
  const [, middle = "", , end = ""] = (await store.cuts?.({ least: 8, most: 8, rowsEach: 10 }))?.bounds ?? [];
  const range = await store.cuts?.({ least: 2, most: 2, rowsEach: 10, after: middle, to: end });
  expect(range?.rows).toBeGreaterThan(4500);
  expect(range?.bounds.every((bound) => bound > middle && bound < end)).toBe(true);
  await pool.query("delete from envelock_data_keys");
  expect(await store.cuts?.({ least: 8, most: 8, rowsEach: 10 })).toEqual({ rows: 0, bounds: [] });
});

test("the scope without a context is in the first part", async () => {
  await pool.query("delete from envelock_data_keys");
  const dataKeys = new DataKeys({ keyring: fleetKeyring("a"), store: postgresStore({ client: pool }) });
  for (const scope of [undefined, { tenant: "t" }]) await dataKeys.rotate(scope);
  await dataKeys.close();
  const moved = new DataKeys({ keyring: fleetKeyring("b"), store: postgresStore({ client: pool }) });
  const job = await planRewrap({ id: "two-rows", dataKeys: moved, jobs: postgresJobStore({ client: pool }), partitions: 2 });
  expect(await runPartitions(job)).toMatchObject({ state: "done", report: { counts: { rows: 2, rewrapped: 2 } } });
  await moved.close();
});

test("a table whose scopes are in the order of a language is refused before a row is worked on", async () => {
  await pool.query("create table misordered (like envelock_data_keys including all)");
  await pool.query('alter table misordered alter column scope type text collate "und-x-icu"');
  const store = postgresStore({ client: pool, table: "misordered" });
  const writer = new DataKeys({ keyring: fleetKeyring("a"), store });
  for (let at = 0; at < 60; at++) await writer.rotate({ tenant: `${at * 7919}` });
  await writer.close();
  const dataKeys = new DataKeys({ keyring: fleetKeyring("b"), store });
  const planning = planRewrap({ id: "misordered", dataKeys, jobs: postgresJobStore({ client: pool }), partitions: 16 });
  await expect(planning).rejects.toMatchObject({ code: "provider-failure", hint: expect.stringContaining('collate "C"') });
  await dataKeys.close();
});

test.each<[string, string, (at: number) => string]>([
  ["that hold letters of either case", 'text collate "en-x-icu"', (at) => `${at % 2 === 0 ? "Key" : "key"}-${at}`],
  ["whose case does not count", "text collate without_case", (at) => `${at % 3 === 0 ? "KEY" : "key"}-${at}`],
  ["that are padded with spaces", "char(12)", (at) => `k${at}`],
  ["that are numbers as text", "text", (at) => `${at}`],
  ["with signs of all kinds", 'text collate "und-x-icu"', (at) => `${["é", "z", "Z", "ß", "😀", "'", "%", " "][at % 8]}${at}`],
])("a column is re-encrypted once under keys %s", async (what, type, keyOf) => {
  await pool.query("create collation if not exists without_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false)");
  await pool.query("drop table if exists texts");
  await pool.query(`create table texts (id ${type} primary key, value text not null, changes int not null default 0)`);
  await pool.query("delete from envelock_data_keys");
  const dataKeys = new DataKeys({ keyring: fleetKeyring("a"), store: postgresStore({ client: pool }) });
  const before = await dataKeys.field({ table: "texts", column: "value" });
  for (let at = 0; at < 400; at++) await pool.query("insert into texts values ($1, $2)", [keyOf(at), before.encrypt(`of ${at}`)]);
  await dataKeys.rotate(undefined, { immediately: true });
  const cipher = await dataKeys.field({ table: "texts", column: "value" });
  const job = await planReencrypt<string>({
    id: what.replaceAll(" ", "-"),
    column: "texts.value",
    jobs: postgresJobStore({ client: pool }),
    cipher,
    partitions: 7,
    async rows(after, limit, to) {
      const text = `select id as key, value as stored from texts where ($1::text is null or id > $1::${type}) and ($2::text is null or id <= $2::${type}) order by id limit $3`;
      return (await pool.query(text, [after ?? null, to ?? null, limit])).rows;
    },
    async update({ key, from, to }) {
      const { rowCount } = await pool.query(`update texts set value = $3, changes = changes + 1 where id = $1::${type} and value = $2`, [
        key,
        from,
        to,
      ]);
      return rowCount === 1;
    },
  });
  expect(await runPartitions(job, { lanes: 3 })).toMatchObject({ state: "done", counts: { rows: 400, failed: 0 } });
  const { rows } = await pool.query("select changes, count(*)::int as rows from texts group by changes");
  expect(rows).toEqual([{ changes: 1, rows: 400 }]);
  await dataKeys.close();
});

/** Processes over one job. One that ends before the job is over is started again, as a supervisor would. */
class RunningFleet {
  readonly #task: FleetTask;
  readonly #members = new Set<ChildProcess>();
  readonly #ends: Promise<void>[];
  #pages = 0;
  #isOver = false;
  #onPage: (member: ChildProcess) => void = () => undefined;
  harmed = 0;

  constructor(task: FleetTask) {
    this.#task = task;
    this.#ends = Array.from({ length: WORKERS }, () => this.#keepRunning());
  }

  /** Kills the member that wrote a page: every fifth time, or the first in each second of a large table. */
  killSome(): void {
    let killedAtMs = performance.now();
    this.#onPage = (member) => {
      const isDue = ROWS > LARGE_ROWS ? performance.now() - killedAtMs > 1000 : this.#pages % 5 === 0 && this.harmed < FEW_KILLS;
      if (!isDue || member.killed) return;
      killedAtMs = performance.now();
      if (member.kill("SIGKILL")) this.harmed++;
    };
  }

  freezeSome(ms: number): void {
    let frozenAtMs = performance.now() - ms;
    this.#onPage = (member) => {
      if (performance.now() - frozenAtMs < ms || (ROWS <= LARGE_ROWS && this.harmed >= FEW_KILLS)) return;
      frozenAtMs = performance.now();
      if (!member.kill("SIGSTOP")) return;
      this.harmed++;
      setTimeout(() => member.kill("SIGCONT"), ms);
    };
  }

  /** Restarts the database in the middle of the work, when about half of the pages are written. */
  restartDatabase(): void {
    let isDone = false;
    this.#onPage = () => {
      if (isDone || this.#pages < Math.max(4, ROWS / (2 * PAGE_ROWS))) return;
      isDone = true;
      void server.restart().then(() => this.harmed++);
    };
  }

  async ended(): Promise<void> {
    await Promise.all(this.#ends);
  }

  async #keepRunning(): Promise<void> {
    for (let starts = 0; !this.#isOver; starts++) {
      if (starts > MOST_STARTS) throw new Error("the members of the fleet end again and again");
      const member = started(this.#task);
      this.#members.add(member);
      const exit = once(member, "exit");
      if (member.stdout === null) throw new Error("no output");
      for await (const line of createInterface(member.stdout)) {
        if (line === "page") {
          this.#pages++;
          this.#onPage(member);
        } else if (line === "done") this.#isOver = true;
      }
      await exit;
      this.#members.delete(member);
    }
  }
}

/** A process of its own that loads what was built. */
function started(task: FleetTask): ChildProcess {
  return spawn(process.execPath, [worker, JSON.stringify(task)], { cwd: ROOT, stdio: ["ignore", "pipe", "inherit"] });
}

/** Translates the program of a member once: of the many that are killed and started again, each would else do so. */
async function bundledWorker(): Promise<string> {
  const dir = await mkdtemp(join(import.meta.dirname, ".worker-")); // in the package, where its own name leads to what was built
  const bundle = await rolldown({ input: join(import.meta.dirname, "job-worker.ts"), external: [/^[^./]/], platform: "node" });
  await bundle.write({ dir, format: "es", entryFileNames: "job-worker.mjs" });
  return join(dir, "job-worker.mjs");
}

/** So many scopes with one data key each, under the KEK `a`. They are made once, and copied from then on. */
async function fill(count: number): Promise<void> {
  await pool.query("truncate envelock_data_keys");
  const copy = `filled_${count}`;
  if ((await pool.query("select to_regclass($1) is not null as is_made", [copy])).rows[0]?.is_made !== true) {
    await make(count);
    await pool.query(`create table ${copy} as select * from envelock_data_keys`);
  } else await pool.query(`insert into envelock_data_keys select * from ${copy}`);
}

async function make(count: number): Promise<void> {
  const keyring = fleetKeyring("a");
  for (let start = 0; start < count; start += BATCH) {
    const columns: [string[], string[], string[]] = [[], [], []];
    for (let at = start; at < Math.min(count, start + BATCH); at++) {
      const keyContext = { tenant: `tenant ${at % 1000}`, document: `${at}` };
      const { dataKey, keyRecord } = await keyring.createDataKey({ keyContext });
      columns[0].push(scopeText(new KeyContext(keyContext)));
      columns[1].push(dataKey.kid);
      columns[2].push(toHex(keyRecord));
      dataKey.destroy();
    }
    await pool.query(
      `insert into envelock_data_keys (scope, version, kid, state, record, proof, created_at_ms, revision)
       select scope, 1, kid, 'active', decode(record, 'hex'), null, 1790000000000, 1 from unnest($1::text[], $2::text[], $3::text[]) as t (scope, kid, record)`,
      columns,
    );
  }
  await keyring.close();
}

async function partSizes(bounds: readonly string[]): Promise<readonly number[]> {
  const sizes: number[] = [];
  for (const [at, to] of [...bounds, "~"].entries()) {
    const text = "select count(*)::int as rows from envelock_data_keys where scope > $1 and scope <= $2";
    sizes.push((await pool.query(text, [bounds[at - 1] ?? "", to])).rows[0]?.rows);
  }
  return sizes;
}

const SOON = { timeout: 60_000 };
const BATCH = 5000;
const PAGE_ROWS = 256;
const LARGE_ROWS = 20_000;
/** In a small table. Each costs the start of a process. */
const FEW_KILLS = 4;
const MOST_STARTS = 10_000;
