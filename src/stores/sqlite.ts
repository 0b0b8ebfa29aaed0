import { EnvelockError, invalidArgument } from "../core/base/errors.ts";
import { type OptionNames, refuseUnknown } from "../core/base/options.ts";
import type { DataKeyStore } from "../core/contracts/data-key-store.ts";
import { DEFAULT_TABLE, quotedTable, sqlStore } from "./sql-store.ts";

/** The methods that the store needs of a database: a `DatabaseSync` of `node:sqlite`, a `Database` of `better-sqlite3` or `bun:sqlite`. */
export interface SqliteDatabase {
  exec(statements: string): unknown;
  prepare(statement: string): { all(...values: (string | number | Uint8Array | null)[]): unknown };
  /** Whether a transaction is open, under the name of `better-sqlite3` and `bun:sqlite`. */
  readonly inTransaction?: boolean;
  /** Whether a transaction is open, under the name of `node:sqlite`. */
  readonly isTransaction?: boolean;
}

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
  if (typeof database?.exec !== "function" || typeof database.prepare !== "function")
    throw invalidArgument("database has no methods `exec` and `prepare`");
  const name = quotedTable(table);
  attempt(() => database.exec("pragma secure_delete = on"));
  const store = sqlStore(name, {
    hex: (column) => `case when ${column} is null then null else lower(hex(${column})) end`,
    bytes: "?",
    bytesValue: (value) => value,
    async run(statement, values) {
      const rows = attempt(() => database.prepare(statement).all(...values));
      if (!Array.isArray(rows)) throw new EnvelockError("provider-failure", "the database gave no rows");
      return rows;
    },
    isInTransaction: async () => database.inTransaction === true || database.isTransaction === true,
  });
  return {
    ...store,
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

function attempt<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw databaseError(error);
  }
}

/**
 * Translates an error of the database. `better-sqlite3` gives the name of the result code, `node:sqlite` its number, whose low byte is the
 * primary code.
 */
function databaseError(error: unknown): EnvelockError {
  const message = error instanceof Error ? error.message : "";
  const name = error instanceof Error && "code" in error ? `${error.code}` : "";
  const number = error instanceof Error && "errcode" in error && typeof error.errcode === "number" ? error.errcode & 0xff : undefined;
  const is = (codes: Readonly<Record<string, number>>): boolean =>
    Object.entries(codes).some(([known, value]) => number === value || name.startsWith(known));
  if (is(BUSY) || message.includes("is locked")) return new EnvelockError("unavailable", "the database is locked", { cause: error });
  if (is(FORBIDDEN)) return new EnvelockError("access-denied", "the database may not be used so", { cause: error });
  const hint = Object.entries(HINTS).find(([said]) => message.includes(said))?.[1];
  return new EnvelockError("provider-failure", "the database failed", { cause: error, ...(hint !== undefined && { hint }) });
}

const OPTIONS: OptionNames<SqliteStoreOptions> = { database: true, table: true };
const HINTS: Readonly<Record<string, string>> = {
  "no such table": "make the table with `migrate()`, or run what `sqliteMigration()` gives",
  "no such column": "bring the table to this release with `migrate()`, or run what `sqliteUpgrades()` gives",
  "no column named": "bring the table to this release with `migrate()`, or run what `sqliteUpgrades()` gives",
};
const BUSY: Readonly<Record<string, number>> = { SQLITE_BUSY: 5, SQLITE_LOCKED: 6 };
const FORBIDDEN: Readonly<Record<string, number>> = { SQLITE_PERM: 3, SQLITE_READONLY: 8, SQLITE_AUTH: 23 };
