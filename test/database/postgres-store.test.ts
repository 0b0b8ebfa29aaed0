import { readFileSync } from "node:fs";
import { PGlite } from "@electric-sql/pglite";
import { Pool } from "pg";
import { DataSource } from "typeorm";
import { afterAll, describe, expect, test } from "vitest";
import { toHex } from "../../src/core/base/bytes.ts";
import { newRow, newScope } from "../../src/stores/conformance/bench.ts";
import { jobStoreConformance, storeConformance, tenantStoreConformance } from "../../src/stores/conformance/index.ts";
import { type PostgresClient, postgresJobStore, postgresMigration, postgresStore, postgresTenantStore } from "../../src/stores/postgres.ts";
import { freshDatabase } from "../support/postgres.ts";
import { refusal, refusalCode } from "../support/refusal.ts";

const pool = new Pool({ connectionString: await freshDatabase(), max: 4 });
const lite = new PGlite();
const orm = await new DataSource({ type: "postgres", url: await freshDatabase(), poolSize: 4 }).initialize();
afterAll(async () => {
  await pool.end();
  await orm.destroy();
  await lite.close();
});

describe.each<[string, PostgresClient]>([
  ["pg on PostgreSQL", pool],
  ["PGlite", lite],
  ["a DataSource of TypeORM", orm],
  ["a wrapper around a DataSource of TypeORM", { query: async (statement, values) => ({ rows: await orm.query(statement, values) }) }],
])("the PostgreSQL store through %s", async (_name, client) => {
  const store = postgresStore({ client });
  await Promise.all([store.migrate(), store.migrate(), store.migrate()]);
  const holds = async (bytes: Uint8Array): Promise<boolean> => {
    const answer = await client.query("select 1 as found from envelock_data_keys where envelock_data_keys::text like '%' || $1 || '%'", [
      toHex(bytes),
    ]);
    return JSON.stringify(answer).includes('"found":1'); // clients differ in what they answer
  };

  for (const { name, run } of storeConformance({ open: () => postgresStore({ client }), holds })) test(name, run);

  test("the migration harms nothing", async () => {
    const row = newRow(newScope());
    expect(await store.insertIfAbsent(row)).toBe(true);
    await client.query(postgresMigration(), []);
    expect(await store.list(row.scope)).toEqual([row]);
  });

  test("a table of an earlier release gets the column, and keeps its rows", async () => {
    const old = postgresMigration("earlier").replace(/ {2}proof .*\n/, "");
    await client.query("drop table if exists earlier", []);
    await client.query(old, []);
    const earlier = postgresStore({ client, table: "earlier" });
    expect(await refusal(() => earlier.list("a"))).toMatchObject({
      code: "provider-failure",
      hint: expect.stringContaining("postgresUpgrades"),
    });
    const row = newRow(newScope(), { proof: null });
    const { scope, version, kid, record, createdAtMs } = row;
    const values = [scope, version, kid, toHex(record ?? new Uint8Array(0)), createdAtMs];
    await client.query("insert into earlier values ($1, $2, $3, 'active', decode($4, 'hex'), $5, 1)", values);
    await earlier.migrate();
    await earlier.migrate();
    expect(await earlier.list(scope)).toEqual([row]);
  });

  test("a table in a schema of its own", async () => {
    await client.query("drop schema if exists app cascade", []);
    await client.query("create schema app", []);
    const named = postgresStore({ client, table: "app.data_keys" });
    expect(await refusal(() => named.list(""))).toMatchObject({ code: "provider-failure", hint: expect.stringContaining("migrate()") });
    await named.migrate();
    const row = newRow(newScope());
    expect(await named.insertIfAbsent(row)).toBe(true);
    expect(await store.list(row.scope)).toEqual([]);
  });

  test.each([
    ["a version below 1", { version: 0 }],
    ["a kid that is none", { kid: "ABC" }],
    ["a shredded key with its record", { state: "shredded" } as const],
    ["an active key without one", { record: null }],
  ])("the table does not take %s", async (_what, differences) => {
    expect(await refusalCode(() => store.insertIfAbsent(newRow(newScope(), differences)))).toBe("provider-failure");
  });
});

test("each parameter is text or a number: clients encode other types, such as json, each in its own way", async () => {
  const sent = new Set<string>();
  const recording: PostgresClient = {
    async query(statement, values) {
      if (/^(select|insert|update)/.test(statement)) sent.add(statement);
      return await pool.query(statement, values);
    },
  };
  const stores = [postgresStore, postgresTenantStore, postgresJobStore].map((open) => open({ client: recording }));
  for (const store of stores) await store.migrate();
  for (const { run } of [
    ...storeConformance({ open: () => postgresStore({ client: recording }) }),
    ...tenantStoreConformance({ open: () => postgresTenantStore({ client: recording }) }),
    ...jobStoreConformance({ open: () => postgresJobStore({ client: recording }) }),
  ])
    await run();
  const client = await pool.connect();
  try {
    for (const [at, statement] of [...sent].entries()) await client.query(`prepare s${at} as ${statement}`);
    const { rows } = await client.query("select parameter_types::text[] as types, statement from pg_prepared_statements");
    expect(rows.length).toBeGreaterThan(8);
    for (const { types, statement } of rows)
      expect([statement, types.filter((type: string) => !["text", "integer", "bigint", "double precision"].includes(type))]).toEqual([
        statement,
        [],
      ]);
  } finally {
    client.release(true);
  }
});

test("a client in a transaction is noticed before a data key of it is used", async () => {
  const client = await pool.connect();
  try {
    await client.query("begin");
    const error = await refusal(() => postgresStore({ client }).insertIfAbsent(newRow(newScope())));
    expect([error.code, error.hint]).toEqual(["invalid-argument", expect.stringContaining("of its own")]);
    await client.query("rollback");
    expect(await postgresStore({ client }).insertIfAbsent(newRow(newScope()))).toBe(true);
  } finally {
    client.release();
  }
});

test("a server that only reads is `unavailable`, with a hint, and takes rows again afterwards", async () => {
  const client = new Pool({ connectionString: `${pool.options.connectionString}`, max: 1 });
  const store = postgresStore({ client });
  await client.query("set default_transaction_read_only = on");
  const row = newRow(newScope());
  expect(await refusal(() => store.insertIfAbsent(row))).toMatchObject({ code: "unavailable", retryable: true, hint: expect.any(String) });
  expect(await store.list(row.scope)).toEqual([]);
  await client.query("set default_transaction_read_only = off");
  expect(await store.insertIfAbsent(row)).toBe(true);
  await client.end();
});

test("docs/stores.md shows the table", () => {
  expect(readFileSync(new URL("../../docs/stores.md", import.meta.url), "utf8")).toContain(`${postgresMigration()};`);
});

test("a server that is not there is `unavailable`, and what is there is not", async () => {
  const nowhere = new Pool({ host: "127.0.0.1", port: 1, connectionTimeoutMillis: 5000 });
  expect(await refusal(() => postgresStore({ client: nowhere }).list("a"))).toMatchObject({ code: "unavailable", retryable: true });
  await nowhere.end();
});

test("a role without rights is `access-denied`", async () => {
  await pool.query("create role reader login password 'reader'");
  const { host, port, database } = pool.options;
  const client = new Pool({ host, port, database, connectionString: asReader(`${pool.options.connectionString}`), max: 1 });
  expect(await refusalCode(() => postgresStore({ client }).list("a"))).toBe("access-denied");
  await client.end();
  const wrong = new Pool({ connectionString: asReader(`${pool.options.connectionString}`, "wrong"), max: 1 });
  expect(await refusalCode(() => postgresStore({ client: wrong }).list("a"))).toBe("access-denied");
  await wrong.end();
  await pool.query("drop role reader");
});

test.each([
  ["57014", "timeout"],
  ["40001", "unavailable"],
  ["53300", "unavailable"],
  ["57P01", "unavailable"],
  ["23514", "provider-failure"],
  ["ECONNRESET", "unavailable"],
  [undefined, "unavailable"],
])("%s is %s", async (code, expected) => {
  const cause = Object.assign(new Error("the native error"), { code });
  const client = { query: () => Promise.reject(cause) };
  expect(await refusal(() => postgresStore({ client }).list("a"))).toMatchObject({ code: expected, cause });
});

function asReader(url: string, password = "reader"): string {
  return Object.assign(new URL(url), { username: "reader", password }).href;
}
