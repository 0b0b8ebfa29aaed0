import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { tenantStoreConformance } from "../../src/stores/conformance/index.ts";
import { newTenantRow } from "../../src/stores/conformance/tenants/bench.ts";
import { fileTenantStore } from "../../src/stores/file.ts";
import { sqliteTenantStore } from "../../src/stores/sqlite.ts";
import { refusal, refusalCode } from "../support/refusal.ts";
import { untyped } from "../support/untyped.ts";
import { openSqlite } from "./sqlite-database.ts";

const folder = mkdtempSync(join(tmpdir(), "envelock-tenant-stores-"));
const path = join(folder, "tenants.json");
const database = await openSqlite(join(folder, "tenants.db"));
const sqlite = sqliteTenantStore({ database });
await sqlite.migrate();
afterAll(() => {
  database.close();
  rmSync(folder, { recursive: true });
});

for (const { name, run } of tenantStoreConformance({ open: () => fileTenantStore(path) })) test(`the file store of tenants: ${name}`, run);
for (const { name, run } of tenantStoreConformance({ open: () => sqliteTenantStore({ database }) })) {
  test(`the SQLite store of tenants: ${name}`, run);
}

test("the file is its owner's alone", async () => {
  await fileTenantStore(join(folder, "own.json")).insertIfAbsent(newTenantRow());
  expect(statSync(join(folder, "own.json")).mode & 0o777).toBe(0o600);
});

test("the SQLite table is made by `migrate`, and making it again harms nothing", async () => {
  const named = sqliteTenantStore({ database, table: "app_tenants" });
  expect(await refusal(() => named.get(newTenantRow()))).toMatchObject({ hint: expect.stringContaining("sqliteTenantMigration") });
  await named.migrate();
  const row = newTenantRow();
  await named.insertIfAbsent(row);
  await named.migrate();
  expect(await named.get(row)).toEqual(row);
});

describe.each([
  ["the file store", fileTenantStore(path)],
  ["the SQLite store", sqlite],
])("%s of tenants does not take", (_name, store) => {
  test.each([
    ["an id with a space", { id: "a b" }],
    ["an empty id", { id: "" }],
    ["an id that is too long", { id: "x".repeat(161) }],
    ["a document that is too long", { document: `"${"x".repeat(4095)}"` }],
    ["a revision below 1", { revision: 0 }],
    ["a kind that is none", untyped({ kind: "key" })],
  ])("%s", async (_what, differences) => {
    expect(await refusalCode(() => store.insertIfAbsent(newTenantRow(differences)))).toBe("invalid-argument");
  });
});

test.each([
  ["no JSON", "{"],
  ["a file of data keys", JSON.stringify({ format: "envelock-data-keys/1", rows: [] })],
  ["a row that is none", JSON.stringify({ format: "envelock-tenants/1", rows: [null] })],
  ["a kind that is none", JSON.stringify({ format: "envelock-tenants/1", rows: [{ ...newTenantRow(), kind: "x" }] })],
  ["half a revision", JSON.stringify({ format: "envelock-tenants/1", rows: [{ ...newTenantRow(), revision: 1.5 }] })],
])("%s is refused by the file store, and not replaced", async (_what, text) => {
  const bad = join(folder, "bad.json");
  writeFileSync(bad, text);
  const store = fileTenantStore(bad);
  expect(await refusalCode(() => store.list({ kind: "tenant", limit: 1 }))).toBe("provider-failure");
  expect(await refusalCode(() => store.insertIfAbsent(newTenantRow()))).toBe("provider-failure");
  expect(readFileSync(bad, "utf8")).toBe(text);
});

test("a misspelt option is refused", async () => {
  expect(await refusal(() => fileTenantStore(path, untyped({ maxLockWait: 1 })))).toMatchObject({ code: "invalid-argument" });
  expect(await refusal(() => sqliteTenantStore(untyped({ database, tabel: "x" })))).toMatchObject({ hint: "did you mean `table`?" });
});
