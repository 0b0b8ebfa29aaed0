import { type Clock, systemClock } from "../../core/base/clock.ts";
import { type OptionNames, refuseUnknown } from "../../core/base/options.ts";
import type { JobPage, JobPlace, JobRow, JobStore, LeasedJobRow } from "../../core/contracts/job-store.ts";

export interface MemoryJobStoreOptions {
  /** The time source of the leases, for tests. */
  readonly clock?: Clock;
}

/**
 * Makes a store in this process: for tests, and for jobs that do not outlive the process.
 *
 * @throws `invalid-argument` for an unknown option
 * @example
 * ```ts
 * import { memoryJobStore } from "envelock/jobs";
 *
 * export const forTests = memoryJobStore();
 * ```
 */
export function memoryJobStore(options: MemoryJobStoreOptions = {}): JobStore {
  refuseUnknown(options, OPTIONS, "memoryJobStore");
  const { clock = systemClock } = options;
  return jobRowsStore(new Map(), () => clock.unixMs());
}

/** A row, and the end of its lease in milliseconds since 1970. 0 for none. */
export interface KeptJobRow extends JobRow {
  readonly leaseUntilMs: number;
}

/** The rules of a store over rows in memory, which it changes. */
export function jobRowsStore(rows: Map<string, KeptJobRow>, nowMs: () => number): JobStore {
  const leased = ({ leaseUntilMs, ...row }: KeptJobRow): LeasedJobRow => ({ ...row, leaseMs: Math.max(0, leaseUntilMs - nowMs()) });
  return {
    async get(place, options) {
      options?.signal?.throwIfAborted();
      const row = rows.get(jobRowName(place));
      return row && leased(row);
    },
    async list(page, options) {
      options?.signal?.throwIfAborted();
      return pageIn([...rows.values()], page).map(leased);
    },
    async insertIfAbsent(row, options) {
      options?.signal?.throwIfAborted();
      if (rows.has(jobRowName(row))) return false;
      rows.set(jobRowName(row), kept(row, 0));
      return true;
    },
    async compareAndSwap(row, expectedRevision, { leaseMs, onlyIfFree = false }, options) {
      options?.signal?.throwIfAborted();
      const before = rows.get(jobRowName(row));
      if (before?.revision !== expectedRevision || (onlyIfFree && before.leaseUntilMs > nowMs())) return false;
      rows.set(jobRowName(row), kept(row, leaseMs > 0 ? nowMs() + leaseMs : 0));
      return true;
    },
  };
}

export function jobRowName({ kind, job, id }: JobPlace): string {
  return `${kind} ${job} ${id}`;
}

function kept({ kind, job, id, revision, document }: JobRow, leaseUntilMs: number): KeptJobRow {
  return { kind, job, id, revision, document, leaseUntilMs };
}

function pageIn(rows: readonly KeptJobRow[], { kind, job, after = "", limit }: JobPage): readonly KeptJobRow[] {
  const behind = rows.filter((row) => row.kind === kind && row.job === job && row.id > after);
  return behind.sort((a, b) => (a.id < b.id ? -1 : 1)).slice(0, limit);
}

const OPTIONS: OptionNames<MemoryJobStoreOptions> = { clock: true };
