import { once } from "node:events";
import { Keyring } from "envelock";
import { DataKeys, reencryptTable } from "envelock/fields";
import { localKey } from "envelock/providers/local";
import { fileCheckpoint } from "envelock/stores/file";
import { type PostgresClient, postgresStore } from "envelock/stores/postgres";
import { Pool } from "pg";

// A process of an application, for tests that need several, or that kill one. Its arguments are a `Task` as JSON.

export interface Task {
  readonly job: "write" | "rotate" | "rewrap" | "reencrypt";
  readonly url: string;
  /** The local key that wraps; the other one unwraps. */
  readonly wrapWith: "a" | "b";
  /** Of `write`: which ids. */
  readonly firstId?: number;
  readonly rows?: number;
  /** The statement, counted from 1, at which the process kills itself. */
  readonly killAt?: number;
  readonly killWhen?: "before" | "underway" | "after";
  readonly checkpoint?: string;
}

export const EMAIL = { table: "users", column: "email", requireRow: true } as const;

/** `a` and `b` are keys that every process has. */
export function keyringOf(wrapWith: "a" | "b"): Keyring {
  const [wraps, unwraps] = (wrapWith === "a" ? ["a", "b"] : ["b", "a"]).map((keyId) => localKey({ keyId, key: Buffer.alloc(32, keyId) }));
  return new Keyring({ wrapWith: wraps === undefined ? [] : [wraps], unwrapWith: unwraps === undefined ? [] : [unwraps] });
}

/** Does a job as an application would, over a client of its own. */
export async function work(client: PostgresClient, { job, wrapWith, firstId = 0, rows = 0, checkpoint }: Task): Promise<void> {
  const dataKeys = new DataKeys({ keyring: keyringOf(wrapWith), store: postgresStore({ client }), announceMs: 0 });
  const kept = checkpoint === undefined ? {} : { checkpoint: fileCheckpoint(checkpoint) };
  try {
    if (job === "rotate") {
      await dataKeys.rotate();
    } else if (job === "rewrap") {
      const { failed } = await dataKeys.rewrapAll({ concurrency: 2, ...kept });
      if (failed > 0) throw new Error(`${failed} data keys failed`);
    } else if (job === "write") {
      const cipher = await dataKeys.field(EMAIL);
      for (let id = firstId; id < firstId + rows; id++) {
        await client.query("insert into users (id, email) values ($1, $2)", [id, cipher.encrypt(`user ${id}`, { row: id })]);
      }
    } else {
      const cipher = await dataKeys.field(EMAIL);
      const { failed } = await reencryptTable<string>({
        cipher,
        concurrency: 4,
        ...kept,
        rows: async (after, limit) => {
          const page = await client.query("select id, email from users where id > $1 order by id limit $2", [after ?? -1, limit]);
          return page.rows.map(columnRow);
        },
        update: async ({ key, from, to }) => {
          const statement = "update users set email = $3 where id = $1 and email = $2 returning id";
          return (await client.query(statement, [key, `${from}`, to])).rows.length === 1;
        },
      });
      if (failed > 0) throw new Error(`${failed} rows failed`);
    }
  } finally {
    await dataKeys.close();
  }
}

export function columnRow(given: unknown): { readonly key: number; readonly stored: string; readonly row: number } {
  if (typeof given !== "object" || given === null || !("id" in given) || !("email" in given)) throw new Error("no row of users");
  return { key: Number(given.id), stored: `${given.email}`, row: Number(given.id) };
}

/** A client that ends the process, without a chance to clean up, around one statement. */
function mortal(pool: Pool, { killAt, killWhen }: Task): PostgresClient {
  let statements = 0;
  const die = async (): Promise<never> => {
    process.kill(process.pid, "SIGKILL");
    return await new Promise(() => undefined);
  };
  return {
    async query(statement, values) {
      const isLast = ++statements === killAt;
      if (isLast && killWhen === "before") return await die();
      const answer = pool.query(statement, values);
      if (isLast && killWhen === "underway") {
        await new Promise((resolve) => setImmediate(resolve)); // long enough to be sent
        return await die();
      }
      const result = await answer;
      return isLast ? await die() : result;
    },
  };
}

const [, script = "", task] = process.argv;
if (script.endsWith("worker.ts") && task !== undefined) {
  const parsed: Task = JSON.parse(task);
  const pool = new Pool({ connectionString: parsed.url, max: 4 });
  process.stdout.write("ready\n");
  if (parsed.job === "write") await once(process.stdin, "data"); // all begin at once
  await work(mortal(pool, parsed), parsed);
  await pool.end();
  process.stdin.destroy();
}
