import { isBytes } from "../../core/base/bytes.ts";
import { EnvelockError, malformed } from "../../core/base/errors.ts";
import { type OptionNames, refuseUnknown } from "../../core/base/options.ts";
import type { FieldCipher } from "../field-cipher.ts";
import type { RowArgument } from "../field-options.ts";
import { MigratingFieldCipher } from "../migrating-cipher.ts";
import {
  type ChangeOf,
  COLUMN_JOB_OPTIONS,
  type ColumnJob,
  type ColumnRow,
  overColumn,
  type Reencrypted,
  type ReencryptReport,
} from "./column-job.ts";

/** @typeParam T the type of the column's values */
export interface ReencryptTableOptions<T> extends ColumnJob<T, ColumnRow<T>> {
  /**
   * The cipher of the column, or a function that finds it for a row, for instance by its tenant. A cipher with `migrating:
   * "plaintext-allowed"` encrypts plaintext; with any other, plaintext is a failure.
   */
  readonly cipher: ColumnCipher<T> | ((row: ColumnRow<T>) => ColumnCipher<T> | Promise<ColumnCipher<T>>);
}

export type ColumnCipher<T> = FieldCipher<T, null>;

/**
 * Encrypts a column under the newest data key, row by row: after a rotation, or for the first time. The job may be killed and run again at
 * any point, and several may run at once. Finished rows are left alone, and a row that another writer changes meanwhile is read again.
 *
 * @returns what was done. A row that failed is tried again at the end. If it fails again, it is in the report and not counted as done
 * @throws `unavailable` with `retryAfterMs` while the newest data key is being announced; `invalid-argument` for bad options, the
 *   checkpoint of another job or `rows` that do not go on; what the ciphers throw for want of a key; what the functions given throw
 * @example
 * ```ts
 * import { type FieldCipher, reencryptTable } from "envelock/fields";
 * import { Pool } from "pg";
 *
 * export async function reencryptEmails(cipher: FieldCipher<string>, pool: Pool) {
 *   return await reencryptTable<string>({
 *     cipher,
 *     rows: async (after, limit) => {
 *       const text = "select id as key, email as stored from users where id > $1 order by id limit $2";
 *       return (await pool.query(text, [after ?? 0, limit])).rows;
 *     },
 *     update: async ({ key, from, to }) => {
 *       const { rowCount } = await pool.query("update users set email = $1 where id = $2 and email = $3", [to, key, from]);
 *       return rowCount === 1;
 *     },
 *   });
 * }
 * ```
 */
export async function reencryptTable<T>(options: ReencryptTableOptions<T>): Promise<ReencryptReport> {
  refuseUnknown<ReencryptTableOptions<T>>(options, REENCRYPT_OPTIONS, "reencryptTable");
  return await overColumn<T, ColumnRow<T>>("reencrypt-table/1", options, reencryption(options.cipher));
}

/** Returns the decision of `reencryptTable` on a value. */
export function reencryption<T>(cipher: ReencryptTableOptions<T>["cipher"]): ChangeOf<T, ColumnRow<T>> {
  return async (stored, row) => {
    const own = typeof cipher === "function" ? await cipher(row) : cipher;
    return await changeOf(stored, own, row.row === undefined ? [] : [{ row: row.row }]);
  };
}

/** Returns the change that a value needs; undefined if it needs none. */
async function changeOf<T>(
  stored: T | Uint8Array | string,
  cipher: ColumnCipher<T>,
  row: RowArgument,
): Promise<Reencrypted<T> | undefined> {
  if (cipher instanceof MigratingFieldCipher && !isToken(stored, cipher)) {
    const { value } = cipher.decryptOrPlaintext(stored, ...row);
    return { was: "plaintext", to: cipher.encrypt(value, ...row), value };
  }
  if (typeof stored !== "string" && !isBytes(stored)) throw malformed("the column holds a value that is no token");
  const value = await cipher.decryptAsync(stored, ...row); // fetches a key version that is not loaded
  if (cipher.isCurrent(stored)) return undefined; // it opens too
  return { was: "old", to: cipher.reencrypt(stored, ...row), value };
}

/** Whether a value has the form of a token. The cipher refuses a value that only begins like one. */
function isToken(stored: unknown, cipher: ColumnCipher<unknown>): boolean {
  if (typeof stored !== "string" && !isBytes(stored)) return false;
  try {
    cipher.isCurrent(stored);
    return true;
  } catch (error) {
    if (error instanceof EnvelockError && error.code === "malformed-envelope") return false;
    throw error;
  }
}

const REENCRYPT_OPTIONS: OptionNames<ReencryptTableOptions<unknown>> = { ...COLUMN_JOB_OPTIONS, cipher: true };
