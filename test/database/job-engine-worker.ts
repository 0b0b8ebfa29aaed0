import { createRequire } from "node:module";
import { type DataKeyStore, DataKeys } from "envelock/fields";
import { type PgBossClient, planRewrap, workWithBullMq, workWithPgBoss } from "envelock/jobs";
import { postgresJobStore, postgresStore } from "envelock/stores/postgres";
import { Pool } from "pg";
import { fleetKeyring } from "./job-worker.ts";

// A member of a fleet on an engine, for tests that kill it. Its argument is an `EngineTask` as JSON.

export interface EngineTask {
  readonly url: string;
  readonly id: string;
  /** A file beside the installed packages of the engine. */
  readonly beside: string;
  /** The port of Redis, for BullMQ. pg-boss without it. */
  readonly redisPort?: number;
}

/** Makes a pg-boss. Version 10 is what its package exports, version 12 is in it. */
export function newPgBoss(beside: string, connectionString: string): PgBossClient & PgBossLife {
  const loaded = createRequire(beside)("pg-boss");
  return new (loaded.PgBoss ?? loaded)({ connectionString });
}

/** A store that replaces rows once and never answers: its process stands still in the middle of a page, until it is killed. */
function standingStill(store: DataKeyStore): DataKeyStore {
  return {
    ...store,
    async compareAndSwapMany(changes, options) {
      await store.compareAndSwapMany?.(changes, options);
      return await new Promise(() => undefined);
    },
  };
}

export interface PgBossLife {
  on(event: "error", listener: (error: Error) => void): unknown;
  start(): Promise<unknown>;
  stop(options: { readonly graceful: boolean; readonly timeout?: number }): Promise<void>;
}

const [, script = "", argument] = process.argv;
if (script.endsWith("job-engine-worker.ts") && argument !== undefined) {
  const { url, id, beside, redisPort }: EngineTask = JSON.parse(argument);
  const load = createRequire(beside);
  const client = new Pool({ connectionString: url, max: 4 });
  const dataKeys = new DataKeys({ keyring: fleetKeyring("b"), store: standingStill(postgresStore({ client })) });
  const job = await planRewrap({ id, dataKeys, jobs: postgresJobStore({ client }), partitions: 8 });
  const slice = { leaseMs: 3000, concurrency: 1, onPage: () => process.stdout.write("page\n") };
  if (redisPort === undefined) {
    const boss = newPgBoss(beside, url);
    await boss.start();
    await workWithPgBoss(boss, job, { queue: id, ...slice });
  } else {
    const { Queue, Worker } = load("bullmq");
    const connection = { host: "127.0.0.1", port: redisPort, maxRetriesPerRequest: null };
    await workWithBullMq(
      { queue: new Queue("rewrap", { connection }), worker: (work) => new Worker("rewrap", work, { connection }), ...slice },
      job,
    );
  }
}
