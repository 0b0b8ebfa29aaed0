import { PGlite } from "@electric-sql/pglite";
import { Pool } from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { jobStoreConformance, tenantStoreConformance } from "../../src/stores/conformance/index.ts";
import { newJobRow } from "../../src/stores/conformance/jobs/bench.ts";
import { newTenantRow } from "../../src/stores/conformance/tenants/bench.ts";
import {
  type PostgresClient,
  postgresJobMigration,
  postgresJobStore,
  postgresTenantMigration,
  postgresTenantStore,
} from "../../src/stores/postgres.ts";
import { freshDatabase } from "../support/postgres.ts";
import { refusal, refusalCode } from "../support/refusal.ts";

const pool = new Pool({ connectionString: await freshDatabase(), max: 4 });
const lite = new PGlite();
afterAll(async () => {
  await pool.end();
  await lite.close();
});

/** A kind of store, as far as its table is concerned. */
interface Kind {
  cases(client: PostgresClient): readonly { readonly name: string; run(): Promise<void> }[];
  migrate(client: PostgresClient): Promise<void>;
  readonly migration: string;
  /** Inserts a new row. @returns what was written, and a function that reads it */
  insert(client: PostgresClient, table?: string): Promise<{ readonly written: object; read(): Promise<object | undefined> }>;
  readonly migrationName: string;
  /** Statement and values of rows that are none. */
  readonly insertion: string;
  readonly noRows: readonly (readonly (string | number)[])[];
}

const KINDS: Readonly<Record<string, Kind>> = {
  tenants: {
    cases: (client) => tenantStoreConformance({ open: () => postgresTenantStore({ client }) }),
    migrate: (client) => postgresTenantStore({ client }).migrate(),
    migration: postgresTenantMigration(),
    async insert(client, table) {
      const store = postgresTenantStore({ client, ...(table !== undefined && { table }) });
      const row = newTenantRow();
      expect(await store.insertIfAbsent(row)).toBe(true);
      return { written: row, read: () => store.get(row) };
    },
    migrationName: "postgresTenantMigration",
    insertion: "insert into envelock_tenants (kind, id, revision, document) values ($1, $2, $3, $4)",
    noRows: [
      ["key", "a", 1, "{}"],
      ["tenant", "a b", 1, "{}"],
      ["tenant", "a", 0, "{}"],
      ["tenant", "a", 1, "é".repeat(2049)],
    ],
  },
  jobs: {
    cases: (client) => jobStoreConformance({ open: () => postgresJobStore({ client }) }),
    migrate: (client) => postgresJobStore({ client }).migrate(),
    migration: postgresJobMigration(),
    async insert(client, table) {
      const store = postgresJobStore({ client, ...(table !== undefined && { table }) });
      const row = newJobRow();
      expect(await store.insertIfAbsent(row)).toBe(true);
      return { written: { ...row, leaseMs: 0 }, read: () => store.get(row) };
    },
    migrationName: "postgresJobMigration",
    insertion: "insert into envelock_jobs (kind, job, id, revision, document) values ($1, $2, $3, $4, $5)",
    noRows: [
      ["key", "j", "a", 1, "{}"],
      ["job", "j", "a b", 1, "{}"],
      ["job", "j", "", 1, "{}"],
      ["job", "j", "a", 0, "{}"],
      ["job", "j", "a", 1, "é".repeat(1_048_577)],
    ],
  },
};

describe.each(Object.entries(KINDS))("the PostgreSQL store of %s", (_what, kind) => {
  describe.each<[string, PostgresClient]>([
    ["pg on PostgreSQL", pool],
    ["PGlite", lite],
  ])("through %s", (_name, client) => {
    beforeAll(async () => {
      await Promise.all([kind.migrate(client), kind.migrate(client), kind.migrate(client)]);
    });

    for (const { name, run } of kind.cases(client)) test(name, run);

    test("the migration harms nothing", async () => {
      const { written, read } = await kind.insert(client);
      await client.query(kind.migration, []);
      expect(await read()).toEqual(written);
    });

    test("a table that is missing is named with what makes it", async () => {
      expect(await refusal(() => kind.insert(client, "public.other"))).toMatchObject({ hint: expect.stringContaining(kind.migrationName) });
    });

    test.each(kind.noRows)("the table itself does not take what is no row: case %#", async (...values) => {
      await expect(client.query(kind.insertion, values)).rejects.toThrow();
    });
  });

  test("a client in a transaction is noticed before a change is acted on", async () => {
    const client = await pool.connect();
    try {
      await client.query("begin");
      expect(await refusalCode(() => kind.insert(client))).toBe("invalid-argument");
      await client.query("rollback");
    } finally {
      client.release();
    }
  });
});

test.each(["pg", "PGlite"])("%s: a store of tenants tells the time of the database, which does not go back", async (name) => {
  const { nowMs } = postgresTenantStore({ client: name === "pg" ? pool : lite });
  const times = [await nowMs?.(), await nowMs?.(), await nowMs?.()];
  expect(times).toEqual([...times].sort());
  for (const time of times) expect(Math.abs((time ?? 0) - Date.now())).toBeLessThan(86_400_000);
});
