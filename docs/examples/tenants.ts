// A SaaS in which tenants bring their own keys: Hono on PostgreSQL, with keys in Vault. One tenant takes its key away under traffic,
// one moves from the platform's key to its own. Runs on the emulator of Vault, and on PGlite unless DATABASE_URL names a server.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import { PGlite } from "@electric-sql/pglite";
import { getRequestListener } from "@hono/node-server";
import { EnvelockError } from "envelock";
import type { FieldCipher } from "envelock/fields";
import { localKey } from "envelock/providers/local";
import { appRole, vaultTenantKeys } from "envelock/providers/vault";
import { postgresStore, postgresTenantStore } from "envelock/stores/postgres";
import { Tenants } from "envelock/tenants";
import { VaultEmulator } from "envelock/testing/vault-emulator";
import { type Context, Hono } from "hono";
import { Pool } from "pg";

/** What a failure means to a browser, by the party that can end it. */
const STATUS = { tenant: 423, vendor: 503, service: 503, caller: 400 } as const;

const { DATABASE_URL } = process.env;
const client = DATABASE_URL === undefined ? new PGlite() : new Pool({ connectionString: DATABASE_URL });
const [store, dataKeyStore] = [postgresTenantStore({ client }), postgresStore({ client })];
await store.migrate();
await dataKeyStore.migrate();
await query("create table notes (tenant text not null, id text not null, body text not null, primary key (tenant, id))");

// Each tenant has a namespace of its own in Vault, with a login of its own.
const emulator = await VaultEmulator.start({ mounts: ["tenants/acme/transit", "tenants/bolt/transit"] });
const logins = new Map(["acme", "bolt"].map((tenant) => [tenant, appRole(emulator.addAppRole({ namespace: `tenants/${tenant}` }))]));
for (const tenant of logins.keys()) emulator.createKey("saas", "aes256-gcm96", {}, `tenants/${tenant}/transit`);

const tenants = new Tenants({
  store,
  dataKeyStore,
  platform: [localKey({ keyId: "platform-2026", key: randomBytes(32) })], // in production: a key of the vendor's key service
  open: vaultTenantKeys({
    clusters: {
      main: {
        address: emulator.url,
        fetch: emulator.connection.fetch,
        placeOf({ tenant }) {
          const token = logins.get(tenant);
          if (token === undefined) throw new Error(`no login for ${tenant}`);
          return { namespace: `tenants/${tenant}`, token };
        },
      },
    },
  }),
  cache: { maxAgeMs: 2000 }, // how long a data key serves after its unwrap: part of the revocation bound
  refreshMs: 1000,
  grantSpreadMs: 0,
  resilience: { retry: false },
  onEvent(event) {
    if (event.type === "tenant.revoked") console.log("audit:", event.type, event.tenant, event.outcome);
  },
});

// acme brings a key, bolt begins under the platform's.
await tenants.invite("acme");
await tenants.stage("acme", { kind: "vault-transit", key: "saas" });
const { level, findings } = await tenants.verify("acme");
assert.notEqual(level, "failed", JSON.stringify(findings));
await tenants.activate("acme");
await tenants.invite("bolt");
await tenants.activate("bolt");

const app = new Hono();
// In production the tenant comes from the session, never from the path.
app.put("/:tenant/notes/:id", async (context) => {
  const { tenant, id } = context.req.param();
  const body = (await notesOf(tenant)).encrypt(await context.req.text(), { row: id });
  await query("insert into notes values ($1, $2, $3)", [tenant, id, body]);
  return context.body(null, 204);
});
app.get("/:tenant/notes/:id", async (context) => {
  const { tenant, id } = context.req.param();
  const notes = await notesOf(tenant);
  const [row] = await query("select body from notes where tenant = $1 and id = $2", [tenant, id]);
  return row === undefined ? context.notFound() : context.text(await notes.decryptAsync(row.body, { row: id }));
});
app.onError(refused);

const server = createServer(getRequestListener(app.fetch));
server.listen(0, "127.0.0.1");
await once(server, "listening");
const address = server.address();
assert.ok(typeof address === "object" && address !== null);
const url = `http://127.0.0.1:${address.port}`;

try {
  for (const tenant of ["acme", "bolt"]) assert.equal((await put(tenant, "1", `a note of ${tenant}`)).status, 204);
  for (const tenant of ["acme", "bolt"]) assert.equal(await (await get(tenant, "1")).text(), `a note of ${tenant}`);
  const rows = await query("select body from notes");
  assert.ok(rows.every(({ body }) => !body.includes("a note of")));
  console.log("two tenants, two keys, one table");

  // acme takes its key away. Requests go on, and close within the bound; bolt notices nothing.
  const { revocationBoundMs } = await tenants.healthOf("acme");
  emulator.softDelete("saas", true, "tenants/acme/transit");
  const begunAt = performance.now();
  while ((await get("acme", "1")).status === 200) {
    assert.ok(performance.now() - begunAt < revocationBoundMs);
    assert.equal((await get("bolt", "1")).status, 200);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.ok(performance.now() - begunAt < revocationBoundMs);
  const refused = await get("acme", "1");
  console.log("acme closed within its bound:", refused.status, await refused.text());
  assert.equal((await get("bolt", "1")).status, 200);

  // bolt moves to a key of its own, while it is in use.
  await tenants.stage("bolt", { kind: "vault-transit", key: "saas" });
  assert.notEqual((await tenants.verify("bolt")).level, "failed");
  const moving = tenants.move("bolt");
  assert.equal((await get("bolt", "1")).status, 200);
  const { step, rewrapped } = await moving;
  console.log(`bolt moved: ${step}, ${rewrapped} data key wrapped anew`);
  await tenants.forgetKeys("bolt"); // the platform's key opens nothing of bolt any more
  assert.equal(await (await get("bolt", "1")).text(), "a note of bolt");
  assert.equal((await put("bolt", "2", "under its own key")).status, 204);
  console.log("bolt reads and writes under its own key");
} finally {
  server.close();
  await tenants.close();
  await emulator.close();
  await (client instanceof Pool ? client.end() : client.close());
}

async function notesOf(tenant: string): Promise<FieldCipher<string>> {
  return await (await tenants.dataKeys(tenant)).field({ table: "notes", column: "body", requireRow: true });
}

/** Tells the browser which party can end the failure. */
function refused(error: Error, context: Context): Response {
  if (!EnvelockError.is(error)) return context.body(null, 500);
  const { code, whose } = error;
  return context.text(`${code} (${whose ?? "unknown"})`, whose === undefined ? 500 : STATUS[whose]);
}

async function query(statement: string, values: string[] = []): Promise<readonly { body: string }[]> {
  const answer = await (client instanceof Pool ? client.query(statement, values) : client.query<{ body: string }>(statement, values));
  return answer.rows;
}

function put(tenant: string, id: string, body: string): Promise<Response> {
  return fetch(`${url}/${tenant}/notes/${id}`, { method: "PUT", body });
}

function get(tenant: string, id: string): Promise<Response> {
  return fetch(`${url}/${tenant}/notes/${id}`);
}
