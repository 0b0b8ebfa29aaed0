import { createHash } from "node:crypto";
import type { Clock } from "envelock";
import { httpsFetch } from "envelock/node";
import { localKey } from "envelock/providers/local";
import { vaultTenantKeys } from "envelock/providers/vault";
import { type PostgresClient, postgresStore, postgresTenantStore } from "envelock/stores/postgres";
import { type TenantKeyOpener, Tenants, type TenantsOptions } from "envelock/tenants";
import { Pool } from "pg";

// A process of a vendor, for tests that need several, or that kill one. Its arguments are a `TenantTask` as JSON.

export interface TenantTask {
  readonly job: "serve" | "move";
  readonly url: string;
  /** Where the keys of `serve` are. Those of `move` are `keysInProcess`. */
  readonly vault?: VaultPlace;
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

/** What `serve` prints of a tenant whenever it opens or closes. */
export interface TenantSeen {
  readonly id: string;
  /** `half` while one of its envelope and its token opens. */
  readonly now: "open" | "half" | "closed";
  /** When the last read began that has opened one of them, in milliseconds since 1970. */
  readonly lastOpenMs: number;
}

/** The one place where the tenants of these tests have their keys: a mount for each. */
export interface VaultPlace {
  readonly address: string;
  readonly ca: string;
  readonly token: string;
}

/** A vendor of which the keys of tenants are in a key service. */
export function tenantsOn(client: PostgresClient, { address, ca, token }: VaultPlace): Tenants {
  const placeOf = ({ tenant }: { readonly tenant: string }) => ({ mount: `tenants/${tenant}/transit`, token: async () => ({ token }) });
  const open = vaultTenantKeys({ clusters: { main: { address, fetch: httpsFetch({ ca }), placeOf } } });
  return new Tenants({ ...settingsOn(client), open, resilience: { retry: false } });
}

/**
 * A vendor of which the keys of tenants are in its process, and whose time runs ten times as fast: what a move does then takes longer than its
 * waits, so that many moves can be killed. It reads held data keys again so seldom that this takes no time from the move.
 */
export function fastTenantsOn(client: PostgresClient): Tenants {
  const resilience = { retry: false, deadlineMs: HOUR_MS, attemptDeadlineMs: HOUR_MS } as const;
  const ages = { cache: { maxAgeMs: HOUR_MS }, dataKeys: { refreshMs: HOUR_MS }, maxStaleMs: HOUR_MS };
  return new Tenants({ ...settingsOn(client), ...ages, open: keysInProcess, clock: fastClock, resilience });
}

function settingsOn(client: PostgresClient): TenantsOptions {
  return {
    store: postgresTenantStore({ client }),
    dataKeyStore: postgresStore({ client }),
    cache: { maxAgeMs: 3000 },
    refreshMs: REFRESH_MS,
    grantSpreadMs: 0,
  };
}

/** Every name is a key, the same in each process. */
const keysInProcess: TenantKeyOpener = {
  kind: "in-process",
  accept: ({ key }, { tenant }) => ({ name: `${tenant}/${key}`, payer: tenant }),
  open: ({ key }, { tenant }) => {
    const keyId = `${tenant}/${key}`;
    return localKey({ keyId, key: new Uint8Array(createHash("sha256").update(keyId).digest()) });
  },
};

export const REFRESH_MS = 1000;
const HOUR_MS = 3_600_000;
const SPEED = 10;
const fastClock: Clock = {
  monotonicMs: () => performance.now() * SPEED,
  unixMs: () => Date.now() * SPEED,
  random: Math.random,
  after(delayMs, run, kind) {
    const timer = setTimeout(run, delayMs / SPEED);
    if (kind === "idle") timer.unref();
    return () => clearTimeout(timer);
  },
};

/** Reads each tenant's data again and again, and prints a line whenever one has opened or closed. */
async function serve(tenants: Tenants, served: Readonly<Record<string, Served>>): Promise<never> {
  const was = new Map<string, TenantSeen>();
  for (;;) {
    for (const [id, { envelope, token }] of Object.entries(served)) {
      const begunMs = Date.now();
      const states = await Promise.all([stateOf(() => opened(tenants, id, envelope)), stateOf(() => decrypted(tenants, id, token))]);
      const now = states.every((state) => state === "open") ? "open" : states.every((state) => state !== "open") ? "closed" : "half";
      const lastOpenMs = now === "closed" ? (was.get(id)?.lastOpenMs ?? 0) : begunMs;
      if (was.get(id)?.now !== now) console.log(JSON.stringify({ id, now, lastOpenMs } satisfies TenantSeen));
      was.set(id, { id, now, lastOpenMs });
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
  if (job === "serve" && vault !== undefined) await serve(tenantsOn(pool, vault), served);
  const tenants = fastTenantsOn(killing(pool, killAt, fromStep));
  await tenants.move(tenant);
  await tenants.close();
  await pool.end();
}
