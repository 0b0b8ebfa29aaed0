import { EnvelockError, invalidArgument } from "../core/base/errors.ts";
import type { SqlAccess } from "./sql-store.ts";

/** The methods that the store needs of a database: a `DatabaseSync` of `node:sqlite`, a `Database` of `better-sqlite3` or `bun:sqlite`. */
export interface SqliteDatabase {
  exec(statements: string): unknown;
  prepare(statement: string): { all(...values: (string | number | Uint8Array | null)[]): unknown };
  /** Whether a transaction is open, under the name of `better-sqlite3` and `bun:sqlite`. */
  readonly inTransaction?: boolean;
  /** Whether a transaction is open, under the name of `node:sqlite`. */
  readonly isTransaction?: boolean;
}

/**
 * Makes the access to a database that the stores share, over a connection of the caller's.
 *
 * @param hints what to do, by what the database says
 * @throws `invalid-argument` for a database that is none. Calls throw `unavailable`, `access-denied` or `provider-failure`
 */
export function sqliteAccess(database: SqliteDatabase, hints: Readonly<Record<string, string>>): SqliteAccess {
  if (typeof database?.exec !== "function" || typeof database.prepare !== "function")
    throw invalidArgument("database has no methods `exec` and `prepare`");
  const attempt = <T>(work: () => T): T => {
    try {
      return work();
    } catch (error) {
      throw databaseError(error, hints);
    }
  };
  const runNow: SqliteAccess["runNow"] = (statement, values) => {
    const rows = attempt(() => database.prepare(statement).all(...values));
    if (!Array.isArray(rows)) throw new EnvelockError("provider-failure", "the database gave no rows");
    return rows;
  };
  return {
    attempt,
    runNow,
    transaction(work) {
      attempt(() => database.exec("begin immediate"));
      try {
        const result = work();
        attempt(() => database.exec("commit"));
        return result;
      } catch (error) {
        rollBack(database);
        throw error;
      }
    },
    run: async (statement, values) => runNow(statement, values),
    isInTransaction: async () => database.inTransaction === true || database.isTransaction === true,
  };
}

export interface SqliteAccess extends SqlAccess<Uint8Array> {
  /** Runs work on the database and translates its failure. */
  attempt<T>(work: () => T): T;
  /** Runs one statement like `run`, and returns at once. */
  runNow(statement: string, values: readonly (string | number | Uint8Array | null)[]): readonly unknown[];
  /** Runs work in a transaction, which takes the lock for writes first. Nothing of it lasts if it throws. */
  transaction<T>(work: () => T): T;
}

/** Ends a transaction that has failed. SQLite may have ended it already. */
function rollBack(database: SqliteDatabase): void {
  try {
    database.exec("rollback");
  } catch {
    return;
  }
}

/**
 * Translates an error of the database. `better-sqlite3` gives the name of the result code, `node:sqlite` its number, whose low byte is the
 * primary code.
 */
function databaseError(error: unknown, hints: Readonly<Record<string, string>>): EnvelockError {
  const message = error instanceof Error ? error.message : "";
  const name = error instanceof Error && "code" in error ? `${error.code}` : "";
  const number = error instanceof Error && "errcode" in error && typeof error.errcode === "number" ? error.errcode & 0xff : undefined;
  const is = (codes: Readonly<Record<string, number>>): boolean =>
    Object.entries(codes).some(([known, value]) => number === value || name.startsWith(known));
  if (is(BUSY) || message.includes("is locked")) return new EnvelockError("unavailable", "the database is locked", { cause: error });
  if (is(FORBIDDEN)) return new EnvelockError("access-denied", "the database may not be used so", { cause: error });
  const hint = Object.entries(hints).find(([said]) => message.includes(said))?.[1];
  return new EnvelockError("provider-failure", "the database failed", { cause: error, ...(hint !== undefined && { hint }) });
}

const BUSY: Readonly<Record<string, number>> = { SQLITE_BUSY: 5, SQLITE_LOCKED: 6 };
const FORBIDDEN: Readonly<Record<string, number>> = { SQLITE_PERM: 3, SQLITE_READONLY: 8, SQLITE_AUTH: 23 };
