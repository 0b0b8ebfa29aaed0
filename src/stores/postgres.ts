import { toHex } from "../core/base/bytes.ts";
import { EnvelockError, type ErrorCode, invalidArgument } from "../core/base/errors.ts";
import { type OptionNames, refuseUnknown } from "../core/base/options.ts";
import type { DataKeyStore } from "../core/contracts/data-key-store.ts";
import { DEFAULT_TABLE, quotedTable, sqlStore } from "./sql-store.ts";

/** The method that the store needs of a client: a `Pool` or `Client` of `pg`, a `PGlite`, or any object with this method. */
export interface PostgresClient {
  query(statement: string, values: (string | number | null)[]): Promise<{ readonly rows: readonly unknown[] }>;
}

export interface PostgresStoreOptions {
  /**
   * The caller's client, which the caller ends. It must not be in a transaction: a data key is used once its row is durable, so the row
   * must not be rolled back.
   */
  readonly client: PostgresClient;
  /**
   * The name of the table, by default `envelock_data_keys`. A schema may stand before it: `app.data_keys`. Lower-case letters, digits and
   * `_`.
   */
  readonly table?: string;
}

export interface PostgresStore extends DataKeyStore {
  /** Makes the table if it is not there, and brings an older one to this release: runs `postgresMigration` and `postgresUpgrades`. Needs the right to create tables, which nothing else here does. */
  migrate(): Promise<void>;
}

/**
 * Keeps data keys in a table of PostgreSQL 13 or later. Each call is one statement. Rights needed: select, insert, update.
 *
 * @throws `invalid-argument` for a bad table name. Calls throw `unavailable`, `timeout`, `access-denied` or `provider-failure`, with
 *   the client's error as the cause
 * @see docs/stores.md
 * @example
 * ```ts
 * import type { Keyring } from "envelock";
 * import { DataKeys } from "envelock/fields";
 * import { postgresStore } from "envelock/stores/postgres";
 * import { Pool } from "pg";
 *
 * const store = postgresStore({ client: new Pool() });
 * await store.migrate();
 * export const open = (keyring: Keyring) => new DataKeys({ keyring, store });
 * ```
 */
export function postgresStore(options: PostgresStoreOptions): PostgresStore {
  refuseUnknown(options, OPTIONS, "postgresStore");
  const { client, table = DEFAULT_TABLE } = options;
  if (typeof client?.query !== "function")
    throw invalidArgument("client has no method `query`", "Hand in a Pool or Client of `pg`, or a PGlite.");
  const run = async (statement: string, values: readonly (string | number | null)[]): Promise<readonly unknown[]> => {
    let answer: unknown;
    try {
      answer = await client.query(statement, [...values]);
    } catch (error) {
      throw databaseError(error);
    }
    return rowsIn(answer);
  };
  const store = sqlStore(quotedTable(table), {
    // text on the wire, because clients differ in how they return bytes
    hex: (column) => `encode(${column}, 'hex')`,
    bytes: "decode(?, 'hex')",
    bytesValue: toHex,
    run: (statement, values) => run(numbered(statement), values),
    // a statement that commits by itself has a transaction number, and the next has none yet
    async isInTransaction() {
      const [row] = await run('select pg_current_xact_id_if_assigned() is not null "isOpen"', []);
      return typeof row === "object" && row !== null && "isOpen" in row && row.isOpen === true;
    },
  });
  return {
    ...store,
    async migrate() {
      for (const statement of [postgresMigration(table), ...postgresUpgrades(table)]) {
        // if two sessions create it at once, one is refused and then finds it
        await run(statement, []).catch(() => run(statement, []));
      }
    },
  };
}

/**
 * Returns the statement that makes the table, for a migration tool. It does nothing if the table exists.
 *
 * @throws `invalid-argument` for a bad table name
 * @example
 * ```ts
 * import { postgresMigration } from "envelock/stores/postgres";
 *
 * console.log(`${postgresMigration()};`); // for a migration tool
 * ```
 */
export function postgresMigration(table: string = DEFAULT_TABLE): string {
  return `create table if not exists ${quotedTable(table)} (
  scope text collate "C" not null check (length(scope) <= 1366),
  version integer not null check (version > 0),
  kid text not null check (kid ~ '^[0-9a-f]{32}$'),
  state text not null check (state in ('active', 'retired', 'shredded')),
  record bytea check ((record is null) = (state = 'shredded')),
  proof bytea check (length(proof) <= 16384),
  created_at_ms bigint not null,
  revision integer not null check (revision > 0),
  primary key (scope, version),
  unique (scope, kid)
)`;
}

/**
 * Returns the statements that bring a table of an earlier release to this one, in order, for a migration tool. Running them again does
 * nothing.
 *
 * @throws `invalid-argument` for a bad table name
 * @example
 * ```ts
 * import { postgresUpgrades } from "envelock/stores/postgres";
 *
 * for (const statement of postgresUpgrades()) console.log(`${statement};`); // for a migration tool
 * ```
 */
export function postgresUpgrades(table: string = DEFAULT_TABLE): readonly string[] {
  return [`alter table ${quotedTable(table)} add column if not exists proof bytea check (length(proof) <= 16384)`];
}

/** Replaces each `?` by `$1`, `$2` … */
function numbered(statement: string): string {
  let place = 0;
  return statement.replace(/\?/g, () => `$${++place}`);
}

/** Reads the rows of an answer. @throws `invalid-argument` for a value that no driver answers */
function rowsIn(answer: unknown): readonly unknown[] {
  if (typeof answer === "object" && answer !== null && "rows" in answer && Array.isArray(answer.rows)) return answer.rows;
  throw invalidArgument(
    "the client's `query` gave no object with `rows`",
    "Hand in a Pool or Client of `pg`, or a PGlite; the `query` of an ORM gives other shapes.",
  );
}

/** Translates an error of the database by its SQLSTATE, or by the class of it, its first two characters. */
function databaseError(error: unknown): EnvelockError {
  const state = error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "";
  const code = CODE_BY_STATE[state] ?? CODE_BY_STATE[state.slice(0, 2)] ?? (SQLSTATE.test(state) ? "provider-failure" : "unavailable");
  const said = state === "" ? "the database could not be asked" : `the database answered ${state}`;
  const hint = HINT_BY_STATE[state];
  return new EnvelockError(code, said, { cause: error, ...(hint !== undefined && { hint }) });
}

const OPTIONS: OptionNames<PostgresStoreOptions> = { client: true, table: true };
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
  "42P01": "make the table with `migrate()`, or run what `postgresMigration()` gives",
  "42703": "bring the table to this release with `migrate()`, or run what `postgresUpgrades()` gives",
};
