import { existsSync } from "node:fs";
import { type Command, Option } from "commander";
import { EnvelockError } from "../core/base/errors.ts";
import type { DataKeyStore } from "../core/contracts/data-key-store.ts";
import { fileStore } from "../stores/file.ts";
import { postgresStore } from "../stores/postgres.ts";
import { type SqliteDatabase, sqliteStore } from "../stores/sqlite.ts";
import { usageError } from "./failure.ts";

export interface StoreOptions {
  readonly store: string;
  readonly table?: string;
}

export function addStoreOptions(command: Command): Command {
  return command
    .addOption(
      new Option(
        "-s, --store <store>",
        "postgres://user@host/database, sqlite:<file> or file:<file>; PGPASSWORD is heeded",
      ).makeOptionMandatory(),
    )
    .addOption(new Option("--table <name>", "of the data keys in a database (default: envelock_data_keys)"));
}

/** The store that the arguments name, for as long as `use` takes. */
export async function withStore<T>({ store: argument, table }: StoreOptions, use: (store: DataKeyStore) => Promise<T>): Promise<T> {
  const [, scheme = "", path = ""] = SCHEME.exec(argument) ?? [];
  const named = table === undefined ? {} : { table };
  switch (scheme.toLowerCase()) {
    case "postgres":
    case "postgresql":
      return await withPostgres(argument, (client) => use(postgresStore({ client, ...named })));
    case "sqlite":
      return await withSqlite(path, (database) => use(sqliteStore({ database, ...named })));
    case "file":
      if (table !== undefined) throw usageError("--table goes with a database");
      return await use(fileStore(path));
    default:
      throw usageError(`"${argument}" is no store`, "give postgres://user@host/database, sqlite:<file> or file:<file>");
  }
}

async function withPostgres<T>(connectionString: string, use: (client: InstanceType<typeof import("pg").Pool>) => Promise<T>): Promise<T> {
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

/** By Node's own SQLite. An empty database is never made. */
function openSqlite(path: string): OpenDatabase {
  if (!existsSync(path)) throw new EnvelockError("key-not-found", `no such file: ${path}`);
  const sqlite = process.getBuiltinModule("node:sqlite");
  const Database: unknown = sqlite === undefined ? undefined : Reflect.get(sqlite, "DatabaseSync");
  if (!isClass(Database))
    throw new EnvelockError("provider-failure", "this Node has no SQLite", { hint: "run it with Node 22.5 or later" });
  try {
    const database = new Database(path, { timeout: LOCK_WAIT_MS });
    if (isDatabase(database)) return database;
  } catch (cause) {
    throw new EnvelockError("access-denied", `cannot open ${path}`, { cause });
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

const SCHEME = /^([a-z]+):(.*)$/is;
const CONNECTIONS = 8;
const LOCK_WAIT_MS = 10_000;
