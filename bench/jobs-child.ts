import { once } from "node:events";
import { createInterface } from "node:readline";
import { Keyring } from "envelock";
import { DataKeys } from "envelock/fields";
import { planRewrap, runPartitions } from "envelock/jobs";
import { type PostgresClient, postgresJobStore, postgresStore } from "envelock/stores/postgres";
import { Pool } from "pg";
import { type FleetMember, keysOf, type MemberFigures } from "./jobs-fleet.ts";

// A member of a fleet, started by bench/jobs.ts. Its argument is a `FleetMember` as JSON. It says when it is ready, begins when it is told
// to, and writes a `MemberFigures` at the end.

const { url, id, partitions, vault }: FleetMember = JSON.parse(process.argv[2] ?? "");
const pool = new Pool({ connectionString: url, max: 8 });
let databaseMs = 0;
let inFlight = 0;
let beganAt = 0;
const client: PostgresClient = {
  async query(statement, values) {
    if (inFlight++ === 0) beganAt = performance.now();
    try {
      return await pool.query(statement, values);
    } finally {
      if (--inFlight === 0) databaseMs += performance.now() - beganAt;
    }
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
