import { once } from "node:events";
import { createInterface } from "node:readline";
import { type KeyProvider, Keyring } from "envelock";
import { DataKeys } from "envelock/fields";
import { planRewrap, runPartitions } from "envelock/jobs";
import { azureKey } from "envelock/providers/azure";
import { localKey } from "envelock/providers/local";
import { type PostgresClient, postgresJobStore, postgresStore } from "envelock/stores/postgres";
import { Pool } from "pg";

// A member of a fleet, started by bench/jobs.ts. Its argument is a `FleetMember` as JSON. It says when it is ready, begins when it is told
// to, and writes a `MemberFigures` at the end.

export interface FleetMember {
  readonly url: string;
  readonly id: string;
  readonly partitions: number;
  /** A vault behind an emulator. A key of this process without it. */
  readonly vault?: VaultAccess;
}

export interface VaultAccess {
  readonly keyUrls: { readonly old: string; readonly next: string };
  readonly token: string;
  readonly tokenResource: string;
  readonly allowedHosts: readonly string[];
  readonly ca: string;
  readonly callsPerSecond: number;
}

export interface MemberFigures {
  /** The time from each statement to its answer, added up. */
  readonly databaseMs: number;
  readonly cpuMs: number;
}

/** The providers of the key before and after the rewrap. */
export function keysOf(vault: VaultAccess | undefined): { readonly old: KeyProvider; readonly next: KeyProvider } {
  if (vault === undefined) {
    const [old, next] = [1, 2].map((byte) => localKey({ keyId: `key-${byte}`, key: new Uint8Array(32).fill(byte) }));
    if (old === undefined || next === undefined) throw new Error("no key");
    return { old, next };
  }
  const { keyUrls, token, tokenResource, allowedHosts, ca } = vault;
  const credential = { getToken: async () => ({ token, expiresOnTimestamp: Date.now() + 3_600_000 }) };
  const open = (keyUrl: string): KeyProvider =>
    azureKey({ keyUrl, credential, tokenResource, allowedHosts, client: { tlsOptions: { ca } }, minVersionAgeMs: 0 });
  return { old: open(keyUrls.old), next: open(keyUrls.next) };
}

const [, script = "", argument] = process.argv;
if (script.endsWith("jobs-child.ts") && argument !== undefined) {
  const { url, id, partitions, vault }: FleetMember = JSON.parse(argument);
  const pool = new Pool({ connectionString: url, max: 8 });
  let databaseMs = 0;
  const client: PostgresClient = {
    async query(statement, values) {
      const beganAt = performance.now();
      const answer = await pool.query(statement, values);
      databaseMs += performance.now() - beganAt;
      return answer;
    },
  };
  const { old, next } = keysOf(vault);
  const dataKeys = new DataKeys({ keyring: new Keyring({ wrapWith: [next], unwrapWith: [old] }), store: postgresStore({ client }) });
  const budgets = vault === undefined ? [] : [{ perSecond: vault.callsPerSecond, share: 0.9 }];
  const job = await planRewrap({ id, dataKeys, jobs: postgresJobStore({ client }), partitions, budgets });
  process.stdout.write("ready\n");
  await once(createInterface(process.stdin), "line");
  databaseMs = 0;
  const before = process.cpuUsage();
  await runPartitions(job);
  const { user, system } = process.cpuUsage(before);
  process.stdout.write(`${JSON.stringify({ databaseMs, cpuMs: (user + system) / 1000 } satisfies MemberFigures)}\n`);
  await dataKeys.close();
  await pool.end();
  process.exit(0);
}
