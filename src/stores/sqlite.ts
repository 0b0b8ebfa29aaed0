import { type OptionNames, refuseUnknown } from "../core/base/options.ts";
import type { DataKeyStore } from "../core/contracts/data-key-store.ts";
import {
  CHANGED_REVISION,
  DEFAULT_TABLE,
  inTransaction,
  isOneChange,
  quotedTable,
  type SqlDialect,
  sqlStore,
  swapStatement,
} from "./sql-store.ts";
import { type SqliteDatabase, sqliteAccess } from "./sqlite-access.ts";

export type { SqliteDatabase } from "./sqlite-access.ts";
export { type SqliteJobStore, type SqliteJobStoreOptions, sqliteJobMigration, sqliteJobStore } from "./sqlite-jobs.ts";
export {
  type SqliteTenantStore,
  type SqliteTenantStoreOptions,
  sqliteTenantMigration,
  sqliteTenantStore,
} from "./sqlite-tenants.ts";

export interface SqliteStoreOptions {
  /**
   * The caller's database, which the caller closes. It must not be in a transaction. With `node:sqlite` open it with a `timeout`. Otherwise
   * calls fail with `unavailable` at once while a second process writes.
   */
  readonly database: SqliteDatabase;
  /** The name of the table, by default `envelock_data_keys`. A schema may stand before it. Lower-case letters, digits and `_`. */
  readonly table?: string;
}

export interface SqliteStore extends DataKeyStore {
  /** Creates the table if it does not exist, and brings an older one to this release. */
  migrate(): Promise<void>;
}

/**
 * Keeps data keys in a table of SQLite 3.35 or later. Each call is one statement, made synchronously. It turns `secure_delete` on for this
 * connection, so that the bytes of a shredded record are overwritten.
 *
 * @throws `invalid-argument` for a bad table name. Calls throw `unavailable`, `access-denied` or `provider-failure`, with the
 *   database's error as the cause
 * @see docs/stores.md
 * @example
 * ```ts
 * import { type SqliteDatabase, sqliteStore } from "envelock/stores/sqlite";
 *
 * export async function openStore(database: SqliteDatabase) {
 *   const store = sqliteStore({ database });
 *   await store.migrate();
 *   return store;
 * }
 * ```
 */
export function sqliteStore(options: SqliteStoreOptions): SqliteStore {
  refuseUnknown(options, OPTIONS, "sqliteStore");
  const { database, table = DEFAULT_TABLE } = options;
  const access = sqliteAccess(database, HINTS);
  const { attempt } = access;
  const name = quotedTable(table);
  attempt(() => database.exec("pragma secure_delete = on"));
  const dialect: SqlDialect<Uint8Array> = {
    hex: (column) => `case when ${column} is null then null else lower(hex(${column})) end`,
    bytes: "?",
    bytesValue: (value) => value,
    ...access,
  };
  return {
    ...sqlStore(name, dialect),
    async compareAndSwapMany(changes, given) {
      given?.signal?.throwIfAborted();
      if (await access.isInTransaction()) throw inTransaction();
      return access.transaction(() =>
        changes.map((change) => {
          const [statement, values] = swapStatement(name, dialect, change);
          return isOneChange(access.runNow(`${statement}${CHANGED_REVISION}`, values));
        }),
      );
    },
    async migrate() {
      attempt(() => database.exec(sqliteMigration(table)));
      if (attempt(() => hasProof(database, name))) return;
      for (const statement of sqliteUpgrades(table)) attempt(() => database.exec(statement));
    },
  };
}

/**
 * Returns the statement that makes the table, for a migration tool. It does nothing if the table exists.
 *
 * @throws `invalid-argument` for a bad table name
 * @example
 * ```ts
 * import { sqliteMigration } from "envelock/stores/sqlite";
 *
 * console.log(`${sqliteMigration()};`); // for a migration tool
 * ```
 */
export function sqliteMigration(table: string = DEFAULT_TABLE): string {
  return `create table if not exists ${quotedTable(table)} (
  scope text not null check (length(scope) <= 1366),
  version integer not null check (version > 0),
  kid text not null check (length(kid) = 32),
  state text not null check (state in ('active', 'retired', 'shredded')),
  record blob check ((record is null) = (state = 'shredded')),
  proof blob check (length(proof) <= 16384),
  created_at_ms integer not null,
  revision integer not null check (revision > 0),
  primary key (scope, version),
  unique (scope, kid)
)`;
}

/**
 * Returns the statements that bring a table of an earlier release to this one, in order, for a migration tool. Run each of them once.
 *
 * @throws `invalid-argument` for a bad table name
 * @example
 * ```ts
 * import { sqliteUpgrades } from "envelock/stores/sqlite";
 *
 * for (const statement of sqliteUpgrades()) console.log(`${statement};`); // for a migration tool
 * ```
 */
export function sqliteUpgrades(table: string = DEFAULT_TABLE): readonly string[] {
  return [`alter table ${quotedTable(table)} add column proof blob check (length(proof) <= 16384)`];
}

/**
 * Whether the table has the column `proof`. A query for the column would not fail, because SQLite takes an unknown name in double quotes
 * for text.
 */
function hasProof(database: SqliteDatabase, table: string): boolean {
  const [schema, name] = table.includes(".") ? table.split(".") : ["main", table];
  const columns = database.prepare(`pragma ${schema}.table_info(${name})`).all();
  return (
    Array.isArray(columns) &&
    columns.some((column: unknown) => typeof column === "object" && column !== null && "name" in column && column.name === "proof")
  );
}

const OPTIONS: OptionNames<SqliteStoreOptions> = { database: true, table: true };
const HINTS: Readonly<Record<string, string>> = {
  "no such table": "make the table with `migrate()`, or run what `sqliteMigration()` gives",
  "no such column": "bring the table to this release with `migrate()`, or run what `sqliteUpgrades()` gives",
  "no column named": "bring the table to this release with `migrate()`, or run what `sqliteUpgrades()` gives",
};
