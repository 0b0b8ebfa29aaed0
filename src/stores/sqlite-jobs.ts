import { type OptionNames, refuseUnknown } from "../core/base/options.ts";
import type { JobStore } from "../core/contracts/job-store.ts";
import { MAX_JOB_DOCUMENT_BYTES } from "./job-row.ts";
import { JOBS_TABLE, type LeaseDialect, sqlJobStore } from "./sql-job-store.ts";
import { quotedTable } from "./sql-store.ts";
import { type SqliteDatabase, sqliteAccess } from "./sqlite-access.ts";

export interface SqliteJobStoreOptions {
  /**
   * The caller's database, which the caller closes. It must not be in a transaction. With `node:sqlite` open it with a `timeout`. Otherwise
   * calls fail with `unavailable` at once while a second process writes.
   */
  readonly database: SqliteDatabase;
  /** The name of the table, by default `envelock_jobs`. A schema may stand before it. Lower-case letters, digits and `_`. */
  readonly table?: string;
}

export interface SqliteJobStore extends JobStore {
  /** Creates the table if it does not exist. */
  migrate(): Promise<void>;
}

/**
 * Keeps jobs in a table of SQLite 3.35 or later, for processes of one machine. Each call is one statement, made synchronously.
 *
 * @throws `invalid-argument` for a bad table name. Calls throw `unavailable`, `access-denied` or `provider-failure`, with the
 *   database's error as the cause
 * @see docs/jobs.md
 * @example
 * ```ts
 * import { type SqliteDatabase, sqliteJobStore } from "envelock/stores/sqlite";
 *
 * export async function openJobs(database: SqliteDatabase) {
 *   const jobs = sqliteJobStore({ database });
 *   await jobs.migrate();
 *   return jobs;
 * }
 * ```
 */
export function sqliteJobStore(options: SqliteJobStoreOptions): SqliteJobStore {
  refuseUnknown(options, OPTIONS, "sqliteJobStore");
  const { database, table = JOBS_TABLE } = options;
  const access = sqliteAccess(database, HINTS);
  return {
    ...sqlJobStore(quotedTable(table), access, LEASE),
    async migrate() {
      access.attempt(() => database.exec(sqliteJobMigration(table)));
    },
  };
}

/**
 * Returns the statement that makes the table of jobs, for a migration tool. It does nothing if the table exists.
 *
 * @throws `invalid-argument` for a bad table name
 * @example
 * ```ts
 * import { sqliteJobMigration } from "envelock/stores/sqlite";
 *
 * console.log(`${sqliteJobMigration()};`); // for a migration tool
 * ```
 */
export function sqliteJobMigration(table: string = JOBS_TABLE): string {
  return `create table if not exists ${quotedTable(table)} (
  kind text not null check (kind in ('job', 'plan', 'partition', 'failure', 'budget')),
  job text not null check (length(job) <= 128 and job not glob '*[^!-~]*'),
  id text not null check (length(id) between 1 and 1600 and id not glob '*[^!-~]*'),
  revision integer not null check (revision > 0),
  lease_until integer,
  document text not null check (length(cast(document as blob)) <= ${MAX_JOB_DOCUMENT_BYTES}),
  primary key (kind, job, id)
)`;
}

/** The present in milliseconds since 1970, as a real number. SQLite has `unixepoch('subsec')` from 3.42 only. */
const NOW = "((julianday('now') - 2440587.5) * 86400000.0)";
const LEASE: LeaseDialect = {
  left: `cast(max(0, coalesce(lease_until - ${NOW} + 0.999, 0)) as integer)`,
  end: `cast(${NOW} + ? + 1 as integer)`,
  isFree: `(lease_until is null or lease_until <= ${NOW})`,
};
const OPTIONS: OptionNames<SqliteJobStoreOptions> = { database: true, table: true };
const HINTS: Readonly<Record<string, string>> = {
  "no such table": "make the table with `migrate()`, or run what `sqliteJobMigration()` gives",
};
