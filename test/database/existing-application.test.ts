import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { Pool } from "pg";
import { afterAll, expect, test } from "vitest";
import { DataKeys } from "../../src/fields/index.ts";
import { postgresStore } from "../../src/stores/postgres.ts";
import { blocksOf, ROOT, writeBlock } from "../docs/code-blocks.ts";
import { freshDatabase } from "../support/postgres.ts";
import { refusalCode } from "../support/refusal.ts";
import type { BackfillTask } from "./backfill-process.ts";
import { keyringOf } from "./worker.ts";

// The steps of docs/recipes/encrypt-an-existing-application.md in their order, with the page's own statements and modules.

const OLD_ROWS = 700;
const folder = mkdtempSync(join(ROOT, "test/docs/.blocks-"));
const blocks = blocksOf("docs/recipes/encrypt-an-existing-application.md");
const modules = blocks.filter(({ language }) => language === "ts").map((block) => writeBlock(folder, block));
const [before = "", expand = "", contract = ""] = blocks.filter(({ language }) => language === "sql").map(({ code }) => code.join("\n"));
const { Customers } = await import(moduleOf("customers.ts"));
const { verify } = await import(moduleOf("verify.ts"));

const url = await freshDatabase();
const pool = new Pool({ connectionString: url, max: 8 });
const open = () => new DataKeys({ keyring: keyringOf("a"), store: postgresStore({ client: pool }) });
const dataKeys = open();

afterAll(async () => {
  await dataKeys.close();
  await pool.end();
  rmSync(folder, { recursive: true });
});

test("an application is encrypted while it reads and writes, and the backfill is killed once", async () => {
  await pool.query(before);
  await pool.query(
    "insert into customers (email, note) select 'Old' || n || '@example.org', case when n % 3 > 0 then 'secret ' || n end from generate_series(1, $1) n",
    [OLD_ROWS],
  );
  await pool.query(expand);
  await postgresStore({ client: pool }).migrate();

  const readBoth = new Customers(pool, dataKeys, "read-both");
  const between = await readBoth.add("between@example.org", "of the first release");
  expect(await readBoth.add("OLD1@example.org", null)).toBeUndefined(); // a row without an index holds its address
  expect(await tokenCount()).toBe(0);

  const otherKeys = open(); // another process of the rolling deployment
  const writeTokens = new Customers(pool, otherKeys, "write-tokens");
  const fresh = await writeTokens.add("fresh@example.org", "of the second release");
  for (const customers of [readBoth, writeTokens]) {
    expect(await customers.byEmail("FRESH@example.org")).toMatchObject({ id: fresh, note: "of the second release" });
    expect(await customers.byEmail("Between@example.org")).toMatchObject({ id: between });
    expect(await customers.byEmail("old2@example.org")).toEqual({ id: "2", email: "Old2@example.org", note: "secret 2" });
  }

  const traffic = new Traffic(writeTokens);
  const killed = await run({ killAt: 300 });
  expect(killed.end).toBe("SIGKILL");
  expect(existsSync(join(folder, "customers-email.checkpoint"))).toBe(true);
  expect(await tokenCount()).toBeGreaterThan(200);
  expect(await plainCount()).toBeGreaterThan(0); // the users' new rows are tokens too, and may outnumber those that are left
  expect((await verify(pool, dataKeys)).size).toBeGreaterThan(0); // it tells that the job is not through

  const resumed = await run({});
  await traffic.end();
  expect(resumed).toMatchObject({ end: 0, reports: [{ failed: 0 }, { failed: 0 }] });
  expect((await run({})).reports).toMatchObject([
    { failed: 0, plaintext: 0 },
    { failed: 0, plaintext: 0 },
  ]);
  expect(await verify(pool, dataKeys)).toEqual(new Map());

  const contracted = new Customers(pool, dataKeys, "contracted");
  for (const [id, { email, note }] of traffic.expected) expect(await contracted.byEmail(email.toUpperCase())).toEqual({ id, email, note });
  for (const statement of contract.split(/;.*\n?/).filter((each) => each.trim() !== "")) await pool.query(statement);
  expect(await contracted.byEmail("OLD3@example.org")).toEqual({ id: "3", email: "Old3@example.org", note: null });
  expect(await contracted.add("old3@EXAMPLE.org", null)).toBeUndefined();
  const statistics = await pool.query("select most_common_vals::text, histogram_bounds::text from pg_stats where tablename = 'customers'");
  expect(JSON.stringify(statistics.rows)).not.toMatch(/example|secret/i);
  const rows = await pool.query("select * from customers");
  expect(rows.rows).toHaveLength(traffic.added + OLD_ROWS + 2);
  expect(JSON.stringify(rows.rows)).not.toMatch(/example|secret/i);

  await pool.query("update customers set note = 'planted' where id = 5");
  expect(await refusalCode(() => contracted.byId("5"))).toBe("malformed-envelope");
  expect([...(await verify(pool, dataKeys)).keys()]).toEqual(["5"]);
  await otherKeys.close();
}, 120_000);

test("two old rows whose addresses the index takes for one are reported, and stay as they were", async () => {
  const other = await freshDatabase();
  const client = new Pool({ connectionString: other, max: 4 });
  try {
    await client.query(before);
    await client.query("insert into customers (email) values ('ada@example.org'), ('strasse@example.org'), ('straße@example.org')");
    await client.query(expand);
    await postgresStore({ client }).migrate();
    const { end, reports } = await run({ url: other });
    expect(end).toBe(0);
    expect(reports).toMatchObject([{ plaintext: 2, failed: 1, failures: [{ error: { code: "invalid-argument" } }] }, { failed: 0 }]);
    const { rows } = await client.query("select email from customers where email_index is null");
    expect(rows).toEqual([{ email: expect.stringMatching(/^stra(ss|ß)e@example.org$/) }]);
  } finally {
    await client.end();
  }
}, 60_000);

/** Users who change, read and come while the job runs; what they read is compared with what they wrote. */
class Traffic {
  /** The rows as they should be in the end. */
  readonly expected = new Map<string, { readonly email: string; readonly note: string | null }>();
  added = 0;
  #isOver = false;
  readonly #done: Promise<void>;

  constructor(customers: typeof Customers) {
    this.#done = this.#go(customers);
    this.#done.catch(() => undefined); // `end` tells of it
  }

  /** @throws what a user met */
  async end(): Promise<void> {
    this.#isOver = true;
    await this.#done;
  }

  async #go(customers: typeof Customers): Promise<void> {
    for (let turn = 0; turn < LEAST_TURNS || (!this.#isOver && turn < OLD_ROWS / 2); turn++) {
      const id = String(OLD_ROWS - turn); // towards the job
      const untouched = await customers.byEmail(`old${id}@example.org`);
      expect(untouched).toMatchObject({ id, email: `Old${id}@example.org` });
      const email = `moved${turn}@example.org`;
      await customers.changeEmail(id, email);
      await customers.changeNote(id, `secret of ${turn}`);
      this.expected.set(id, { email, note: `secret of ${turn}` });
      expect(await customers.byEmail(email)).toEqual({ id, ...this.expected.get(id) });
      expect(await customers.add(email, null)).toBeUndefined();
      const added = { email: `new${turn}@example.org`, note: null };
      this.expected.set(await customers.add(added.email, added.note), added);
      this.added++;
    }
  }
}

async function tokenCount(): Promise<number> {
  return await countWhere("email not like '%@%'");
}

async function plainCount(): Promise<number> {
  return await countWhere("email like '%@%'");
}

async function countWhere(condition: string): Promise<number> {
  const { rows } = await pool.query(`select count(*)::int as count from customers where ${condition}`);
  return rows[0]?.count;
}

/** Runs the backfill in a process of its own. */
async function run(options: { readonly killAt?: number; readonly url?: string }) {
  const task: BackfillTask = { module: moduleOf("backfill.ts"), url, folder, ...options };
  const env = { ...process.env, TSX_TSCONFIG_PATH: join(ROOT, ".config/tsconfig.run.json") };
  const script = join(ROOT, "test/database/backfill-process.ts");
  const child = spawn(process.execPath, ["--import", "tsx", script, JSON.stringify(task)], {
    cwd: ROOT,
    env,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [output, [exitCode, signal]] = await Promise.all([text(child.stdout), once(child, "exit")]);
  return { end: signal ?? exitCode, reports: output === "" ? undefined : JSON.parse(output) };
}

function moduleOf(name: string): string {
  return modules.find((path) => path.endsWith(`/${name}`)) ?? "";
}

const LEAST_TURNS = 5;
