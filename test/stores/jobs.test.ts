import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { jobStoreConformance } from "../../src/stores/conformance/index.ts";
import { newJobRow } from "../../src/stores/conformance/jobs/bench.ts";
import { fileJobStore } from "../../src/stores/file.ts";
import { sqliteJobStore } from "../../src/stores/sqlite.ts";
import { refusal, refusalCode } from "../support/refusal.ts";
import { untyped } from "../support/untyped.ts";
import { openSqlite } from "./sqlite-database.ts";

const folder = mkdtempSync(join(tmpdir(), "envelock-job-stores-"));
const path = join(folder, "jobs.json");
const database = await openSqlite(join(folder, "jobs.db"));
const sqlite = sqliteJobStore({ database });
await sqlite.migrate();
afterAll(() => {
  database.close();
  rmSync(folder, { recursive: true });
});

for (const { name, run } of jobStoreConformance({ open: () => fileJobStore(path) })) test(`the file store of jobs: ${name}`, run);
for (const { name, run } of jobStoreConformance({ open: () => sqliteJobStore({ database }) }))
  test(`the SQLite store of jobs: ${name}`, run);

test("the file is its owner's alone", async () => {
  await fileJobStore(join(folder, "own.json")).insertIfAbsent(newJobRow());
  expect(statSync(join(folder, "own.json")).mode & 0o777).toBe(0o600);
});

test("the SQLite table is made by `migrate`, and making it again harms nothing", async () => {
  const named = sqliteJobStore({ database, table: "app_jobs" });
  expect(await refusal(() => named.get(newJobRow()))).toMatchObject({ hint: expect.stringContaining("sqliteJobMigration") });
  await named.migrate();
  const row = newJobRow();
  await named.insertIfAbsent(row);
  await named.migrate();
  expect(await named.get(row)).toEqual({ ...row, leaseMs: 0 });
});

describe.each([
  ["the file store", fileJobStore(path)],
  ["the SQLite store", sqlite],
])("%s of jobs does not take", (_name, store) => {
  test.each([
    ["an id with a space", { id: "a b" }],
    ["an empty id", { id: "" }],
    ["an id that is too long", { id: "x".repeat(1601) }],
    ["a job that is too long", { job: "x".repeat(129) }],
    ["a document that is too long", { document: `"${"x".repeat(2_097_151)}"` }],
    ["a revision below 1", { revision: 0 }],
    ["a kind that is none", untyped({ kind: "key" })],
  ])("%s", async (_what, differences) => {
    expect(await refusalCode(() => store.insertIfAbsent(newJobRow(differences)))).toBe("invalid-argument");
  });

  test.each([-1, Number.NaN, Number.POSITIVE_INFINITY])("a lease of %d milliseconds", async (leaseMs) => {
    const row = newJobRow();
    await store.insertIfAbsent(row);
    expect(await refusalCode(() => store.compareAndSwap({ ...row, revision: 2 }, 1, { leaseMs }))).toBe("invalid-argument");
  });
});

test.each([
  ["no JSON", "{"],
  ["a file of tenants", JSON.stringify({ format: "envelock-tenants/1", rows: [] })],
  ["a row that is none", JSON.stringify({ format: "envelock-jobs/1", rows: [null] })],
  ["a kind that is none", JSON.stringify({ format: "envelock-jobs/1", rows: [{ ...newJobRow(), leaseMs: 0, kind: "x" }] })],
  ["half a revision", JSON.stringify({ format: "envelock-jobs/1", rows: [{ ...newJobRow(), leaseMs: 0, revision: 1.5 }] })],
])("%s is refused by the file store, and not replaced", async (_what, text) => {
  const bad = join(folder, "bad.json");
  writeFileSync(bad, text);
  const store = fileJobStore(bad);
  expect(await refusalCode(() => store.list({ kind: "job", job: "", limit: 1 }))).toBe("provider-failure");
  expect(await refusalCode(() => store.insertIfAbsent(newJobRow()))).toBe("provider-failure");
  expect(readFileSync(bad, "utf8")).toBe(text);
});

test("a misspelt option is refused", async () => {
  expect(await refusal(() => fileJobStore(path, untyped({ maxLockWait: 1 })))).toMatchObject({ code: "invalid-argument" });
  expect(await refusal(() => sqliteJobStore(untyped({ database, tabel: "x" })))).toMatchObject({ hint: "did you mean `table`?" });
});
