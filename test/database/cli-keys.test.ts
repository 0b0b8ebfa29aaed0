import { Pool } from "pg";
import { afterAll, expect, test } from "vitest";
import { keysetProviders } from "../../providers/local/index.ts";
import { readKeysetFile } from "../../providers/local/keyset-file.ts";
import { Keyring } from "../../src/core/keyring/keyring.ts";
import { DataKeys } from "../../src/fields/data-keys.ts";
import { postgresStore } from "../../src/stores/postgres.ts";
import { ok, refused, scratch } from "../cli/runner.ts";
import { freshDatabase } from "../support/postgres.ts";

const { at } = scratch();
const url = await freshDatabase();
const pool = new Pool({ connectionString: url, max: 2 });
afterAll(() => pool.end());

test("envelock keys on PostgreSQL: a missing table is named, then rotate, rewrap and verify", async () => {
  const [keys, store] = [at("keys.json"), ["--store", url, "--table", "public.app_keys"]];
  const { stderr } = await refused(1, "provider-failure", ["keys", "list", ...store]);
  expect(stderr).toContain("--table names the table");

  await ok(["keygen", keys]);
  const appStore = postgresStore({ client: pool, table: "public.app_keys" });
  await appStore.migrate();
  await pool.query("alter table app_keys rename column proof to no_proof");
  expect((await refused(1, "provider-failure", ["keys", "list", ...store])).stderr).toContain("envelock keys prove");
  await pool.query("alter table app_keys rename column no_proof to proof");
  const cipher = await (await dataKeysOf(keys)).field({ table: "users", column: "email", scope: { tenant: "acme" } });
  const token = cipher.encrypt("ann@acme.example");

  await ok(["keys", "rotate", ...store, "--key", keys, "--scope", "tenant=acme"]);
  await ok(["keygen", keys, "--add", "--set-primary"]);
  expect((await ok(["keys", "rewrap", ...store, "--key", keys])).text).toMatch(/rewrapped +2\n/);
  expect((await ok(["keys", "verify", ...store, "--key", keys])).text).toMatch(/opened +2\n/);
  expect((await (await dataKeysOf(keys)).field({ table: "users", column: "email", scope: { tenant: "acme" } })).decrypt(token)).toBe(
    "ann@acme.example",
  );

  async function dataKeysOf(file: string): Promise<DataKeys> {
    const [primary, ...others] = keysetProviders(await readKeysetFile(file));
    return new DataKeys({ keyring: new Keyring({ wrapWith: [primary], unwrapWith: others }), store: appStore });
  }
});

test("envelock jobs on PostgreSQL: two workers share a job, and a paused one waits", async () => {
  const [keys, jobs] = [at("fleet.json"), ["--jobs", url, "--jobs-table", "public.app_jobs"]];
  const worker = [...jobs, "--store", url, "--table", "public.fleet_keys", "--key", keys];
  expect((await refused(1, "provider-failure", ["jobs", "status", ...jobs])).stderr).toContain("jobs plan --create");
  await ok(["keygen", keys]);
  const store = postgresStore({ client: pool, table: "public.fleet_keys" });
  await store.migrate();
  const [primary] = keysetProviders(await readKeysetFile(keys));
  const dataKeys = new DataKeys({ keyring: new Keyring({ wrapWith: [primary] }), store });
  for (let tenant = 0; tenant < 40; tenant++) await dataKeys.rotate({ tenant: `t${tenant}` });
  await dataKeys.close();
  await ok(["keygen", keys, "--add", "--set-primary"]);
  await ok(["jobs", "plan", "one", ...worker, "--create", "--partitions", "4"]);
  await ok(["jobs", "pause", "one", ...jobs]);
  await refused(1, "invalid-argument", ["jobs", "work", "one", ...worker]);
  await ok(["jobs", "resume", "one", ...jobs]);
  const ends = await Promise.all([1, 2].map(() => ok(["jobs", "work", "one", ...worker, "--json"])));
  for (const { text } of ends) expect(JSON.parse(text)).toMatchObject({ state: "done", report: { counts: { rows: 40, rewrapped: 40 } } });
  expect(JSON.parse((await ok(["jobs", "status", ...jobs, "--json"])).text)).toMatchObject([{ id: "one", state: "done" }]);
});
