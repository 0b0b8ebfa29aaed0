import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { Pool } from "pg";
import { afterAll, expect, test } from "vitest";
import { Keyring } from "../../src/index.ts";
import { postgresStore } from "../../src/stores/postgres.ts";
import { blocksOf, ROOT, writeBlock } from "../docs/code-blocks.ts";
import { kek, watched } from "../support/keks.ts";
import { freshDatabase } from "../support/postgres.ts";
import { refusal, refusalCode } from "../support/refusal.ts";

// The example of docs/recipes/tenant-users.md is run, not only compiled.

const folder = mkdtempSync(join(ROOT, "test/docs/.blocks-"));
const blocks = blocksOf("docs/recipes/tenant-users.md");
const modules = blocks.filter(({ language }) => language === "ts").map((block) => writeBlock(folder, block));
const { Users, statusOf } = await import(modules.find((name) => name.endsWith("/tenant-users.ts")) ?? "");

const pool = new Pool({ connectionString: await freshDatabase() });
await postgresStore({ client: pool }).migrate();
await pool.query(blocks.find(({ language }) => language === "sql")?.code.join("\n") ?? "");
const kms = watched(kek());
const open = () => new Users(pool, new Keyring({ wrapWith: [kms] }));
const users = open();

afterAll(async () => {
  await users.close();
  await pool.end();
  rmSync(folder, { recursive: true });
});

test("a user is found by the address, however it is written, and in their own tenant alone", async () => {
  const [tenant, other] = [randomUUID(), randomUUID()];
  const id = await users.add(tenant, "Ada@Example.org", { name: "Ada" });
  expect(await users.byEmail(tenant, "ada@example.org ")).toEqual({ id, email: "Ada@Example.org", profile: { name: "Ada" } });
  expect(await users.byEmail(other, "ada@example.org")).toBeUndefined();
});

test("an address is unique in its tenant", async () => {
  const [tenant, other] = [randomUUID(), randomUUID()];
  const added = await Promise.all(["grace@example.org", "GRACE@example.org"].map((email) => users.add(tenant, email, null)));
  expect(added.filter((id) => id !== undefined)).toHaveLength(1);
  expect(await users.add(other, "grace@example.org", null)).toEqual(expect.any(String));
});

test("after a change the new address finds the user and the old one does not", async () => {
  const tenant = randomUUID();
  const id = await users.add(tenant, "alan@example.org", null);
  await users.changeEmail(tenant, id, "turing@example.org");
  expect(await users.byEmail(tenant, "turing@example.org")).toMatchObject({ id });
  expect(await users.byEmail(tenant, "alan@example.org")).toBeUndefined();
});

test("nothing of a user stands in clear, and one address has another index in another tenant", async () => {
  const tenants = [randomUUID(), randomUUID()];
  for (const tenant of tenants) await users.add(tenant, "ada@example.org", { name: "Lovelace" });
  const { rows } = await pool.query("select * from users where tenant = any($1)", [tenants]);
  expect(JSON.stringify(rows)).not.toMatch(/lovelace|example/i); // words so long that no base64 has them by chance
  expect(new Set(rows.map(({ email_index }) => email_index)).size).toBe(2);
});

test("a token that was moved to another row does not open", async () => {
  const tenant = randomUUID();
  const eve = await users.add(tenant, "eve@example.org", null);
  await users.add(tenant, "ada@example.org", null);
  await pool.query("update users set email = (select email from users where id = $1) where tenant = $2", [eve, tenant]);
  expect(await users.byEmail(tenant, "eve@example.org")).toMatchObject({ id: eve });
  expect(await refusalCode(() => users.byEmail(tenant, "ada@example.org"))).toBe("authentication-failed");
});

test("a process asks the key service once for each key of a tenant, whatever it does", async () => {
  const tenant = randomUUID();
  await users.add(tenant, "ada@example.org", null);
  const fresh = open();
  kms.calls.length = 0;
  for (let round = 0; round < 20; round++) await fresh.byEmail(tenant, "ada@example.org");
  expect(kms.calls).toEqual(["unwrap", "unwrap"]); // the data key, and that of the indexes
  await fresh.close();
});

test("a tenant that was forgotten cannot be read, and the others can", async () => {
  const [tenant, other] = [randomUUID(), randomUUID()];
  for (const each of [tenant, other]) await users.add(each, "ada@example.org", null);
  await users.forget(tenant);
  const error = await refusal(() => users.byEmail(tenant, "ada@example.org"));
  expect([error.code, statusOf(error)]).toEqual(["key-shredded", 410]);
  expect(await refusalCode(() => users.add(tenant, "new@example.org", null))).toBe("key-shredded");
  expect(await users.byEmail(other, "ada@example.org")).toMatchObject({ email: "ada@example.org" });
});
