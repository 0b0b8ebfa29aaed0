import { PGlite } from "@electric-sql/pglite";
import { Pool } from "pg";
import { afterAll, describe, expect, test } from "vitest";
import { jobStoreConformance } from "../../src/stores/conformance/index.ts";
import { newJobRow } from "../../src/stores/conformance/jobs/bench.ts";
import { type PostgresClient, postgresJobMigration, postgresJobStore } from "../../src/stores/postgres.ts";
import { freshDatabase } from "../support/postgres.ts";
import { refusal, refusalCode } from "../support/refusal.ts";

const pool = new Pool({ connectionString: await freshDatabase(), max: 4 });
const lite = new PGlite();
afterAll(async () => {
  await pool.end();
  await lite.close();
});

describe.each<[string, PostgresClient]>([
  ["pg on PostgreSQL", pool],
  ["PGlite", lite],
])("the PostgreSQL store of jobs through %s", async (_name, client) => {
  const store = postgresJobStore({ client });
  await Promise.all([store.migrate(), store.migrate(), store.migrate()]);

  for (const { name, run } of jobStoreConformance({ open: () => postgresJobStore({ client }) })) test(name, run);

  test("the migration harms nothing", async () => {
    const row = newJobRow();
    expect(await store.insertIfAbsent(row)).toBe(true);
    await client.query(postgresJobMigration(), []);
    expect(await store.get(row)).toEqual({ ...row, leaseMs: 0 });
  });

  test("a table that is missing is named with what makes it", async () => {
    const named = postgresJobStore({ client, table: "public.other_jobs" });
    expect(await refusal(() => named.get(newJobRow()))).toMatchObject({ hint: expect.stringContaining("postgresJobMigration") });
  });

  test("the table itself does not take what is no row", async () => {
    const insert = (...values: (string | number)[]) =>
      client.query("insert into envelock_jobs (kind, job, id, revision, document) values ($1, $2, $3, $4, $5)", values);
    await expect(insert("key", "j", "a", 1, "{}")).rejects.toThrow();
    await expect(insert("job", "j", "a b", 1, "{}")).rejects.toThrow();
    await expect(insert("job", "j", "", 1, "{}")).rejects.toThrow();
    await expect(insert("job", "j", "a", 0, "{}")).rejects.toThrow();
    await expect(insert("job", "j", "a", 1, "é".repeat(1_048_577))).rejects.toThrow();
  });
});

test("a client in a transaction is noticed before a change is acted on", async () => {
  const client = await pool.connect();
  try {
    await client.query("begin");
    expect(await refusalCode(() => postgresJobStore({ client }).insertIfAbsent(newJobRow()))).toBe("invalid-argument");
    await client.query("rollback");
  } finally {
    client.release();
  }
});
