// A SaaS in which tenants bring their own keys: an HTTP server on PostgreSQL, with keys in Vault. One tenant takes its key away under
// traffic, one moves from the platform's key to its own. Runs on PGlite and the emulator of Vault, which need no account.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import { text } from "node:stream/consumers";
import { PGlite } from "@electric-sql/pglite";
import { EnvelockError } from "envelock";
import { localKey } from "envelock/providers/local";
import { appRole, vaultTenantKeys } from "envelock/providers/vault";
import { postgresStore, postgresTenantStore } from "envelock/stores/postgres";
import { Tenants } from "envelock/tenants";
import { VaultEmulator } from "envelock/testing/vault-emulator";

/** What a failure means to a browser, by the party that can end it. */
const STATUS: Readonly<Record<string, number>> = { tenant: 423, vendor: 503, service: 503, caller: 400 };

const client = new PGlite();
const [store, dataKeyStore] = [postgresTenantStore({ client }), postgresStore({ client })];
await store.migrate();
await dataKeyStore.migrate();
await client.exec("create table notes (tenant text not null, id text not null, body text not null, primary key (tenant, id))");

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

const server = createServer((request, response) => {
  answer(request).then(
    ([status, body]) => response.writeHead(status).end(body),
    () => response.writeHead(500).end(),
  );
});
server.listen(0, "127.0.0.1");
await once(server, "listening");
const address = server.address();
assert.ok(typeof address === "object" && address !== null);
const url = `http://127.0.0.1:${address.port}`;

try {
  for (const tenant of ["acme", "bolt"]) assert.equal((await put(tenant, "1", `a note of ${tenant}`)).status, 204);
  for (const tenant of ["acme", "bolt"]) assert.equal(await (await get(tenant, "1")).text(), `a note of ${tenant}`);
  const { rows } = await client.query<{ body: string }>("select body from notes");
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
  await client.close();
}

/** `/<tenant>/notes/<id>`: in production the tenant comes from the session, never from the path. */
async function answer(request: IncomingMessage): Promise<readonly [status: number, body: string]> {
  const [, tenant = "", id = ""] = /^\/(\w+)\/notes\/(\w+)$/.exec(request.url ?? "") ?? [];
  try {
    const notes = await (await tenants.dataKeys(tenant)).field({ table: "notes", column: "body", requireRow: true });
    if (request.method === "PUT") {
      const body = notes.encrypt(await text(request), { row: id });
      await client.query("insert into notes values ($1, $2, $3)", [tenant, id, body]);
      return [204, ""];
    }
    const { rows } = await client.query<{ body: string }>("select body from notes where tenant = $1 and id = $2", [tenant, id]);
    return rows[0] === undefined ? [404, ""] : [200, await notes.decryptAsync(rows[0].body, { row: id })];
  } catch (error) {
    if (!EnvelockError.is(error)) throw error;
    return [STATUS[error.whose ?? ""] ?? 500, `${error.code} (${error.whose ?? "unknown"})`];
  }
}

function put(tenant: string, id: string, body: string): Promise<Response> {
  return fetch(`${url}/${tenant}/notes/${id}`, { method: "PUT", body });
}

function get(tenant: string, id: string): Promise<Response> {
  return fetch(`${url}/${tenant}/notes/${id}`);
}
