import { customType, type PgCustomColumnBuilder } from "drizzle-orm/pg-core";
import { type CipherSource, cipherOf, decryptedColumn } from "./encrypted-column.ts";

export type { CipherSource, TokenCipher } from "./encrypted-column.ts";

/**
 * A column of PostgreSQL whose values are encrypted on their way in and decrypted on their way out. Its type is what the cipher
 * takes; `.notNull()` and the rest are chained as ever.
 *
 * It is stored as `json`, a token in quotes, because PostgreSQL compares no json: a filter, join, sort or `distinct` on it is an error
 * of the database, in any query, and never an answer without rows. To find a row by its value, compare a blind index in a column of
 * its own.
 *
 * @param cipher or a function that gives it, asked for each value
 * @param name of the column in the database, if it is not that of the property
 * @see docs/recipes/drizzle.md
 */
export function encrypted<T>(cipher: CipherSource<T>, name = ""): EncryptedColumnBuilder<T> {
  const column = customType<{ data: T; driverData: unknown }>({
    dataType: () => "json",
    toDriver: (value) => `"${cipherOf(cipher).encrypt(value)}"`, // base64url: nothing in it needs escaping
    fromDriver: (stored) => decryptedColumn(cipher, stored, {}),
  });
  return column(name);
}

export type EncryptedColumnBuilder<T> = PgCustomColumnBuilder<{
  name: string;
  dataType: "custom";
  columnType: "PgCustomColumn";
  data: T;
  driverParam: unknown;
  enumValues: undefined;
}>;
