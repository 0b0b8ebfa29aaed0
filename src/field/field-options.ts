import type { CallOptions } from "../call-options.ts";
import type { Context } from "../context.ts";
import { invalidArgument } from "../errors.ts";
import type { JsonValue } from "./json.ts";
import type { ValueType } from "./values.ts";

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
}

/** A column where equal values have equal tokens, so that it can be searched and joined, and shows which values are equal. */
export interface DeterministicFieldOptions<V extends ValueType = ValueType, N extends boolean = boolean> extends FieldOptions<V, N, false> {
  readonly deterministic: true;
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
export function checkedFieldOptions<O extends FieldOptions>(options: O): O {
  const { table, column, scope = {} } = options;
  for (const [name, value] of Object.entries({ table, column })) {
    if (typeof value !== "string" || value === "") throw invalidArgument(`${name} must be a name`);
  }
  const taken = RESERVED.find((name) => Object.hasOwn(scope, name));
  if (taken !== undefined) throw invalidArgument(`"${taken}" is given by the field: a scope cannot have it`);
  return options;
}

/** @throws `invalid-argument` */
export function rowText(row: RowId): string {
  if (typeof row === "string" && row !== "") return row;
  if (typeof row === "bigint" || Number.isSafeInteger(row)) return String(row);
  throw invalidArgument("a row is named by text, a safe integer or a bigint");
}

/** Keys of the context that a field fills. */
const RESERVED = ["table", "column", "row", "form"] as const;
