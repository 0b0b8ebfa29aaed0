import { link, readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { kill, pid } from "node:process";
import { systemClock } from "./clock.ts";
import { readIfThere } from "./durable-file.ts";
import { EnvelockError } from "./errors.ts";
import { systemCodeOf } from "./file-error.ts";
import { removeIfEnded } from "./temporary-file.ts";

/**
 * Does `work` while no other process of this machine is within `withFileLock` of the same path.
 *
 * The lock is a file that names its owner. It is taken away once its owner no longer runs. This process cannot tell whether a process on
 * another machine runs, or one in a container with another host name. So such a lock is a lease: its owner renews it, and it is taken away
 * after `leaseMs` without a renewal, as measured by this process.
 *
 * @param maxWaitMs roughly how long to wait for the lock
 * @param leaseMs the same in all processes
 * @throws `unavailable` if the lock is not free by then; what `work` and the file system throw
 */
export async function withFileLock<T>(path: string, maxWaitMs: number, work: () => Promise<T>, leaseMs: number = LEASE_MS): Promise<T> {
  const release = await acquired(path, maxWaitMs, leaseMs);
  try {
    return await work();
  } finally {
    await release();
  }
}

async function acquired(path: string, maxWaitMs: number, leaseMs: number): Promise<() => Promise<void>> {
  const own: Owner = { host: hostname(), pid, startedAt: await startOf(pid), id: crypto.randomUUID() };
  const temporary = `${path}.${own.id}.tmp`;
  const forget = removeIfEnded(temporary);
  // linked when it is whole, because a lock without an owner could never be taken away
  await writeFile(temporary, JSON.stringify(own), { mode: 0o600, flag: "wx" });
  const lease = watchedLease(path, leaseMs);
  try {
    for (let waitedMs = 0; waitedMs <= maxWaitMs; waitedMs += WAIT_MS) {
      if (await linked(temporary, path)) return releaseOf(path, own, leaseMs);
      const holder = await readIfThere(path);
      if (holder !== undefined && ((await isOver(holder)) || (isElsewhere(holder) && (await lease.hasExpired(holder)))))
        await takeAway(path, holder, maxWaitMs);
      else await new Promise((resolve) => setTimeout(resolve, WAIT_MS));
    }
  } finally {
    await rm(temporary, { force: true });
    forget();
  }
  throw new EnvelockError("unavailable", `${path} is locked`, { hint: `if nothing uses it any more, remove ${path}` });
}

/** Renews the lease until it is released. A lock that was taken away meanwhile belongs to another owner, and stays. */
function releaseOf(path: string, own: Owner, leaseMs: number): () => Promise<void> {
  const forget = removeIfEnded(path);
  const renewLater = (): (() => void) =>
    systemClock.after(
      leaseMs / RENEWALS,
      () => {
        const seconds = systemClock.unixMs() / 1000;
        utimes(path, seconds, seconds).catch(() => undefined); // the next time, or the lease expires
        cancel = renewLater();
      },
      "idle",
    );
  let cancel = renewLater();
  return async () => {
    cancel();
    if ((await readIfThere(path)) === JSON.stringify(own)) await rm(path, { force: true });
    forget();
  };
}

/** Whether a lock stays as it is, by the time of its last change. The clocks of two machines are not compared. */
function watchedLease(path: string, leaseMs: number): { hasExpired(holder: string): Promise<boolean> } {
  let seen = "";
  let sinceMs = 0;
  return {
    async hasExpired(holder) {
      const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: Number.NaN })); // gone: the next round sees it
      const now = systemClock.monotonicMs();
      const state = `${mtimeMs} ${holder}`;
      if (state !== seen) sinceMs = now;
      seen = state;
      return now - sinceMs >= leaseMs;
    },
  };
}

async function linked(temporary: string, path: string): Promise<boolean> {
  try {
    await link(temporary, path);
    return true;
  } catch (error) {
    if (systemCodeOf(error) === "EEXIST") return false;
    throw error;
  }
}

/**
 * Removes a lock that is over, under a lock of its own and only if the file is unchanged. Otherwise two processes that find it over could
 * take away the next owner's.
 */
async function takeAway(path: string, holder: string, maxWaitMs: number): Promise<void> {
  await withFileLock(`${path}.break`, maxWaitMs, async () => {
    if ((await readIfThere(path)) === holder) await rm(path);
  });
}

interface Owner {
  readonly host: string;
  readonly pid: number;
  /** Tells apart two processes that had the same number one after the other. Undefined where the system does not say. */
  readonly startedAt: string | undefined;
  /** Tells apart two locks of one process. */
  readonly id: string;
}

/** Whether the lock names an owner on another machine. A lock without an owner belongs to another program and is left alone. */
function isElsewhere(holder: string): boolean {
  const owner = parsedOwner(holder);
  return typeof owner === "object" && owner !== null && "host" in owner && "id" in owner && owner.host !== hostname();
}

/** Whether the owner was a process of this machine that no longer runs. */
async function isOver(holder: string): Promise<boolean> {
  const owner = parsedOwner(holder);
  if (typeof owner !== "object" || owner === null || !("host" in owner) || owner.host !== hostname()) return false;
  if (!("pid" in owner) || typeof owner.pid !== "number") return false;
  if (!isRunning(owner.pid)) return true;
  const startedAt = await startOf(owner.pid);
  return startedAt !== undefined && "startedAt" in owner && owner.startedAt !== startedAt;
}

function parsedOwner(holder: string): unknown {
  try {
    return JSON.parse(holder);
  } catch {
    return undefined; // another program's file
  }
}

function isRunning(process: number): boolean {
  try {
    kill(process, 0);
    return true;
  } catch (error) {
    return systemCodeOf(error) !== "ESRCH"; // any other code means that the process belongs to another user
  }
}

/**
 * Reads the start time from proc(5): the 22nd field, in ticks since the machine started. The second field is a name in brackets that may
 * hold anything.
 */
async function startOf(process: number): Promise<string | undefined> {
  const status = await readFile(`/proc/${process}/stat`, "utf8").catch(() => "");
  return status.slice(status.lastIndexOf(")") + 2).split(" ")[19];
}

const WAIT_MS = 10;
/** Far longer than any work under a lock takes, and shorter than the default wait for a lock. */
const LEASE_MS = 6000;
const RENEWALS = 4;
