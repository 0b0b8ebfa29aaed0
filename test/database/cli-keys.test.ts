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
