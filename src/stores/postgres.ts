import { toHex } from "../core/base/bytes.ts";
import { type OptionNames, refuseUnknown } from "../core/base/options.ts";
import type { DataKeyStore, RowChange } from "../core/contracts/data-key-store.ts";
import { migratePostgres, type PostgresClient, postgresAccess } from "./postgres-access.ts";
import { postgresCuts } from "./postgres-cuts.ts";
import { changesMany, DEFAULT_TABLE, quotedTable, sqlStore } from "./sql-store.ts";
import { flatRow } from "./stored-row.ts";

export type { PostgresClient } from "./postgres-access.ts";
export { type PostgresJobStore, type PostgresJobStoreOptions, postgresJobMigration, postgresJobStore } from "./postgres-jobs.ts";
export {
  type PostgresTenantStore,
  type PostgresTenantStoreOptions,
  postgresTenantMigration,
  postgresTenantStore,
} from "./postgres-tenants.ts";

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
  const access = postgresAccess(client, MIGRATION);
  const store = sqlStore(quotedTable(table), {
    // text on the wire, because clients differ in how they return bytes
    hex: (column) => `encode(${column}, 'hex')`,
    bytes: "decode(?, 'hex')",
    bytesValue: toHex,
    ...access,
  });
  return {
    ...store,
    async compareAndSwapMany(changes, given) {
      given?.signal?.throwIfAborted();
      return await changesMany(access, swapManyStatement(quotedTable(table)), [JSON.stringify(changes.map(changeText))], changes.length);
    },
    cuts: (wanted, given) => postgresCuts(access, quotedTable(table), wanted, given),
    async migrate() {
      await migratePostgres(access, [postgresMigration(table), ...postgresUpgrades(table)]);
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

/** The changes come as JSON: one parameter of text, which no client encodes once more, and one statement for any number of them. */
function swapManyStatement(table: string): string {
  return `update ${table} as held set state = given.state, record = decode(given.record, 'hex'), proof = decode(given.proof, 'hex'), revision = given.revision
from json_to_recordset(?::text::json) as given (place integer, scope text, version integer, state text, record text, proof text, revision integer, expected integer)
where held.scope = given.scope and held.version = given.version and held.revision = given.expected
returning given.place as "changedPlace"`;
}

function changeText({ row, expectedRevision }: RowChange, place: number): object {
  const { scope, version, state, record, proof, revision } = flatRow(row);
  return { place, scope, version, state, record, proof, revision, expected: expectedRevision };
}

const OPTIONS: OptionNames<PostgresStoreOptions> = { client: true, table: true };
const MIGRATION = { table: "postgresMigration", upgrades: "postgresUpgrades" } as const;
