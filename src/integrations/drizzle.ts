import { type SQL, type SQLWrapper, sql } from "drizzle-orm";
import { customType, type PgCustomColumnBuilder } from "drizzle-orm/pg-core";
import type { OptionNames } from "../core/base/options.ts";
import type { CipherSource } from "./encrypted-column.ts";
import { checkJsonColumn, indexSql, isTokenSql, JSON_COLUMN_OPTIONS, type JsonColumnOptions, jsonOf, valueIn } from "./json-column.ts";

export type { AdapterOptions, CipherSource, ColumnPlace, TokenCipher } from "./encrypted-column.ts";
export type { JsonColumnOptions } from "./json-column.ts";

export interface DrizzleColumnOptions extends JsonColumnOptions {
  /** The name of the column in the database, if it is not that of the property. */
  readonly name?: string;
}

/**
 * A column of PostgreSQL whose values are encrypted on their way in and decrypted on their way out. Its type is what the cipher
 * takes; `.notNull()` and the other methods of a column are chained to it.
 *
 * It is stored as `json`, because PostgreSQL compares no json: a filter, join, sort or `distinct` on it is an error of the database,
 * in any query, and never an answer without rows. A row is found by a blind index. With `indexed` the column holds it too, and a
 * second column is generated from it by {@link indexIn}, so that no write can forget it. {@link isToken} is a constraint that keeps
 * plaintext out, which an update by an expression or a copy of another column would bring in.
 *
 * @param cipher or a function that gives it, asked for each value
 * @param options or the name of the column alone
 * @throws `invalid-argument` for unknown options
 * @example
 * ```ts
 * import type { SQL } from "drizzle-orm";
 * import { check, pgTable, serial, text } from "drizzle-orm/pg-core";
 * import { encrypted, indexIn, isToken } from "envelock/drizzle";
 * import type { FieldCipher } from "envelock/fields";
 *
 * export function usersOf(email: FieldCipher<string>) {
 *   const users = pgTable(
 *     "users",
 *     {
 *       id: serial().primaryKey(),
 *       email: encrypted(email, { indexed: true }).notNull(),
 *       emailIndex: text("email_index").generatedAlwaysAs((): SQL => indexIn(users.email)).unique(),
 *     },
 *     (table) => [check("email_is_token", isToken(table.email))],
 *   );
 *   return users;
 * }
 * ```
 * @see docs/recipes/drizzle.md
 */
export function encrypted<T>(cipher: CipherSource<T>, options: DrizzleColumnOptions | string = {}): EncryptedColumnBuilder<T> {
  const { name = "", ...column } = typeof options === "string" ? { name: options } : options;
  checkJsonColumn(typeof options === "string" ? {} : options, DRIZZLE_COLUMN_OPTIONS);
  const place = name === "" ? {} : { column: name };
  return customType<{ data: T; driverData: unknown }>({
    dataType: () => "json",
    toDriver: (value) => JSON.stringify(jsonOf(cipher, value, column.indexed ?? false)),
    fromDriver: (stored) => valueIn(cipher, stored, place, column),
  })(name);
}

/**
 * The blind index that stands in an `indexed` column, for `generatedAlwaysAs` of a column of text.
 *
 * @example
 * ```ts
 * import type { SQL } from "drizzle-orm";
 * import { pgTable, text } from "drizzle-orm/pg-core";
 * import { encrypted, indexIn } from "envelock/drizzle";
 * import type { FieldCipher } from "envelock/fields";
 *
 * export function usersOf(email: FieldCipher<string>) {
 *   const users = pgTable("users", {
 *     email: encrypted(email, { indexed: true }).notNull(),
 *     emailIndex: text("email_index").generatedAlwaysAs((): SQL => indexIn(users.email)),
 *   });
 *   return users;
 * }
 * ```
 */
export function indexIn(column: SQLWrapper): SQL {
  return withColumn(indexSql, column);
}

/**
 * The condition of a constraint: true for null and for what `encrypted` writes, false for plaintext.
 *
 * @example
 * ```ts
 * import { check, pgTable } from "drizzle-orm/pg-core";
 * import { encrypted, isToken } from "envelock/drizzle";
 * import type { FieldCipher } from "envelock/fields";
 *
 * export const notesOf = (note: FieldCipher<string>) =>
 *   pgTable("notes", { note: encrypted(note).notNull() }, (table) => [check("note_is_token", isToken(table.note))]);
 * ```
 */
export function isToken(column: SQLWrapper): SQL {
  return withColumn(isTokenSql, column);
}

export type EncryptedColumnBuilder<T> = PgCustomColumnBuilder<{
  name: string;
  dataType: "custom";
  columnType: "PgCustomColumn";
  data: T;
  driverParam: unknown;
  enumValues: undefined;
}>;

function withColumn(write: (column: string) => string, column: SQLWrapper): SQL {
  const parts = write("\n").split("\n");
  return sql.join(parts.flatMap((part, at) => (at === 0 ? [sql.raw(part)] : [column, sql.raw(part)])));
}

const DRIZZLE_COLUMN_OPTIONS: OptionNames<DrizzleColumnOptions> = { ...JSON_COLUMN_OPTIONS, name: true };
