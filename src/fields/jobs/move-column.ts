import { isBytes } from "../../core/base/bytes.ts";
import { EnvelockError, malformed } from "../../core/base/errors.ts";
import { type OptionNames, refuseUnknown } from "../../core/base/options.ts";
import type { RowArgument, RowId } from "../field-options.ts";
import { COLUMN_JOB_OPTIONS, type ColumnJob, type ColumnRow, overColumn, type ReencryptReport } from "./column-job.ts";
import type { ColumnCipher } from "./reencrypt-table.ts";

/** @typeParam T the type of the column's values */
export interface MoveColumnOptions<T> extends ColumnJob<T, MovedRow<T>> {
  /** Opens the present value: by the old names, the old tenant or the old row. A function finds the cipher for each row. */
  readonly from: ColumnCipher<T> | ((row: MovedRow<T>) => ColumnCipher<T> | Promise<ColumnCipher<T>>);
  /** Encrypts the new value: by the new names, the new tenant or the new row. */
  readonly to: ColumnCipher<T> | ((row: MovedRow<T>) => ColumnCipher<T> | Promise<ColumnCipher<T>>);
}

export interface MovedRow<T> extends ColumnRow<T> {
  /** The row that the new token is bound to, if it differs from `row`. */
  readonly newRow?: RowId;
}

/**
 * Moves the values of a column from one context to another: for a renamed table or column, merged tenants, or rows with new ids. A value
 * that opens in its new place is left alone, so the job may be killed and run again at any point. While it runs, readers have to try both
 * ciphers.
 *
 * @returns what was done: `old` values were moved, `current` values were in their new place already
 * @throws as `reencryptTable`
 * @example
 * ```ts
 * import { type DataKeys, moveColumn, type MoveColumnOptions } from "envelock/fields";
 *
 * declare const dataKeys: DataKeys;
 * declare const table: Pick<MoveColumnOptions<string>, "rows" | "update">;
 *
 * const from = await dataKeys.field({ table: "users", column: "mail" });
 * const to = await dataKeys.field({ table: "users", column: "email" });
 * const { failed } = await moveColumn({ from, to, rows: table.rows, update: table.update });
 * ```
 */
export async function moveColumn<T>(options: MoveColumnOptions<T>): Promise<ReencryptReport> {
  refuseUnknown<MoveColumnOptions<T>>(options, MOVE_OPTIONS, "moveColumn");
  return await overColumn<T, MovedRow<T>>("move-column/1", options, async (stored, row) => {
    const [from, to] = [await cipherFor(options.from, row), await cipherFor(options.to, row)];
    const [oldRow, newRow] = [argumentOf(row.row), argumentOf(row.newRow ?? row.row)];
    if (await opens(to, stored, newRow)) return undefined;
    const value = await openedBy(from, stored, oldRow);
    return { was: "old", to: to.encrypt(value, ...newRow), value };
  });
}

async function cipherFor<T>(cipher: MoveColumnOptions<T>["from"], row: MovedRow<T>): Promise<ColumnCipher<T>> {
  return typeof cipher === "function" ? await cipher(row) : cipher;
}

/** Whether a token opens here. One of another place does not. Any other failure ends the job, because the value could be moved twice. */
async function opens<T>(cipher: ColumnCipher<T>, stored: T | Uint8Array | string, row: RowArgument): Promise<boolean> {
  if (typeof stored !== "string" && !isBytes(stored)) return false;
  try {
    await cipher.decryptAsync(stored, ...row);
    return true;
  } catch (error) {
    if (error instanceof EnvelockError && NOT_HERE.has(error.code)) return false;
    throw error;
  }
}

async function openedBy<T>(cipher: ColumnCipher<T>, stored: T | Uint8Array | string, row: RowArgument): Promise<T> {
  if (typeof stored !== "string" && !isBytes(stored)) throw malformed("the column holds a value that is no token");
  return await cipher.decryptAsync(stored, ...row);
}

function argumentOf(row: RowId | undefined): RowArgument {
  return row === undefined ? [] : [{ row }];
}

const MOVE_OPTIONS: OptionNames<MoveColumnOptions<unknown>> = { ...COLUMN_JOB_OPTIONS, from: true, to: true };
const NOT_HERE: ReadonlySet<string> = new Set(["authentication-failed", "malformed-envelope"]);
