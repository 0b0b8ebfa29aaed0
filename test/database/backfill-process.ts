import { DataKeys } from "envelock/fields";
import { postgresStore } from "envelock/stores/postgres";
import { Pool } from "pg";
import { keyringOf } from "./worker.ts";

// A process that runs the backfill of docs/recipes/encrypt-an-existing-application.md, and kills itself at a query if it is told to.

/** The worker's argument, as JSON. */
export interface BackfillTask {
  /** The path of the page's module. */
  readonly module: string;
  readonly url: string;
  readonly folder: string;
  /** The query, counted from 1, at which the process ends without a chance to clean up. */
  readonly killAt?: number;
}

const [, script = "", task] = process.argv;
if (script.endsWith("backfill-process.ts") && task !== undefined) {
  const { module, url, folder, killAt }: BackfillTask = JSON.parse(task);
  const { backfill } = await import(module);
  const pool = new Pool({ connectionString: url, max: 4 });
  let queries = 0;
  pool.on("acquire", () => {
    if (++queries === killAt) process.kill(process.pid, "SIGKILL");
  });
  const dataKeys = new DataKeys({ keyring: keyringOf("a"), store: postgresStore({ client: pool }) });
  const reports = await backfill(pool, dataKeys, folder);
  await dataKeys.close();
  await pool.end();
  process.stdout.write(JSON.stringify(reports));
}
