import { describe, expect, test } from "vitest";
import { newRow } from "../../src/stores/conformance/bench.ts";
import { fileStore } from "../../src/stores/file.ts";
import { postgresStore } from "../../src/stores/postgres.ts";
import { sqliteStore } from "../../src/stores/sqlite.ts";
import { refusal, refusalCode } from "../support/refusal.ts";
import { untyped } from "../support/untyped.ts";
import { openSqlite } from "./sqlite-database.ts";

// Clients of other shapes: an ORM's `query` tells of a change that was none, and no row would be believed.

describe("a client that does not answer as its driver does is refused", () => {
  test.each<[string, unknown]>([
    ["rows and the count of others", { rows: [[], 1] }],
    ["rows and the descriptions of columns, as mysql2 gives them", [[], []]],
    ["rows that are lists", { rows: [[1]] }],
    ["a count", { rows: [1] }],
    ["another column", { rows: [{ version: 1 }] }],
    ["two rows", { rows: [{ changedVersion: 1 }, { changedVersion: 2 }] }],
    ["no rows", {}],
    ["a list", [[{ changedVersion: 1 }]]],
    ["nothing", undefined],
  ])("%s", async (_what, answer) => {
    const store = postgresStore({ client: untyped({ query: async () => answer }) });
    const row = newRow("a");
    for (const work of [() => store.compareAndSwap({ ...row, revision: 2 }, 1), () => store.insertIfAbsent(row)]) {
      const error = await refusal(work);
      expect([error.code, error.hint !== undefined]).toEqual(["invalid-argument", true]);
    }
  });

  test.each<[string, unknown]>([
    ["a list of rows", []],
    ["rows and their count", [[], 0]],
    ["rows and their count within `rows`", { rows: [[], 0] }],
  ])("%s is taken: nothing was changed", async (_what, answer) => {
    const store = postgresStore({ client: untyped({ query: async () => answer }) });
    const row = newRow("a");
    expect(await store.compareAndSwap({ ...row, revision: 2 }, 1)).toBe(false);
    expect(await store.insertIfAbsent(row)).toBe(false);
    expect(await store.list("a")).toEqual([]);
  });

  test.each<[string, () => unknown]>([
    ["no client", () => postgresStore(untyped({}))],
    ["a client without query", () => postgresStore(untyped({ client: {} }))],
    ["a misspelt option", () => postgresStore(untyped({ client: { query() {} }, tabel: "a" }))],
    ["nothing", () => postgresStore(untyped(undefined))],
    ["no database", () => sqliteStore(untyped({}))],
    ["a database of no methods", () => sqliteStore(untyped({ database: {} }))],
    ["no path", () => fileStore(untyped(undefined))],
    ["a wait that is none", () => fileStore("keys.json", untyped({ maxLockWaitMs: "soon" }))],
    ["a misspelt wait", () => fileStore("keys.json", untyped({ maxLockWait: 1 }))],
  ])("%s", async (_what, make) => {
    expect(await refusalCode(make)).toBe("invalid-argument");
  });
});

test("a SQLite database in a transaction is noticed before a data key of it is used", async () => {
  const database = await openSqlite(":memory:");
  const state = { isOpen: true };
  const watched = {
    exec: (statements: string) => database.exec(statements),
    prepare: (statement: string) => database.prepare(statement),
    get inTransaction() {
      return state.isOpen;
    },
  };
  const store = sqliteStore({ database: watched });
  await store.migrate();
  expect(await refusalCode(() => store.insertIfAbsent(newRow("a")))).toBe("invalid-argument");
  state.isOpen = false;
  expect(await store.insertIfAbsent(newRow("b"))).toBe(true);
  database.close();
});

test("a SQLite table of an earlier release gets the column, and keeps its rows", async () => {
  const database = await openSqlite(":memory:");
  database.exec(
    "create table envelock_data_keys (scope text, version integer, kid text, state text, record blob, created_at_ms integer, revision integer, primary key (scope, version), unique (scope, kid))",
  );
  const store = sqliteStore({ database });
  const error = await refusal(() => store.list("a"));
  expect([error.code, error.hint]).toEqual(["provider-failure", expect.stringContaining("sqliteUpgrades")]);
  database.exec(`insert into envelock_data_keys values ('a', 1, '${"0".repeat(32)}', 'active', x'00', 5, 1)`);
  await store.migrate();
  await store.migrate();
  expect(await store.list("a")).toMatchObject([{ version: 1, proof: null }]);
  expect(await store.insertIfAbsent(newRow("a", { version: 2 }))).toBe(true);
  database.close();
});
