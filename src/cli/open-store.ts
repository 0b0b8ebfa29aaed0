import { closeSync, constants, existsSync, openSync, readSync } from "node:fs";
import { type Command, Option } from "commander";
import { EnvelockError } from "../core/base/errors.ts";
import { closest } from "../core/base/options.ts";
import type { DataKeyStore } from "../core/contracts/data-key-store.ts";
import type { JobStore } from "../core/contracts/job-store.ts";
import type { TenantStore } from "../core/contracts/tenant-store.ts";
import { fileJobStore, fileStore, fileTenantStore } from "../stores/file.ts";
import { type PostgresClient, postgresJobStore, postgresStore, postgresTenantStore } from "../stores/postgres.ts";
import { type SqliteDatabase, sqliteJobStore, sqliteStore, sqliteTenantStore } from "../stores/sqlite.ts";
import { hintForMissing, usageError } from "./failure.ts";

export interface StoreOptions {
  readonly store: string;
  readonly table?: string;
  /** Whether a scope, or the file of a store, is made where there is none. */
  readonly create?: boolean;
}

export function addStoreOptions(command: Command, table = "of the data keys in a database (default: envelock_data_keys)"): Command {
  return command
    .addOption(
      new Option(
        "-s, --store <store>",
        "postgres://user@host/database, sqlite:<file> or file:<file>; a password goes into PGPASSWORD or ~/.pgpass",
      ).makeOptionMandatory(),
    )
    .addOption(new Option("--table <name>", table));
}

/** The store of data keys that the arguments name, for as long as `use` takes. */
export async function withStore<T>(options: StoreOptions, use: (store: DataKeyStore) => Promise<T>): Promise<T> {
  return await withStoreOf(DATA_KEYS, options, use);
}

/** The store of tenants that the arguments name, for as long as `use` takes. */
export async function withTenantStore<T>(options: StoreOptions, use: (store: TenantStore) => Promise<T>): Promise<T> {
  return await withStoreOf(TENANTS, options, use);
}

/** A store of jobs. One in a database can make its table. */
export interface OpenJobStore extends JobStore {
  migrate?(): Promise<void>;
}

/** The store of jobs that the arguments name, for as long as `use` takes. */
export async function withJobStore<T>(options: StoreOptions, use: (store: OpenJobStore) => Promise<T>): Promise<T> {
  return await withStoreOf(JOBS, options, use);
}

/** Makes a store of what an argument names. */
interface StoreMakers<S> {
  postgres(options: { readonly client: PostgresClient; readonly table?: string }): S;
  sqlite(options: { readonly database: SqliteDatabase; readonly table?: string }): S;
  file(path: string): S;
  /** The command that makes a new file. */
  readonly newFile: string;
  /** The option that names the store, and the one that names its table. */
  readonly flag: "--store" | "--jobs";
  readonly tableFlag: "--table" | "--jobs-table";
}

/** No message holds the argument: there may be a password in it. */
async function withStoreOf<S, T>(makers: StoreMakers<S>, options: StoreOptions, use: (store: S) => Promise<T>): Promise<T> {
  const { store: argument, table, create = false } = options;
  const [, scheme = "", path = ""] = SCHEME.exec(argument) ?? [];
  const { flag, tableFlag } = makers;
  const named = table === undefined ? {} : { table };
  switch (scheme.toLowerCase()) {
    case "postgres":
    case "postgresql":
      return await withPostgres(argument, (client) => use(makers.postgres({ client, ...named })));
    case "sqlite":
      requireFile(flag, path, "an empty database is never made: the application makes it", isSqlite);
      return await withSqlite(path, (database) => use(makers.sqlite({ database, ...named })));
    case "file":
      if (table !== undefined) throw usageError(`${tableFlag} goes with a database`, "leave it out: a file holds one table");
      if (!create) requireFile(flag, path, makers.newFile, (found) => !isSqlite(found));
      return await use(makers.file(path));
    default:
      throw unknownStore(flag, argument, scheme);
  }
}

function requireFile(flag: string, path: string, otherwise: string, fits: (path: string) => boolean): void {
  if (path === "") throw usageError(`${flag} names no file`, "sqlite:<file> or file:<file>");
  if (!existsSync(path))
    throw new EnvelockError("key-not-found", `there is no file ${path}`, { hint: `${hintForMissing(path, { fits })} (${otherwise})` });
}

/** Whether a file begins as a database of SQLite does. */
function isSqlite(path: string): boolean {
  const start = Buffer.alloc(SQLITE_HEAD.length);
  let file: number | undefined;
  try {
    file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    return readSync(file, start, 0, start.length, 0) === start.length && start.equals(SQLITE_HEAD);
  } catch {
    return false;
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

function unknownStore(flag: string, argument: string, scheme: string): EnvelockError {
  const meant = closest(scheme, STORES);
  if (scheme !== "" && meant !== undefined) return usageError(`no kind of store is called "${scheme}:"`, `did you mean ${meant}:?`);
  if (existsSync(argument)) return usageError(`${flag} names no kind of store`, `did you mean file:${argument} or sqlite:${argument}?`);
  return usageError(`${flag} names no kind of store`, "give postgres://user@host/database, sqlite:<file> or file:<file>");
}

async function withPostgres<T>(connectionString: string, use: (client: InstanceType<typeof import("pg").Pool>) => Promise<T>): Promise<T> {
  if (!URL.canParse(connectionString)) {
    throw usageError(
      "the URL of the store cannot be read",
      "postgres://user@host:port/database; @, /, : and % in a name are written %40, %2F, %3A and %25",
    );
  }
  const { Pool } = await import("pg").catch((cause: unknown) => {
    throw new EnvelockError("provider-failure", "a PostgreSQL store needs the package pg, which did not load", {
      cause,
      hint: "npm install pg",
    });
  });
  const pool = new Pool({ connectionString, max: CONNECTIONS });
  pool.on("error", () => undefined); // a connection that is lost while idle: the next call opens another, or says why not
  try {
    return await use(pool);
  } finally {
    await pool.end();
  }
}

async function withSqlite<T>(path: string, use: (database: SqliteDatabase) => Promise<T>): Promise<T> {
  const database = openSqlite(path);
  try {
    return await use(database);
  } finally {
    database.close();
  }
}

interface OpenDatabase extends SqliteDatabase {
  close(): void;
}

/** Opens a database with Node's own SQLite. */
function openSqlite(path: string): OpenDatabase {
  const sqlite = process.getBuiltinModule("node:sqlite");
  const Database: unknown = sqlite === undefined ? undefined : Reflect.get(sqlite, "DatabaseSync");
  if (!isClass(Database))
    throw new EnvelockError("provider-failure", "this Node has no SQLite", { hint: "run it with Node 22.5 or later" });
  try {
    const database = new Database(path, { timeout: LOCK_WAIT_MS });
    if (isDatabase(database)) return database;
  } catch (cause) {
    throw new EnvelockError("access-denied", `cannot open ${path}`, {
      cause,
      hint: "check that it is a SQLite database, and who may read it",
    });
  }
  throw new EnvelockError("provider-failure", "what should be SQLite is something else");
}

type DatabaseClass = new (path: string, options: { readonly timeout: number }) => unknown;

function isClass(value: unknown): value is DatabaseClass {
  return typeof value === "function";
}

function isDatabase(value: unknown): value is OpenDatabase {
  return typeof value === "object" && value !== null && "prepare" in value && "exec" in value && "close" in value;
}

const DATA_KEYS: StoreMakers<DataKeyStore> = {
  postgres: postgresStore,
  sqlite: sqliteStore,
  file: fileStore,
  newFile: "`envelock keys rotate --create` makes a new store",
  flag: "--store",
  tableFlag: "--table",
};
const TENANTS: StoreMakers<TenantStore> = {
  postgres: postgresTenantStore,
  sqlite: sqliteTenantStore,
  file: fileTenantStore,
  newFile: "`envelock tenants invite --create` makes a new store",
  flag: "--store",
  tableFlag: "--table",
};
const JOBS: StoreMakers<OpenJobStore> = {
  postgres: postgresJobStore,
  sqlite: sqliteJobStore,
  file: fileJobStore,
  newFile: "`envelock jobs plan --create` makes a new store",
  flag: "--jobs",
  tableFlag: "--jobs-table",
};
const STORES = ["postgres", "postgresql", "sqlite", "file"];
const SCHEME = /^([a-z]+):(.*)$/is;
const SQLITE_HEAD = Buffer.from("SQLite format 3\0", "latin1");
const CONNECTIONS = 8;
const LOCK_WAIT_MS = 10_000;
