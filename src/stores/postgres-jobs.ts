import { type OptionNames, refuseUnknown } from "../core/base/options.ts";
import type { JobStore } from "../core/contracts/job-store.ts";
import { MAX_JOB_DOCUMENT_BYTES } from "./job-row.ts";
import { migratePostgres, type PostgresClient, postgresAccess } from "./postgres-access.ts";
import { JOBS_TABLE, type LeaseDialect, sqlJobStore } from "./sql-job-store.ts";
import { quotedTable } from "./sql-store.ts";

export interface PostgresJobStoreOptions {
  /** The caller's client, which the caller ends. It must not be in a transaction: a lease is acted on once its row is durable. */
  readonly client: PostgresClient;
  /** The name of the table, by default `envelock_jobs`. A schema may stand before it. Lower-case letters, digits and `_`. */
  readonly table?: string;
}

export interface PostgresJobStore extends JobStore {
  /** Makes the table if it is not there. Needs the right to create tables, which nothing else here does. */
  migrate(): Promise<void>;
}

/**
 * Keeps jobs in a table of PostgreSQL 13 or later. Each change is one statement, and leases end by the database's clock. Rights needed:
 * select, insert, update.
 *
 * @throws `invalid-argument` for a bad table name. Calls throw `unavailable`, `timeout`, `access-denied` or `provider-failure`, with
 *   the client's error as the cause
 * @see docs/jobs.md
 * @example
 * ```ts
 * import { postgresJobStore } from "envelock/stores/postgres";
 * import { Pool } from "pg";
 *
 * export const jobs = postgresJobStore({ client: new Pool() });
 * await jobs.migrate();
 * ```
 */
export function postgresJobStore(options: PostgresJobStoreOptions): PostgresJobStore {
  refuseUnknown(options, OPTIONS, "postgresJobStore");
  const { client, table = JOBS_TABLE } = options;
  const access = postgresAccess(client, MIGRATION);
  return {
    ...sqlJobStore(quotedTable(table), access, LEASE),
    migrate: () => migratePostgres(access, [postgresJobMigration(table)]),
  };
}

/**
 * Returns the statement that makes the table of jobs, for a migration tool. It does nothing if the table exists.
 *
 * @throws `invalid-argument` for a bad table name
 * @example
 * ```ts
 * import { postgresJobMigration } from "envelock/stores/postgres";
 *
 * console.log(`${postgresJobMigration()};`); // for a migration tool
 * ```
 */
export function postgresJobMigration(table: string = JOBS_TABLE): string {
  return `create table if not exists ${quotedTable(table)} (
  kind text collate "C" not null check (kind in ('job', 'plan', 'partition', 'failure', 'budget')),
  job text collate "C" not null check (job ~ '^[!-~]*$' and length(job) <= 128),
  id text collate "C" not null check (id ~ '^[!-~]+$' and length(id) <= 1600),
  revision integer not null check (revision > 0),
  lease_until timestamptz,
  document text not null check (octet_length(document) <= ${MAX_JOB_DOCUMENT_BYTES}),
  primary key (kind, job, id)
)`;
}

/** The time of the statement, not that of its transaction. */
const LEASE: LeaseDialect = {
  left: "coalesce(greatest(0, ceil(extract(epoch from lease_until - clock_timestamp()) * 1000)), 0)::bigint",
  end: "clock_timestamp() + ?::float8 * interval '1 millisecond'",
  isFree: "(lease_until is null or lease_until <= clock_timestamp())",
};
const OPTIONS: OptionNames<PostgresJobStoreOptions> = { client: true, table: true };
const MIGRATION = { table: "postgresJobMigration", upgrades: undefined } as const;
