import { PGlite } from "@electric-sql/pglite";
import { Pool } from "pg";
import { afterAll, describe, expect, test } from "vitest";
import { tenantStoreConformance } from "../../src/stores/conformance/index.ts";
import { newTenantRow } from "../../src/stores/conformance/tenants/bench.ts";
import { type PostgresClient, postgresTenantMigration, postgresTenantStore } from "../../src/stores/postgres.ts";
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
])("the PostgreSQL store of tenants through %s", async (_name, client) => {
  const store = postgresTenantStore({ client });
  await Promise.all([store.migrate(), store.migrate(), store.migrate()]);

  for (const { name, run } of tenantStoreConformance({ open: () => postgresTenantStore({ client }) })) test(name, run);

  test("the migration harms nothing", async () => {
    const row = newTenantRow();
    expect(await store.insertIfAbsent(row)).toBe(true);
    await client.query(postgresTenantMigration(), []);
    expect(await store.get(row)).toEqual(row);
  });

  test("a table that is missing is named with what makes it", async () => {
    const named = postgresTenantStore({ client, table: "public.other_tenants" });
    expect(await refusal(() => named.get(newTenantRow()))).toMatchObject({ hint: expect.stringContaining("postgresTenantMigration") });
  });

  test("the table itself does not take what is no row", async () => {
    const insert = (...values: (string | number)[]) =>
      client.query("insert into envelock_tenants (kind, id, revision, document) values ($1, $2, $3, $4)", values);
    await expect(insert("key", "a", 1, "{}")).rejects.toThrow();
    await expect(insert("tenant", "a b", 1, "{}")).rejects.toThrow();
    await expect(insert("tenant", "a", 0, "{}")).rejects.toThrow();
    await expect(insert("tenant", "a", 1, "é".repeat(2049))).rejects.toThrow();
  });
});

test("a client in a transaction is noticed before a change is acted on", async () => {
  const client = await pool.connect();
  try {
    await client.query("begin");
    expect(await refusalCode(() => postgresTenantStore({ client }).insertIfAbsent(newTenantRow()))).toBe("invalid-argument");
    await client.query("rollback");
  } finally {
    client.release();
  }
});
