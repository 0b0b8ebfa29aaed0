import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { newRow, newScope } from "../../src/stores/conformance/bench.ts";
import { storeConformance } from "../../src/stores/conformance/index.ts";
import { sqliteMigration, sqliteStore } from "../../src/stores/sqlite.ts";
import { refusal, refusalCode } from "../support/refusal.ts";
import { fileHolds } from "./kept-bytes.ts";
import { openSqlite } from "./sqlite-database.ts";

const folder = mkdtempSync(join(tmpdir(), "envelock-sqlite-"));
const path = join(folder, "keys.db");
const database = await openSqlite(path);
const store = sqliteStore({ database });
await store.migrate();
afterAll(() => {
  database.close();
  rmSync(folder, { recursive: true });
});

for (const { name, run } of storeConformance({ open: () => sqliteStore({ database }), holds: (bytes) => fileHolds(path, bytes) })) {
  test(`the SQLite store: ${name}`, run);
}

test("a second connection sees it, and the migration harms nothing", async () => {
  const row = newRow(newScope());
  expect(await store.insertIfAbsent(row)).toBe(true);
  await store.migrate();
  const other = await openSqlite(path);
  expect(await sqliteStore({ database: other }).list(row.scope)).toEqual([row]);
  other.close();
});

test("a table of another name, in a schema", async () => {
  const named = sqliteStore({ database, table: "main.app_keys" });
  expect(await refusal(() => named.list(""))).toMatchObject({ code: "provider-failure", hint: expect.stringContaining("migrate()") });
  await named.migrate();
  const row = newRow(newScope());
  expect(await named.insertIfAbsent(row)).toBe(true);
  expect(await store.list(row.scope)).toEqual([]);
});

test.each(["Keys", "keys; drop table users", 'a"b', "a.b.c", "", "9a"])("%o is no name of a table", async (table) => {
  expect(await refusalCode(() => sqliteStore({ database, table }))).toBe("invalid-argument");
  expect(await refusalCode(() => sqliteMigration(table))).toBe("invalid-argument");
});

describe("what the database refuses", () => {
  test("a table that another connection has locked is `unavailable`", async () => {
    const impatient = sqliteStore({ database: failing(Object.assign(new Error("database is locked"), { errcode: 5 })) });
    expect(await refusal(() => impatient.list(""))).toMatchObject({ code: "unavailable", retryable: true });
  });

  test.each([
    [{ code: "SQLITE_BUSY" }, "unavailable"],
    [{ code: "SQLITE_BUSY_SNAPSHOT" }, "unavailable"],
    [{ code: "ERR_SQLITE_ERROR", errcode: 261 }, "unavailable"], // SQLITE_BUSY_RECOVERY
    [{ code: "SQLITE_READONLY" }, "access-denied"],
    [{ code: "ERR_SQLITE_ERROR", errcode: 8 }, "access-denied"],
    [{ code: "SQLITE_CORRUPT" }, "provider-failure"],
    [{}, "provider-failure"],
  ])("%o is %s", async (native, code) => {
    const cause = Object.assign(new Error("the native error"), native);
    expect(await refusal(() => sqliteStore({ database: failing(cause) }).list(""))).toMatchObject({ code, cause });
  });

  test("a row that is none is `provider-failure`", async () => {
    const rows = [{ ...newRow("a"), record: "zz" }];
    const odd = { exec: () => undefined, prepare: () => ({ all: () => rows }) };
    expect(await refusalCode(() => sqliteStore({ database: odd }).list("a"))).toBe("provider-failure");
  });
});

function failing(error: Error): Parameters<typeof sqliteStore>[0]["database"] {
  return {
    exec: () => undefined,
    prepare: () => {
      throw error;
    },
  };
}
