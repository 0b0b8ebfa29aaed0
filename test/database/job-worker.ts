import { randomInt } from "node:crypto";
import { Keyring } from "envelock";
import { DataKeys } from "envelock/fields";
import { planRewrap, runPartitions } from "envelock/jobs";
import { localKey } from "envelock/providers/local";
import { postgresJobStore, postgresStore } from "envelock/stores/postgres";
import { Pool } from "pg";

// A member of a fleet, for tests that kill or freeze it. Its argument is a `FleetTask` as JSON. It writes a line for each page.

export interface FleetTask {
  readonly url: string;
  readonly id: string;
  readonly wrapWith: "a" | "b";
  readonly partitions: number;
  readonly leaseMs: number;
  /** Whether the clock of the process jumps by up to a day. */
  readonly isClockWrong?: boolean;
}

/** `a` and `b` are keys that every process has. */
export function fleetKeyring(wrapWith: "a" | "b"): Keyring {
  const [wraps, unwraps] = (wrapWith === "a" ? ["a", "b"] : ["b", "a"]).map((keyId) => localKey({ keyId, key: Buffer.alloc(32, keyId) }));
  return new Keyring({ wrapWith: wraps === undefined ? [] : [wraps], unwrapWith: unwraps === undefined ? [] : [unwraps] });
}

const DAY_MS = 86_400_000;
const wrongClock = {
  monotonicMs: () => performance.now(),
  unixMs: () => Date.now() + randomInt(-DAY_MS, DAY_MS),
  random: () => Math.random(),
  after(delayMs: number, run: () => void, kind: "awaited" | "idle") {
    const timer = setTimeout(run, delayMs);
    if (kind === "idle") timer.unref();
    return () => clearTimeout(timer);
  },
};

const [, script = "", argument] = process.argv;
if (/job-worker\.m?[jt]s$/.test(script) && argument !== undefined) {
  const { url, id, wrapWith, partitions, leaseMs, isClockWrong = false }: FleetTask = JSON.parse(argument);
  const pool = new Pool({ connectionString: url, max: 4 });
  pool.on("error", () => undefined); // a connection that the server ended: the next call opens another
  const dataKeys = new DataKeys({ keyring: fleetKeyring(wrapWith), store: postgresStore({ client: pool }) });
  const jobs = postgresJobStore({ client: pool });
  const job = await planRewrap({ id, dataKeys, jobs, partitions, ...(isClockWrong && { clock: wrongClock }) });
  const { state } = await runPartitions(job, { leaseMs, progressMs: 1, onProgress: () => process.stdout.write("page\n") });
  process.stdout.write(`${state}\n`);
  await dataKeys.close();
  await pool.end();
}
