import type { CallOptions } from "../core/base/call-options.ts";
import { type EnvelockError, invalidArgument } from "../core/base/errors.ts";
import type { DataKeyStore, RowChange } from "../core/contracts/data-key-store.ts";
import { scannedRow, storedRow } from "./stored-row.ts";

/** A way to a database. `Bytes` is the type of bytes of its client. */
export interface SqlAccess<Bytes> {
  /**
   * Runs one statement, with `?` in place of its parameters.
   *
   * @returns its rows, also those of `returning`
   */
  run(statement: string, values: readonly (string | number | Bytes | null)[]): Promise<readonly unknown[]>;
  /** Whether the change of the last statement can still be rolled back. */
  isInTransaction(): Promise<boolean>;
}

/** The differences between databases. */
export interface SqlDialect<Bytes> extends SqlAccess<Bytes> {
  /** The expression for a column of bytes as lower-case hex. Null stays null. */
  hex(column: string): string;
  /** The expression for a parameter that `bytesValue` made. */
  readonly bytes: string;
  bytesValue(bytes: Uint8Array): Bytes;
}

/** Makes the store over a table. `table` has the form of `quotedTable`. */
export function sqlStore<Bytes>(table: string, dialect: SqlDialect<Bytes>): DataKeyStore {
  const { hex, bytes, bytesValue, run } = dialect;
  type Values = readonly (string | number | Bytes | null)[];
  const columns = `scope, version, kid, state, ${hex("record")} as record, ${hex("proof")} as proof, created_at_ms as "createdAtMs", revision`;
  const rows = async (condition: string, values: Values, options: CallOptions = {}): Promise<readonly unknown[]> => {
    options.signal?.throwIfAborted();
    return await run(`select ${columns} from ${table} where ${condition}`, values);
  };
  const value = (bytesOrNull: Uint8Array | null): Bytes | null => bytesOrNull && bytesValue(bytesOrNull);
  const changes = (statement: string, values: Values, options?: CallOptions): Promise<boolean> =>
    changesOne(dialect, statement, values, options);
  return {
    byKid: async (scope, kid, options) => (await rows("scope = ? and kid = ?", [scope, kid], options)).map(storedRow)[0],
    list: async (scope, options) => (await rows("scope = ?", [scope], options)).map(storedRow),
    insertIfAbsent: ({ scope, version, kid, state, record, proof, createdAtMs, revision }, options) =>
      changes(
        `insert into ${table} (scope, version, kid, state, record, proof, created_at_ms, revision) values (?, ?, ?, ?, ${bytes}, ${bytes}, ?, ?) on conflict do nothing`,
        [scope, version, kid, state, value(record), value(proof), createdAtMs, revision],
        options,
      ),
    compareAndSwap: (row, expectedRevision, options) => changes(...swapStatement(table, dialect, { row, expectedRevision }), options),
    scan: async ({ after = BEFORE_ALL, limit }, options) =>
      (await rows("(scope, version) > (?, ?) order by scope, version limit ?", [after.scope, after.version, limit], options)).map(
        scannedRow,
      ),
  };
}

/** The statement of `compareAndSwap`, and its values. */
export function swapStatement<Bytes>(
  table: string,
  { bytes, bytesValue }: Pick<SqlDialect<Bytes>, "bytes" | "bytesValue">,
  { row: { scope, version, state, record, proof, revision }, expectedRevision }: RowChange,
): [statement: string, values: (string | number | Bytes | null)[]] {
  return [
    `update ${table} set state = ?, record = ${bytes}, proof = ${bytes}, revision = ? where scope = ? and version = ? and revision = ?`,
    [state, record && bytesValue(record), proof && bytesValue(proof), revision, scope, version, expectedRevision],
  ];
}

/**
 * Runs a statement that changes at most one row. Clients count changed rows in different ways, so the statement returns its row.
 *
 * @returns whether it changed the row
 * @throws `invalid-argument` if the change could still be rolled back
 */
export async function changesOne<Bytes>(
  { run, isInTransaction }: SqlAccess<Bytes>,
  statement: string,
  values: readonly (string | number | Bytes | null)[],
  options: CallOptions = {},
): Promise<boolean> {
  options.signal?.throwIfAborted();
  const isChanged = isOneChange(await run(`${statement}${CHANGED_REVISION}`, values));
  if (isChanged && (await isInTransaction())) throw inTransaction();
  return isChanged;
}

/** Makes the error for a change that could still be rolled back. */
export function inTransaction(): EnvelockError {
  return invalidArgument(
    "the store's client is in a transaction: a rollback would take back what this process already relies on, such as a data key",
    "Give the store a pool or a connection of its own. Roll the transaction back: what the store wrote in it was not used.",
  );
}

/**
 * Runs a statement that makes many changes and returns the place of each that it made, as `changedPlace`.
 *
 * @returns for each place from 0 to `count`, whether its change was made
 * @throws `invalid-argument` if the changes could still be rolled back, and for rows of another shape
 */
export async function changesMany<Bytes>(
  { run, isInTransaction }: SqlAccess<Bytes>,
  statement: string,
  values: readonly (string | number | Bytes | null)[],
  count: number,
): Promise<readonly boolean[]> {
  const places = new Set((await run(statement, values)).map(changedPlace));
  if (places.size > 0 && (await isInTransaction())) throw inTransaction();
  return Array.from({ length: count }, (_, place) => places.has(place));
}

function changedPlace(row: unknown): number {
  if (typeof row === "object" && row !== null && "changedPlace" in row) return Number(row.changedPlace);
  throw otherShape();
}

/**
 * Whether a statement changed its one row.
 *
 * @throws `invalid-argument` for rows of another shape, as the `query` of an ORM gives them: they would report changes that never happened
 */
export function isOneChange(rows: readonly unknown[]): boolean {
  if (rows.length === 0) return false;
  const [row] = rows;
  if (rows.length === 1 && typeof row === "object" && row !== null && "changedRevision" in row) return true;
  throw otherShape();
}

function otherShape(): EnvelockError {
  return invalidArgument(
    "the client does not give the rows that a statement returned, as `{ rows }`",
    "Hand in a Pool or Client of the driver itself; the `query` of an ORM gives other shapes.",
  );
}

/**
 * Quotes the name of a table for a statement.
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

/** Lets a statement return the row that it changed, for `isOneChange`. */
export const CHANGED_REVISION = ' returning revision as "changedRevision"';
export const DEFAULT_TABLE = "envelock_data_keys";

const TABLE = /^([a-z_][a-z0-9_]{0,62}\.)?[a-z_][a-z0-9_]{0,62}$/;
const BEFORE_ALL = { scope: "", version: 0 } as const; // versions begin at 1
