import { EnvelockError } from "../core/base/errors.ts";
import { type OptionNames, refuseUnknown } from "../core/base/options.ts";
import type { TenantStore } from "../core/contracts/tenant-store.ts";
import { migratePostgres, type PostgresClient, postgresAccess } from "./postgres-access.ts";
import { quotedTable } from "./sql-store.ts";
import { sqlTenantStore, TENANTS_TABLE } from "./sql-tenant-store.ts";

export interface PostgresTenantStoreOptions {
  /** The caller's client, which the caller ends. It must not be in a transaction: a change is acted on once its row is durable. */
  readonly client: PostgresClient;
  /** The name of the table, by default `envelock_tenants`. A schema may stand before it. Lower-case letters, digits and `_`. */
  readonly table?: string;
}

export interface PostgresTenantStore extends TenantStore {
  /** Makes the table if it is not there. Needs the right to create tables, which nothing else here does. */
  migrate(): Promise<void>;
}

/**
 * Keeps tenants in a table of PostgreSQL 13 or later. Each call is one statement. Rights needed: select, insert, update.
 *
 * @throws `invalid-argument` for a bad table name. Calls throw `unavailable`, `timeout`, `access-denied` or `provider-failure`, with
 *   the client's error as the cause
 * @see docs/tenants.md
 * @example
 * ```ts
 * import { postgresTenantStore } from "envelock/stores/postgres";
 * import { Pool } from "pg";
 *
 * export const store = postgresTenantStore({ client: new Pool() });
 * await store.migrate();
 * ```
 */
export function postgresTenantStore(options: PostgresTenantStoreOptions): PostgresTenantStore {
  refuseUnknown(options, OPTIONS, "postgresTenantStore");
  const { client, table = TENANTS_TABLE } = options;
  const access = postgresAccess(client, MIGRATION);
  return {
    ...sqlTenantStore(quotedTable(table), access),
    async nowMs(options) {
      options?.signal?.throwIfAborted();
      const [row] = await access.run('select floor(extract(epoch from clock_timestamp()) * 1000)::float8 "nowMs"', []);
      if (typeof row === "object" && row !== null && "nowMs" in row && typeof row.nowMs === "number") return row.nowMs;
      throw new EnvelockError("provider-failure", "the database told no time");
    },
    migrate: () => migratePostgres(access, [postgresTenantMigration(table)]),
  };
}

/**
 * Returns the statement that makes the table of tenants, for a migration tool. It does nothing if the table exists.
 *
 * @throws `invalid-argument` for a bad table name
 * @example
 * ```ts
 * import { postgresTenantMigration } from "envelock/stores/postgres";
 *
 * console.log(`${postgresTenantMigration()};`); // for a migration tool
 * ```
 */
export function postgresTenantMigration(table: string = TENANTS_TABLE): string {
  return `create table if not exists ${quotedTable(table)} (
  kind text collate "C" not null check (kind in ('tenant', 'claim', 'canary')),
  id text collate "C" not null check (id ~ '^[!-~]{1,160}$'),
  revision integer not null check (revision > 0),
  document text not null check (octet_length(document) <= 4096),
  primary key (kind, id)
)`;
}

const OPTIONS: OptionNames<PostgresTenantStoreOptions> = { client: true, table: true };
const MIGRATION = { table: "postgresTenantMigration", upgrades: undefined } as const;
