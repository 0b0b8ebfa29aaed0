import type { CipherSource } from "./encrypted-column.ts";
import { checkJsonColumn, indexSql, isTokenSql, JSON_COLUMN_OPTIONS, type JsonColumnOptions, jsonOf, valueIn } from "./json-column.ts";

export type { AdapterOptions, CipherSource, ColumnPlace, TokenCipher } from "./encrypted-column.ts";
export type { JsonColumnOptions } from "./json-column.ts";

/**
 * Options of a column of PostgreSQL whose values are encrypted on their way in and decrypted on their way out: for `@Column(...)`, or
 * spread into a column of an `EntitySchema`.
 *
 * It is stored as `json` for two reasons. PostgreSQL compares no json, so a filter, join, sort or `distinct` on it is an error of the
 * database, in any query, and never an answer without rows. And TypeORM compares json columns by their values when it looks for
 * changes; any other column would be encrypted again, and so seem changed, each time that its entity is saved.
 *
 * A row is found by a blind index. With `indexed` the column holds it too, and a second column is generated from it by
 * {@link indexIn}, so that no write can forget it. {@link isToken} is a constraint that keeps plaintext out.
 *
 * @param cipher or a function that gives it, asked for each value
 * @throws `invalid-argument` for unknown options
 * @example
 * ```ts
 * import type { FieldCipher } from "envelock/fields";
 * import { encrypted, indexIn, isToken } from "envelock/typeorm";
 * import { EntitySchema } from "typeorm";
 *
 * interface User {
 *   id: number;
 *   email: string;
 *   readonly emailIndex: string | null;
 * }
 *
 * export const usersOf = (email: FieldCipher<string>) =>
 *   new EntitySchema<User>({
 *     name: "User",
 *     columns: { id: { type: "int", primary: true }, email: encrypted(email, { indexed: true }), emailIndex: indexIn("email") },
 *     checks: [{ expression: isToken("email") }],
 *   });
 * ```
 * @see docs/recipes/typeorm.md
 */
export function encrypted<T>(cipher: CipherSource<T>, options: JsonColumnOptions = {}): EncryptedColumnOptions<T> {
  checkJsonColumn(options, JSON_COLUMN_OPTIONS);
  return {
    type: "json",
    transformer: {
      to: (value) => (isNothing(value) ? value : jsonOf(cipher, value, options.indexed ?? false)),
      from: (stored) => (isNothing(stored) ? stored : valueIn(cipher, stored, {}, options)),
    },
  };
}

/**
 * Options of the column that holds the blind index of an `indexed` one. The database generates it; it cannot be written.
 *
 * @param column the name of the encrypted column in the database
 * @example
 * ```ts
 * import { encrypted, indexIn } from "envelock/typeorm";
 * import type { FieldCipher } from "envelock/fields";
 *
 * export const columnsOf = (email: FieldCipher<string>) => ({
 *   email: encrypted(email, { indexed: true }),
 *   emailIndex: { ...indexIn("email"), unique: true },
 * });
 * ```
 */
export function indexIn(column: string): IndexColumnOptions {
  return { type: "text", nullable: true, generatedType: "STORED", asExpression: indexSql(quoted(column)), insert: false, update: false };
}

/**
 * The condition of a constraint, for `checks` or `@Check`: true for null and for what `encrypted` writes, false for plaintext.
 *
 * @param column the name of the encrypted column in the database
 * @example
 * ```ts
 * import { isToken } from "envelock/typeorm";
 *
 * export const checks = [{ expression: isToken("email") }];
 * ```
 */
export function isToken(column: string): string {
  return isTokenSql(quoted(column));
}

export interface EncryptedColumnOptions<T> {
  readonly type: "json";
  /** What TypeORM calls a `ValueTransformer`. */
  readonly transformer: {
    to(value: T | null | undefined): unknown;
    from(stored: unknown): T | null | undefined;
  };
}

export interface IndexColumnOptions {
  readonly type: "text";
  readonly nullable: true;
  readonly generatedType: "STORED";
  readonly asExpression: string;
  readonly insert: false;
  readonly update: false;
}

/** NULL stays NULL, and what an update leaves out is left out. */
function isNothing(value: unknown): value is null | undefined {
  return value === null || value === undefined;
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
