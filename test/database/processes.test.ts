import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { DataKeys } from "envelock/fields";
import { postgresStore } from "envelock/stores/postgres";
import { Pool } from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { freshDatabase } from "../support/postgres.ts";
import { columnRow, EMAIL, keyringOf, type Task, work } from "./worker.ts";

// Full sizes: ENVELOCK_PROCESS_ROWS=10000 ENVELOCK_KILLS=50 ENVELOCK_FIELD_ROWS=1000000
const { ENVELOCK_PROCESS_ROWS = "100", ENVELOCK_KILLS = "6", ENVELOCK_FIELD_ROWS = "2000" } = process.env;
const [PROCESS_ROWS, KILLS, FIELD_ROWS] = [Number(ENVELOCK_PROCESS_ROWS), Number(ENVELOCK_KILLS), Number(ENVELOCK_FIELD_ROWS)];
const ROOT = fileURLToPath(new URL("../..", import.meta.url));

const folder = mkdtempSync(join(tmpdir(), "envelock-processes-"));
let url = "";
let pool: Pool;

beforeAll(async () => {
  url = await freshDatabase();
  pool = new Pool({ connectionString: url, max: 8 });
  await postgresStore({ client: pool }).migrate();
  await pool.query("create table users (id int primary key, email text not null)");
});

afterAll(async () => {
  await pool.end();
  rmSync(folder, { recursive: true });
});

test("8 processes that start at once make one data key, and lose no row", async () => {
  const tasks = Array.from({ length: 8 }, (_, at): Task => {
    return { job: "write", url, wrapWith: "a", firstId: at * PROCESS_ROWS, rows: PROCESS_ROWS };
  });
  const children = tasks.map(started);
  await Promise.all(children.map((child) => once(child.stdout ?? child, "data")));
  const ends = children.map(ended);
  for (const child of children) child.stdin?.write("go\n");
  expect(await Promise.all(ends)).toEqual(tasks.map(() => 0));
  const { rows } = await pool.query("select kid from envelock_data_keys");
  expect(rows).toHaveLength(1);
  await expectRowsToOpen(8 * PROCESS_ROWS);
}, 600_000);

test("killed at any point of a rotation, a rewrap or a re-encryption, everything opens, and the job ends when it is run again", async () => {
  const random = seeded(20_261_122);
  for (let kill = 0; kill < KILLS; kill++) {
    const job = JOBS[kill % JOBS.length] ?? "rotate";
    if (job === "reencrypt") await work(pool, { job: "rotate", url, wrapWith: "a" }); // so that there is something to do
    const wrapWith = kill % 2 === 0 ? "b" : "a";
    const checkpoint = join(folder, job);
    const killWhen = WHEN[random(WHEN.length)] ?? "after";
    const task: Task = { job, url, wrapWith, checkpoint, killAt: 1 + random(STATEMENTS[job]), killWhen };
    expect(await ended(started(task)), JSON.stringify(task)).toBe("SIGKILL");
    await expectRowsToOpen(8 * PROCESS_ROWS);
    await work(pool, { job, url, wrapWith, checkpoint });
    await expectRowsToOpen(8 * PROCESS_ROWS);
    const dataKeys = new DataKeys({ keyring: keyringOf(wrapWith), store: postgresStore({ client: pool }), announceMs: 0 });
    const listed = await dataKeys.list();
    expect(listed.filter(({ state }) => state === "active")).toHaveLength(1);
    if (job === "rewrap") expect(await dataKeys.rewrapAll()).toMatchObject({ stale: 0, failed: 0 });
    if (job === "reencrypt") {
      const newest = listed.at(-1)?.kid ?? "";
      const { rows } = await pool.query("select email from users");
      expect(rows.every(({ email }) => Buffer.from(email, "base64url").subarray(1, 17).toString("hex") === newest)).toBe(true);
    }
    await dataKeys.close();
  }
}, 1_800_000);

test("a rotation of the KEK over many rows and 10 data keys rewrites 10 rows", async () => {
  await pool.query("create table notes (id int primary key, body text not null)");
  await pool.query("delete from envelock_data_keys");
  const store = postgresStore({ client: pool });
  const before = new DataKeys({ keyring: keyringOf("a"), store });
  const ciphers = await Promise.all(
    Array.from({ length: 10 }, (_, tenant) => before.field({ table: "notes", column: "body", scope: { tenant: `${tenant}` } })),
  );
  for (let start = 0; start < FIELD_ROWS; start += BATCH) {
    const ids = Array.from({ length: Math.min(BATCH, FIELD_ROWS - start) }, (_, at) => start + at);
    const bodies = ids.map((id) => ciphers[id % 10]?.encrypt(`note ${id}`));
    await pool.query("insert into notes select * from unnest($1::int[], $2::text[])", [ids, bodies]);
  }
  await before.close();
  const after = new DataKeys({ keyring: keyringOf("b"), store });
  const written = await writtenWhile(() => after.rewrapAll());
  expect(written).toEqual({ envelock_data_keys: 10, notes: 0 });
  const { rows } = await pool.query("select id, body from notes where id % 97 = 0");
  for (const { id, body } of rows) {
    const cipher = await after.field({ table: "notes", column: "body", scope: { tenant: `${id % 10}` } });
    expect(cipher.decrypt(body)).toBe(`note ${id}`);
  }
  await after.close();
}, 1_800_000);

/** Rows that were inserted, updated or deleted, by table: each gets the number of the transaction that wrote it. */
async function writtenWhile(job: () => Promise<unknown>): Promise<Record<string, number>> {
  const { rows } = await pool.query("select pg_current_xact_id()::text::bigint as now");
  const now = rows[0]?.now;
  await job();
  const written: Record<string, number> = {};
  for (const table of ["envelock_data_keys", "notes"]) {
    const counted = await pool.query(`select count(*)::int as rows from ${table} where xmin::text::bigint > $1`, [now]);
    written[table] = counted.rows[0]?.rows;
  }
  return written;
}

async function expectRowsToOpen(count: number): Promise<void> {
  const dataKeys = new DataKeys({ keyring: keyringOf("a"), store: postgresStore({ client: pool }), maxVersions: 1000 });
  const cipher = await dataKeys.field(EMAIL);
  const { rows } = await pool.query("select id, email from users order by id");
  const values = rows.map(columnRow).map(({ stored, row }) => cipher.decrypt(stored, { row }));
  expect(values).toEqual(Array.from({ length: count }, (_, id) => `user ${id}`));
  await dataKeys.close();
}

/** A process of its own that loads what was built. */
function started(task: Task): ChildProcess {
  const env = { ...process.env, TSX_TSCONFIG_PATH: join(ROOT, ".config/tsconfig.run.json") };
  const script = join(ROOT, "test/database/worker.ts");
  return spawn(process.execPath, ["--import", "tsx", script, JSON.stringify(task)], { cwd: ROOT, env, stdio: ["pipe", "pipe", "inherit"] });
}

async function ended(child: ChildProcess): Promise<unknown> {
  const [exitCode, signal] = await once(child, "exit");
  return signal ?? exitCode;
}

/** Park and Miller. */
function seeded(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state * 48_271) % 2_147_483_647;
    return state % below;
  };
}

const JOBS = ["rotate", "rewrap", "reencrypt"] as const;
const WHEN = ["before", "underway", "after"] as const;
/** How many statements a job makes at least. */
const STATEMENTS: Readonly<Record<Task["job"], number>> = { write: 1, rotate: 6, rewrap: 5, reencrypt: 100 };
const BATCH = 10_000;
