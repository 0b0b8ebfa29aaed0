import { Database } from "node-sqlite3-wasm";
import type { SqliteDatabase } from "../../src/stores/sqlite.ts";

/** SQLite of this runtime where it has one, as Node has from 22.5 on, else a build of it that runs anywhere. */
export async function openSqlite(path: string): Promise<SqliteDatabase & { close(): void }> {
  const builtin = await builtinSqlite();
  if (builtin !== undefined) return new builtin.DatabaseSync(path, { timeout: 5000 });
  const database = new Database(path);
  return {
    exec: (statements) => database.exec(statements),
    prepare: (statement) => ({ all: (...values) => database.all(statement, values) }),
    close: () => database.close(),
  };
}

async function builtinSqlite(): Promise<{ readonly DatabaseSync: DatabaseSync } | undefined> {
  const name = "node:sqlite";
  return await import(name).catch(() => undefined);
}

/** As in the documentation of Node 22; the types of the oldest Node that is supported do not have it. */
type DatabaseSync = new (path: string, options: { readonly timeout: number }) => SqliteDatabase & { close(): void };
