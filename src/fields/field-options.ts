import type { CallOptions } from "../core/base/call-options.ts";
import type { Context } from "../core/base/context.ts";
import { invalidArgument } from "../core/base/errors.ts";
import type { JsonValue } from "../core/base/json.ts";
import { type OptionNames, refuseUnknown } from "../core/base/options.ts";
import type { CborValue } from "./cbor-value.ts";
import type { IndexSettings } from "./keyed-index.ts";
import { VALUE_TYPES, type ValueType } from "./values.ts";

/** The column of a cipher, and the treatment of its values. All but `type` and `nullable` is bound into every token. */
export interface FieldOptions<V extends ValueType = ValueType, N extends boolean = boolean, R extends boolean = boolean>
  extends CallOptions {
  readonly table: string;
  readonly column: string;
  /** The context of the data key beside the keyring's, such as the tenant. Each scope has data keys of its own. */
  readonly scope?: Context;
  /** The type of the column's values. Default `string`. */
  readonly type?: V;
  /** Whether null stays null, in clear. Without it null is refused. */
  readonly nullable?: N;
  /** Whether leaving out the row is an error, at compile time too. */
  readonly requireRow?: R;
  /** The settings of the blind index of the column, for lookups. Not for JSON and CBOR. */
  readonly blindIndex?: IndexSettings;
}

/** A blind index of several columns together. */
export interface CompoundIndexOptions extends IndexSettings, CallOptions {
  readonly table: string;
  /** The name that tells it from the other compound indexes of the table. */
  readonly name: string;
  /** The same as those of its columns. */
  readonly scope?: Context;
}

/** The options of `DataKeys.field` for every kind of column. */
export interface AnyFieldOptions extends FieldOptions {
  readonly deterministic?: boolean;
  readonly migrating?: "plaintext-allowed";
  /** The check of a column of JSON or CBOR. Declared as a method, because the values of the two differ. */
  parse?(value: CborValue): unknown;
}

/** A column where equal values have equal tokens. It can be searched and joined, and shows which values are equal. */
export interface DeterministicFieldOptions<V extends ValueType = ValueType, N extends boolean = boolean> extends FieldOptions<V, N, false> {
  readonly deterministic: true;
}

/** A column that still holds plaintext while it is being encrypted. */
export interface MigratingFieldOptions<V extends ValueType = ValueType, N extends boolean = boolean, R extends boolean = boolean>
  extends FieldOptions<V, N, R> {
  readonly migrating: "plaintext-allowed";
}

/** A column of JSON. A function checks each decrypted value and gives it a type. */
export interface ParsedFieldOptions<T, N extends boolean = boolean, R extends boolean = boolean> extends FieldOptions<"json", N, R> {
  readonly type: "json";
  readonly parse: (value: JsonValue) => T;
}

/** A column of CBOR. A function checks each decrypted value and gives it a type. */
export interface ParsedCborFieldOptions<T, N extends boolean = boolean, R extends boolean = boolean> extends FieldOptions<"cbor", N, R> {
  readonly type: "cbor";
  readonly parse: (value: CborValue) => T;
}

/** The name of a row: its primary key, which must never change. 7 and "7" are one row. */
export type RowId = string | number | bigint;

/** The last argument of a cipher's methods. */
export type RowArgument = readonly [options?: { readonly row?: RowId }];
/** The last argument for a column with `requireRow`. */
export type RowRequired = readonly [options: { readonly row: RowId }];
/** The last argument for a deterministic column: its tokens must not depend on the row. */
export type NoRow = readonly [];

/** @throws `invalid-argument` */
export function checkFieldOptions(options: AnyFieldOptions): void {
  refuseUnknown(options, FIELD_OPTIONS, "DataKeys.field");
  const { table, column, type = "string", deterministic, requireRow, parse, blindIndex, migrating } = options;
  checkNames({ table, column });
  if (!VALUE_TYPES.includes(type)) throw invalidArgument(`a column's type is one of ${VALUE_TYPES.join(", ")}`);
  if (migrating !== undefined && migrating !== "plaintext-allowed") throw invalidArgument('migrating is "plaintext-allowed", or left out');
  if (parse !== undefined && typeof parse !== "function") throw invalidArgument("parse is a function");
  const isTree = type === "json" || type === "cbor";
  if (!isTree && parse !== undefined) throw invalidArgument("only a column of the type json or cbor has a parse function");
  if (isTree && blindIndex !== undefined) throw invalidArgument(`a column of the type ${type} has no blind index`);
  if (type === "cbor" && deterministic === true)
    throw invalidArgument("a column of the type cbor cannot be deterministic: equal objects differ by the order of their keys", INDEX_HINT);
  if (deterministic === true && requireRow === true) throw invalidArgument("a deterministic column cannot be bound to rows");
}

/** @throws `invalid-argument` */
export function checkNames(names: Readonly<Record<string, string>>): void {
  for (const [what, name] of Object.entries(names)) {
    if (typeof name !== "string" || name === "") throw invalidArgument(`${what} must be a name`);
  }
}

/**
 * Makes one spelling of a row's id, or of another name that a value is bound to, for programs that spell it in several ways: a UUID in
 * lower case without braces or `urn:uuid:`, other text composed (Unicode NFC), numbers as text. Use it wherever a row is given, or nowhere:
 * tokens are bound to its result.
 *
 * @throws `invalid-argument` for a value that names no row
 * @example
 * ```ts
 * import { rowKey } from "envelock/fields";
 *
 * rowKey("{F81D4FAE-7DEC-11D0-A765-00A0C91E6BF6}"); // "f81d4fae-7dec-11d0-a765-00a0c91e6bf6"
 * ```
 */
export function rowKey(row: RowId): string {
  const text = rowText(row);
  const uuid = UUID.exec(text)?.[1];
  return uuid === undefined ? text.normalize("NFC") : uuid.toLowerCase();
}

/** @throws `invalid-argument` */
export function rowText(row: RowId): string {
  if (typeof row === "string" && row !== "") return row;
  if (typeof row === "bigint" || Number.isSafeInteger(row)) return String(row);
  throw invalidArgument("a row is named by text, a safe integer or a bigint");
}

const UUID = /^(?:urn:uuid:|\{)?([0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12})\}?$/i;
const INDEX_HINT = "Keep the value to search for in a column of its own, with a blind index.";
const FIELD_OPTIONS: OptionNames<AnyFieldOptions> = {
  table: true,
  column: true,
  scope: true,
  type: true,
  nullable: true,
  requireRow: true,
  blindIndex: true,
  deterministic: true,
  migrating: true,
  parse: true,
  signal: true,
};
