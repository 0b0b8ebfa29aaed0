import type { CallOptions } from "../core/base/call-options.ts";
import { invalidArgument } from "../core/base/errors.ts";
import type { DataKeyStore, StoredDataKey } from "../core/contracts/data-key-store.ts";
import { storedRow } from "./stored-row.ts";

/** What is different from one database to the next. `Bytes` is what a record is to its client. */
export interface SqlDialect<Bytes> {
  /** Lower-case hex of a column of bytes; null stays null. */
  hex(column: string): string;
  /** Bytes of a parameter made by `recordValue`. */
  readonly bytes: string;
  recordValue(record: Uint8Array): Bytes;
  /**
   * Runs one statement, whose parameters stand as `?`.
   *
   * @returns its rows, also those of `returning`
   */
  run(statement: string, values: readonly (string | number | Bytes | null)[]): Promise<readonly unknown[]>;
}

/** The store over a table, which `table` names in the form of `quotedTable`. */
export function sqlStore<Bytes>(table: string, { hex, bytes, recordValue, run }: SqlDialect<Bytes>): DataKeyStore {
  type Values = readonly (string | number | Bytes | null)[];
  const select = `select scope, version, kid, state, ${hex("record")} as record, created_at_ms as "createdAtMs", revision from ${table}`;
  const rows = async (condition: string, values: Values, options: CallOptions = {}): Promise<readonly StoredDataKey[]> => {
    options.signal?.throwIfAborted();
    return (await run(`${select} where ${condition}`, values)).map(storedRow);
  };
  const changes = async (statement: string, values: Values, options: CallOptions = {}): Promise<boolean> => {
    options.signal?.throwIfAborted();
    return (await run(`${statement} returning version`, values)).length > 0; // each client counts changes in its own way
  };
  return {
    byKid: async (scope, kid, options) => (await rows("scope = ? and kid = ?", [scope, kid], options))[0],
    list: (scope, options) => rows("scope = ?", [scope], options),
    insertIfAbsent: ({ scope, version, kid, state, record, createdAtMs, revision }, options) =>
      changes(
        `insert into ${table} (scope, version, kid, state, record, created_at_ms, revision) values (?, ?, ?, ?, ${bytes}, ?, ?) on conflict do nothing`,
        [scope, version, kid, state, record && recordValue(record), createdAtMs, revision],
        options,
      ),
    compareAndSwap: ({ scope, version, state, record, revision }, expectedRevision, options) =>
      changes(
        `update ${table} set state = ?, record = ${bytes}, revision = ? where scope = ? and version = ? and revision = ?`,
        [state, record && recordValue(record), revision, scope, version, expectedRevision],
        options,
      ),
    scan: ({ after = BEFORE_ALL, limit }, options) =>
      rows("(scope, version) > (?, ?) order by scope, version limit ?", [after.scope, after.version, limit], options),
  };
}

/**
 * A table's name as it stands in a statement.
 *
 * @param table with or without a schema before a dot
 * @throws `invalid-argument` for anything but lower-case letters, digits and `_`
 */
export function quotedTable(table: string): string {
  if (!TABLE.test(table))
    throw invalidArgument(`table is "${table}", expected lower-case letters, digits and _, after a schema and a dot or not`);
  return table
    .split(".")
    .map((part) => `"${part}"`)
    .join(".");
}

export const DEFAULT_TABLE = "envelock_data_keys";

const TABLE = /^([a-z_][a-z0-9_]{0,62}\.)?[a-z_][a-z0-9_]{0,62}$/;
const BEFORE_ALL = { scope: "", version: 0 } as const; // versions begin at 1
