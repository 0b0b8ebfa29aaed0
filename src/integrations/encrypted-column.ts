import { toHex } from "../core/base/bytes.ts";
import { EnvelockError, invalidArgument, malformed } from "../core/base/errors.ts";
import { type OptionNames, refuseUnknown } from "../core/base/options.ts";
import { unwaited } from "../core/base/quietly.ts";
import { parseToken } from "../core/format/token.ts";

/**
 * What an adapter needs of a column's cipher: a `FieldCipher` without `requireRow`, because a column type is not told the row, and
 * without `nullable`, because null never comes this far: it stays NULL, in a column that allows it.
 *
 * @typeParam T what the column holds
 */
export interface TokenCipher<T> {
  encrypt(value: T): string;
  decrypt(token: string): T;
  /**
   * What a field made with `migrating: "plaintext-allowed"` has. Where it is there, plaintext in the column is read too. A cipher of your
   * own around such a field must have it: by it alone an adapter knows that rows may lack their index.
   */
  decryptOrPlaintext?(stored: T | string): { readonly value: T; readonly was: "token" | "plaintext" };
}

/** A cipher, or a function that is asked for it at each value: for the cipher of the tenant whose request this is. */
export type CipherSource<T> = TokenCipher<T> | (() => TokenCipher<T>);

/** A cipher; or one with a blind index, and the column that the index is kept in. */
export type EncryptedColumn<T, Name extends string = string> = CipherSource<T> | IndexedColumn<T, Name>;

export interface IndexedColumn<T, Name extends string = string> {
  /** The cipher of a field with `blindIndex`, or a function that gives it. */
  readonly cipher: IndexingCipher<T> | (() => IndexingCipher<T>);
  /** Text that is written with the encrypted column, and takes its place where it is compared. NULL where that is. */
  readonly indexColumn: Name;
  /**
   * Whether every row has its index. It counts only while the cipher is migrating: until then rows without an index would not be
   * found, nor be seen by a unique constraint, so lookups and, if the index is unique, writes are refused.
   */
  readonly indexFilled?: boolean;
}

/** What an adapter needs of the cipher of a column that is compared by a blind index. */
export interface IndexingCipher<T> extends TokenCipher<T> {
  /** The index to write. */
  blindIndex(value: T): string;
  /** Every index that a row with this value may have. */
  blindIndexAll(value: T): readonly string[];
  /** Whether no two values share an index. Without it the index counts as short. */
  readonly hasUniqueIndex?: boolean;
  /** Whether two values are the same to the index. Without it no lookup by a short index is possible. */
  isSameToIndex?(value: T, other: T): boolean;
}

/** Where a value stands, as far as the adapter is told. */
export interface ColumnPlace {
  readonly table?: string;
  readonly column?: string;
  /** The row's place in the result, counted from 1. */
  readonly row?: number;
}

/** What the adapters take beside the columns. */
export interface AdapterOptions {
  /**
   * Told of each value that was read as plaintext by a migrating cipher. What it throws fails the read. A promise that it returns is not
   * waited for, and its failure is ignored.
   */
  readonly onPlaintext?: (place: ColumnPlace) => unknown;
}

export const ADAPTER_OPTIONS: OptionNames<AdapterOptions> = { onPlaintext: true };

/** A column whose index is at hand: how an adapter works with it. */
export interface ColumnIndex<T> {
  readonly name: string;
  readonly cipher: IndexingCipher<T>;
  readonly isUnique: boolean;
  /** Whether rows may be there whose index is not written yet. */
  readonly hasGaps: boolean;
}

export function cipherOf<T>(source: CipherSource<T>): TokenCipher<T> {
  return typeof source === "function" ? source() : source;
}

/** @returns the cipher that indexes a column; undefined if it has no index */
export function indexOf<T>(column: EncryptedColumn<T>): ColumnIndex<T> | undefined {
  if (!("indexColumn" in column)) return undefined;
  const { cipher: source, indexColumn: name, indexFilled = false } = column;
  const cipher = typeof source === "function" ? source() : source;
  const isUnique = cipher.hasUniqueIndex === true;
  return { cipher, name, isUnique, hasGaps: cipher.decryptOrPlaintext !== undefined && !indexFilled };
}

/** @returns the column of the index, if there is one */
export function indexColumnOf<T>(column: EncryptedColumn<T>): string | undefined {
  return "indexColumn" in column ? column.indexColumn : undefined;
}

export function sourceOf<T>(column: EncryptedColumn<T>): CipherSource<T> {
  return "indexColumn" in column ? column.cipher : column;
}

/** @throws `invalid-argument` unless it is a cipher, a function or an `IndexedColumn` */
export function checkColumn(column: unknown, name: string): void {
  if (typeof column === "function") return;
  if (typeof column !== "object" || column === null) throw noCipher(name);
  if ("encrypt" in column && "decrypt" in column) return;
  refuseUnknown(column, INDEXED_COLUMN, name);
  const { cipher, indexColumn, indexFilled = false } = { cipher: undefined, indexColumn: undefined, ...column };
  if (typeof cipher !== "function" && !(isObject(cipher) && "blindIndex" in cipher)) throw noCipher(name);
  if (typeof indexColumn !== "string" || indexColumn === "") throw invalidArgument(`${name}: indexColumn must name a column`);
  if (typeof indexFilled !== "boolean") throw invalidArgument(`${name}: indexFilled must be true or false`);
}

/** @returns the token and the index to write for a value, null for null. @throws what the cipher throws */
export function writtenColumn<T>(
  column: EncryptedColumn<T>,
  value: T | null,
  name: string,
): { token: string | null; index: string | null } {
  if (value === null) return { token: null, index: null };
  const index = indexOf(column);
  if (index?.isUnique === true && index.hasGaps) throw notFilled(name, "a write: a unique constraint does not see rows without an index");
  return { token: cipherOf(sourceOf(column)).encrypt(value), index: index === undefined ? null : index.cipher.blindIndex(value) };
}

/** @returns the index to compare by. @throws `invalid-argument` if there is none, or rows may lack it */
export function comparedIndex<T>(column: EncryptedColumn<T>, name: string): ColumnIndex<T> {
  const index = indexOf(column);
  if (index === undefined) throw notComparable(name, "a filter: it has no index");
  if (index.hasGaps) throw notFilled(name, "a filter: rows without an index would not be found");
  return index;
}

/**
 * Decrypts what the database gave, or takes it as plaintext where the cipher is migrating.
 *
 * @throws `malformed-envelope` for what is no token, and what `decrypt` throws, with the place and the kid in front
 */
export function decryptedColumn<T>(source: CipherSource<T>, stored: unknown, place: ColumnPlace, { onPlaintext }: AdapterOptions = {}): T {
  try {
    const cipher = cipherOf(source);
    if (cipher.decryptOrPlaintext === undefined) {
      if (typeof stored === "string") return cipher.decrypt(stored);
      throw malformed("an encrypted column gave something else than text");
    }
    if (!isStored<T>(stored)) throw malformed("an encrypted column gave nothing");
    const { value, was } = cipher.decryptOrPlaintext(stored);
    if (was === "plaintext") unwaited(onPlaintext?.(place));
    return value;
  } catch (error) {
    if (!(error instanceof EnvelockError)) throw error;
    const where = placeText(place, stored);
    throw where === "" ? error : new EnvelockError(error.code, `${where}: ${error.message}`, error);
  }
}

/** For a use of an encrypted column that could only ever find nothing, or the wrong rows. */
export function notComparable(column: string, use: string): EnvelockError {
  return invalidArgument(`${column} is encrypted and cannot be used in ${use}`, "Compare a blind index of the value instead.");
}

/** For a filter by an index that several values share, where the adapter cannot drop the rows that have another value. */
export function sharedIndex(column: string, use: string): EnvelockError {
  return invalidArgument(
    `the blind index of ${column} is short, so that values share it, and cannot be used in ${use}: it would hit rows of other values`,
    "Read the rows by it first and go on by their keys, or declare an index of at least 96 bits `unique`.",
  );
}

function notFilled(column: string, use: string): EnvelockError {
  return invalidArgument(
    `${column} is migrating and its index is not said to be filled, so it cannot be used in ${use}`,
    "Write the index of every row, make its column not null, then say `indexFilled: true`.",
  );
}

function noCipher(name: string): EnvelockError {
  return invalidArgument(
    `${name} needs a cipher, a function that gives one, or { cipher, indexColumn } with a cipher that has a blind index`,
  );
}

function placeText({ table, column, row }: ColumnPlace, stored: unknown): string {
  const name = [table, column].filter((part) => part !== undefined).join(".");
  return [name, row === undefined ? "" : `row ${row} of the result`, kidText(stored)].filter((part) => part !== "").join(", ");
}

/** The kid stands in clear in every token, and says which data key is missing. */
function kidText(stored: unknown): string {
  if (typeof stored !== "string") return "";
  try {
    return `data key ${toHex(parseToken(stored).kid)}`;
  } catch (error) {
    if (error instanceof EnvelockError) return "";
    throw error;
  }
}

/** Whether there is something at all; what it is, the cipher checks. */
function isStored<T>(stored: unknown): stored is T | string {
  return stored !== null && stored !== undefined;
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

const INDEXED_COLUMN: OptionNames<IndexedColumn<unknown>> = { cipher: true, indexColumn: true, indexFilled: true };
