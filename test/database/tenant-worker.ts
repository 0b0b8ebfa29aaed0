import { httpsFetch } from "envelock/node";
import { vaultTenantKeys } from "envelock/providers/vault";
import { type PostgresClient, postgresStore, postgresTenantStore } from "envelock/stores/postgres";
import { Tenants } from "envelock/tenants";
import { Pool } from "pg";

// A process of a vendor, for tests that need several, or that kill one. Its arguments are a `TenantTask` as JSON.

export interface TenantTask {
  readonly job: "serve" | "move";
  readonly url: string;
  readonly vault: VaultPlace;
  /** What each tenant has, by its id, for `serve`. */
  readonly served?: Readonly<Record<string, Served>>;
  /** The tenant of `move`, and the statement, counted from 1, at which the process kills itself. */
  readonly tenant?: string;
  readonly killAt?: number;
  /** Counts the statements from the one that writes this step of the move. */
  readonly fromStep?: string;
}

export interface Served {
  /** An envelope in base64. */
  readonly envelope: string;
  /** A token of the column `notes.text`. */
  readonly token: string;
}

/** The one place where the tenants of these tests have their keys: a mount for each. */
export interface VaultPlace {
  readonly address: string;
  readonly ca: string;
  readonly token: string;
}

export function tenantsOn(client: PostgresClient, { address, ca, token }: VaultPlace): Tenants {
  const placeOf = ({ tenant }: { readonly tenant: string }) => ({ mount: `tenants/${tenant}/transit`, token: async () => ({ token }) });
  return new Tenants({
    store: postgresTenantStore({ client }),
    dataKeyStore: postgresStore({ client }),
    open: vaultTenantKeys({ clusters: { main: { address, fetch: httpsFetch({ ca }), placeOf } } }),
    cache: { maxAgeMs: 3000 },
    refreshMs: 1000,
    grantSpreadMs: 0,
    resilience: { retry: false },
  });
}

/** Reads each tenant's data again and again, and prints a line whenever one has opened or closed. */
async function serve(tenants: Tenants, served: Readonly<Record<string, Served>>): Promise<never> {
  const was = new Map<string, string>();
  for (;;) {
    for (const [id, { envelope, token }] of Object.entries(served)) {
      const states = await Promise.all([stateOf(() => opened(tenants, id, envelope)), stateOf(() => decrypted(tenants, id, token))]);
      const now = states.every((state) => state === "open") ? "open" : states.every((state) => state !== "open") ? "closed" : "half";
      if (was.get(id) !== now) console.log(JSON.stringify({ id, now }));
      was.set(id, now);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function opened(tenants: Tenants, id: string, envelope: string): Promise<unknown> {
  return await (await tenants.keyring(id)).decrypt(Buffer.from(envelope, "base64"));
}

async function decrypted(tenants: Tenants, id: string, token: string): Promise<unknown> {
  return (await (await tenants.dataKeys(id)).field({ table: "notes", column: "text" })).decryptAsync(token);
}

async function stateOf(read: () => Promise<unknown>): Promise<string> {
  try {
    await read();
    return "open";
  } catch (error) {
    return error instanceof Error ? error.message : "closed";
  }
}

/** A client that kills this process after a statement. */
function killing(client: PostgresClient, at: number, fromStep: string | undefined): PostgresClient {
  let statements = 0;
  let isCounting = fromStep === undefined;
  return {
    async query(statement, values) {
      const answer = await client.query(statement, values);
      isCounting ||= values?.some((value) => typeof value === "string" && value.includes(`"step":"${fromStep}"`)) === true;
      if (isCounting && ++statements === at) process.kill(process.pid, "SIGKILL");
      return answer;
    },
  };
}

const [, script = "", given = ""] = process.argv;
if (script.endsWith("tenant-worker.ts")) {
  const { job, url, vault, served = {}, tenant = "", killAt = Number.POSITIVE_INFINITY, fromStep }: TenantTask = JSON.parse(given);
  const pool = new Pool({ connectionString: url, max: 2 });
  pool.on("error", () => undefined);
  const tenants = tenantsOn(killing(pool, killAt, fromStep), vault);
  if (job === "serve") await serve(tenants, served);
  await tenants.move(tenant);
  await tenants.close();
  await pool.end();
}
