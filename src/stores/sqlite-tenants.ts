import { type OptionNames, refuseUnknown } from "../core/base/options.ts";
import type { TenantStore } from "../core/contracts/tenant-store.ts";
import { quotedTable } from "./sql-store.ts";
import { sqlTenantStore, TENANTS_TABLE } from "./sql-tenant-store.ts";
import { type SqliteDatabase, sqliteAccess } from "./sqlite-access.ts";

export interface SqliteTenantStoreOptions {
  /**
   * The caller's database, which the caller closes. It must not be in a transaction. With `node:sqlite` open it with a `timeout`. Otherwise
   * calls fail with `unavailable` at once while a second process writes.
   */
  readonly database: SqliteDatabase;
  /** The name of the table, by default `envelock_tenants`. A schema may stand before it. Lower-case letters, digits and `_`. */
  readonly table?: string;
}

export interface SqliteTenantStore extends TenantStore {
  /** Creates the table if it does not exist. */
  migrate(): Promise<void>;
}

/**
 * Keeps tenants in a table of SQLite 3.35 or later. Each call is one statement, made synchronously.
 *
 * @throws `invalid-argument` for a bad table name. Calls throw `unavailable`, `access-denied` or `provider-failure`, with the
 *   database's error as the cause
 * @see docs/tenants.md
 * @example
 * ```ts
 * import { type SqliteDatabase, sqliteTenantStore } from "envelock/stores/sqlite";
 *
 * export async function openTenants(database: SqliteDatabase) {
 *   const store = sqliteTenantStore({ database });
 *   await store.migrate();
 *   return store;
 * }
 * ```
 */
export function sqliteTenantStore(options: SqliteTenantStoreOptions): SqliteTenantStore {
  refuseUnknown(options, OPTIONS, "sqliteTenantStore");
  const { database, table = TENANTS_TABLE } = options;
  const access = sqliteAccess(database, HINTS);
  return {
    ...sqlTenantStore(quotedTable(table), access),
    async migrate() {
      access.attempt(() => database.exec(sqliteTenantMigration(table)));
    },
  };
}

/**
 * Returns the statement that makes the table of tenants, for a migration tool. It does nothing if the table exists.
 *
 * @throws `invalid-argument` for a bad table name
 * @example
 * ```ts
 * import { sqliteTenantMigration } from "envelock/stores/sqlite";
 *
 * console.log(`${sqliteTenantMigration()};`); // for a migration tool
 * ```
 */
export function sqliteTenantMigration(table: string = TENANTS_TABLE): string {
  return `create table if not exists ${quotedTable(table)} (
  kind text not null check (kind in ('tenant', 'claim', 'canary')),
  id text not null check (length(id) between 1 and 160 and id not glob '*[^!-~]*'),
  revision integer not null check (revision > 0),
  document text not null check (length(cast(document as blob)) <= 4096),
  primary key (kind, id)
)`;
}

const OPTIONS: OptionNames<SqliteTenantStoreOptions> = { database: true, table: true };
const HINTS: Readonly<Record<string, string>> = {
  "no such table": "make the table with `migrate()`, or run what `sqliteTenantMigration()` gives",
};
