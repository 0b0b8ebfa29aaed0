import { EnvelockError, type ErrorCode, invalidArgument } from "../core/base/errors.ts";
import type { SqlAccess } from "./sql-store.ts";

/**
 * The method that the store needs of a client: a `Pool` or `Client` of `pg`, a `PGlite`, or any object with this method. It answers with
 * the rows that the statement gave, those of `returning` too. What a `DataSource` of TypeORM answers is taken as well: a list of rows, or
 * `[rows, count]`.
 */
export interface PostgresClient {
  query(statement: string, values: (string | number | null)[]): Promise<{ readonly rows: readonly unknown[] }>;
}

/**
 * Makes the access to a database that the stores share, over a client of the caller's.
 *
 * @param migration the names of the functions that give the table and its upgrades, for hints
 * @throws `invalid-argument` for a client that is none. Calls throw `unavailable`, `timeout`, `access-denied` or `provider-failure`
 */
export function postgresAccess(client: PostgresClient, migration: MigrationNames): SqlAccess<string> {
  if (typeof client?.query !== "function")
    throw invalidArgument("client has no method `query`", "Hand in a Pool or Client of `pg`, a PGlite, or a DataSource of TypeORM.");
  const run = async (statement: string, values: readonly (string | number | null)[]): Promise<readonly unknown[]> => {
    let answer: unknown;
    try {
      answer = await client.query(statement, [...values]);
    } catch (error) {
      throw databaseError(error, migration);
    }
    return rowsIn(answer);
  };
  return {
    run: (statement, values) => run(numbered(statement), values),
    // a statement that commits by itself has a transaction number, and the next has none yet
    async isInTransaction() {
      const [row] = await run('select pg_current_xact_id_if_assigned() is not null "isOpen"', []);
      return typeof row === "object" && row !== null && "isOpen" in row && row.isOpen === true;
    },
  };
}

/** Runs the statements of a migration. If two sessions create a table at once, one is refused and then finds it. */
export async function migratePostgres({ run }: SqlAccess<string>, statements: readonly string[]): Promise<void> {
  for (const statement of statements) await run(statement, []).catch(() => run(statement, []));
}

/** The names of functions that a hint names. */
export interface MigrationNames {
  readonly table: string;
  readonly upgrades: string | undefined;
}

/** Replaces each `?` by `$1`, `$2` … */
function numbered(statement: string): string {
  let place = 0;
  return statement.replace(/\?/g, () => `$${++place}`);
}

/**
 * Reads the rows of an answer. TypeORM gives a list of rows after `select` and `insert`, and `[rows, count]` after `update` and `delete`.
 * No row is a list, so the two cannot be taken for each other.
 *
 * @throws `invalid-argument` for a value that no client answers
 */
function rowsIn(answer: unknown): readonly unknown[] {
  const list: unknown = typeof answer === "object" && answer !== null && "rows" in answer ? answer.rows : answer;
  if (Array.isArray(list)) {
    const [rows, count] = list;
    const given: readonly unknown[] = list.length === 2 && Array.isArray(rows) && rows.length === count ? rows : list;
    if (given.every((row) => typeof row === "object" && row !== null && !Array.isArray(row))) return given;
  }
  throw invalidArgument(
    "the client's `query` gave no rows, as `{ rows }` or as a list",
    "Hand in a Pool or Client of `pg`, a PGlite, or a DataSource of TypeORM; others may give other shapes.",
  );
}

/** Translates an error of the database by its SQLSTATE, or by the class of it, its first two characters. */
function databaseError(error: unknown, { table, upgrades }: MigrationNames): EnvelockError {
  const state = error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "";
  const code = CODE_BY_STATE[state] ?? CODE_BY_STATE[state.slice(0, 2)] ?? (SQLSTATE.test(state) ? "provider-failure" : "unavailable");
  const said = state === "" ? "the database could not be asked" : `the database answered ${state}`;
  const hint = {
    ...HINT_BY_STATE,
    "42P01": `make the table with \`migrate()\`, or run what \`${table}()\` gives`,
    ...(upgrades !== undefined && { "42703": `bring the table to this release with \`migrate()\`, or run what \`${upgrades}()\` gives` }),
  }[state];
  return new EnvelockError(code, said, { cause: error, ...(hint !== undefined && { hint }) });
}

const SQLSTATE = /^[0-9A-Z]{5}$/;
const CODE_BY_STATE: Readonly<Record<string, ErrorCode>> = {
  "08": "unavailable", // connection
  "25006": "unavailable", // a read-only server: a standby after a failover
  "28": "access-denied", // authorization
  "40": "unavailable", // deadlock or serialisation: another attempt may succeed
  "42501": "access-denied",
  "53": "unavailable", // resources
  "55P03": "unavailable", // lock not available
  "57": "unavailable", // shutting down
  "57014": "timeout",
};
const HINT_BY_STATE: Readonly<Record<string, string>> = {
  "25006": "The connection leads to a server that only reads. After a failover that passes; else connect to the primary.",
};
