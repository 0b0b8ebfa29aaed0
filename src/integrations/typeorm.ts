import type { ValueTransformer } from "typeorm";
import { type CipherSource, cipherOf, decryptedColumn } from "./encrypted-column.ts";

export type { CipherSource, TokenCipher } from "./encrypted-column.ts";

/**
 * Options of a column of PostgreSQL whose values are encrypted on their way in and decrypted on their way out: for `@Column(...)`, or
 * spread into a column of an `EntitySchema`.
 *
 * It is stored as `json`, a token in quotes, for two reasons. PostgreSQL compares no json, so a filter, join, sort or `distinct` on it
 * is an error of the database, in any query, and never an answer without rows. And TypeORM compares json columns by their values
 * when it looks for changes; any other column would be encrypted again, and so seem changed, each time that its entity is saved.
 *
 * @param cipher or a function that gives it, asked for each value
 * @see docs/recipes/typeorm.md
 */
export function encrypted<T>(cipher: CipherSource<T>): EncryptedColumnOptions {
  return {
    type: "json",
    transformer: {
      to: (value: T | null | undefined) => (isNothing(value) ? value : cipherOf(cipher).encrypt(value)),
      from: (stored: unknown) => (isNothing(stored) ? stored : decryptedColumn(cipher, stored, {})),
    },
  };
}

export interface EncryptedColumnOptions {
  readonly type: "json";
  readonly transformer: ValueTransformer;
}

/** NULL stays NULL, and what an update leaves out is left out. */
function isNothing(value: unknown): value is null | undefined {
  return value === null || value === undefined;
}
