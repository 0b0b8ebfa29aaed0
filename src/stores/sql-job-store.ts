import type { JobStore } from "../core/contracts/job-store.ts";
import { jobRow, storableJobRow, storableLease } from "./job-row.ts";
import { changesOne, type SqlAccess } from "./sql-store.ts";

/** The expressions over the end of a lease, by the database's clock. */
export interface LeaseDialect {
  /** The milliseconds that are left, as an integer of at least 0. */
  readonly left: string;
  /** The end of a lease that begins now, of a parameter in milliseconds. */
  readonly end: string;
  /** Whether there is no lease. */
  readonly isFree: string;
}

/** Makes the store of jobs over a table. `table` has the form of `quotedTable`. */
export function sqlJobStore<Bytes>(table: string, access: SqlAccess<Bytes>, lease: LeaseDialect): JobStore {
  const columns = `kind, job, id, revision, document, ${lease.left} as "leaseMs"`;
  const rows = async (condition: string, values: readonly (string | number)[], signal: AbortSignal | undefined) => {
    signal?.throwIfAborted();
    return (await access.run(`select ${columns} from ${table} where ${condition}`, values)).map(jobRow);
  };
  return {
    get: async ({ kind, job, id }, options) => (await rows("kind = ? and job = ? and id = ?", [kind, job, id], options?.signal))[0],
    list: ({ kind, job, after = "", limit }, options) =>
      rows("kind = ? and job = ? and id > ? order by id limit ?", [kind, job, after, limit], options?.signal),
    async insertIfAbsent(row, options) {
      const { kind, job, id, revision, document } = storableJobRow(row);
      const statement = `insert into ${table} (kind, job, id, revision, document) values (?, ?, ?, ?, ?) on conflict do nothing`;
      return await changesOne(access, statement, [kind, job, id, revision, document], options);
    },
    async compareAndSwap(row, expectedRevision, given, options) {
      const { kind, job, id, revision, document } = storableJobRow(row);
      const { leaseMs, onlyIfFree } = storableLease(given);
      const place = `kind = ? and job = ? and id = ? and revision = ?${onlyIfFree ? ` and ${lease.isFree}` : ""}`;
      const statement = `update ${table} set revision = ?, document = ?, lease_until = ${leaseMs > 0 ? lease.end : "null"} where ${place}`;
      const until = leaseMs > 0 ? [leaseMs] : [];
      return await changesOne(access, statement, [revision, document, ...until, kind, job, id, expectedRevision], options);
    },
  };
}

export const JOBS_TABLE = "envelock_jobs";
