import type { CallOptions } from "../core/base/call-options.ts";
import type { Context } from "../core/base/context.ts";
import { invalidArgument } from "../core/base/errors.ts";
import type { JsonValue } from "../core/base/json.ts";
import { type OptionNames, refuseUnknown } from "../core/base/options.ts";
import type { IndexSettings } from "./keyed-index.ts";
import { VALUE_TYPES, type ValueType } from "./values.ts";

/** Which column a cipher is for, and how it treats its values. All but `type` and `nullable` is bound into every token. */
export interface FieldOptions<V extends ValueType = ValueType, N extends boolean = boolean, R extends boolean = boolean>
  extends CallOptions {
  readonly table: string;
  readonly column: string;
  /** What the data key belongs to beside the keyring's context, such as the tenant. Each scope has data keys of its own. */
  readonly scope?: Context;
  /** What the column holds. Default `string`. */
  readonly type?: V;
  /** Whether null stays null, in clear. Without it null is refused. */
  readonly nullable?: N;
  /** Makes it an error, also of types, to leave out the row. */
  readonly requireRow?: R;
  /** How the column's values are indexed blindly, to be looked up. Not for JSON. */
  readonly blindIndex?: IndexSettings;
}

/** A blind index of several columns together. */
export interface CompoundIndexOptions extends IndexSettings, CallOptions {
  readonly table: string;
  /** Tells it from the other compound indexes of the table. */
  readonly name: string;
  /** As of the columns that it is of. */
  readonly scope?: Context;
}

/** What `DataKeys.field` may get, whichever kind of column it is for. */
export interface AnyFieldOptions extends FieldOptions {
  readonly deterministic?: boolean;
  readonly migrating?: "plaintext-allowed";
  readonly parse?: (value: JsonValue) => unknown;
}

/** A column where equal values have equal tokens, so that it can be searched and joined, and shows which values are equal. */
export interface DeterministicFieldOptions<V extends ValueType = ValueType, N extends boolean = boolean> extends FieldOptions<V, N, false> {
  readonly deterministic: true;
}

/** A column that still has plaintext in it, for as long as it is being encrypted. */
export interface MigratingFieldOptions<V extends ValueType = ValueType, N extends boolean = boolean, R extends boolean = boolean>
  extends FieldOptions<V, N, R> {
  readonly migrating: "plaintext-allowed";
}

/** A column of JSON that a function checks, and gives a type, each time it is decrypted. */
export interface ParsedFieldOptions<T, N extends boolean = boolean, R extends boolean = boolean> extends FieldOptions<"json", N, R> {
  readonly type: "json";
  readonly parse: (value: JsonValue) => T;
}

/** What names a row: its primary key, which must never change. 7 and "7" are one row. */
export type RowId = string | number | bigint;

/** What a method of a cipher takes last. */
export type RowArgument = readonly [options?: { readonly row?: RowId }];
/** Of a column with `requireRow`. */
export type RowRequired = readonly [options: { readonly row: RowId }];
/** Of a deterministic column, whose tokens must not depend on the row. */
export type NoRow = readonly [];

/** @throws `invalid-argument` */
export function checkFieldOptions(options: AnyFieldOptions): void {
  refuseUnknown(options, FIELD_OPTIONS, "DataKeys.field");
  const { table, column, type = "string", deterministic, requireRow, parse, blindIndex, migrating } = options;
  checkNames({ table, column });
  if (!VALUE_TYPES.includes(type)) throw invalidArgument(`a column's type is one of ${VALUE_TYPES.join(", ")}`);
  if (migrating !== undefined && migrating !== "plaintext-allowed") throw invalidArgument('migrating is "plaintext-allowed", or left out');
  if (parse !== undefined && typeof parse !== "function") throw invalidArgument("parse is a function");
  if (type !== "json" && parse !== undefined) throw invalidArgument("only a column of JSON has a parse function");
  if (type === "json" && blindIndex !== undefined) throw invalidArgument("a column of JSON has no blind index");
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
 * small letters without braces or `urn:uuid:`, other text composed (Unicode NFC), numbers as text. Use it wherever the row is given, or
 * nowhere: tokens are bound to the text that it gives.
 *
 * @throws `invalid-argument` for what names no row
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
