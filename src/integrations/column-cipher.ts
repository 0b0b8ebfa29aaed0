import { EnvelockError, invalidArgument } from "../core/base/errors.ts";

/**
 * What an adapter needs of a column: a `FieldCipher` without `requireRow`, because a column type is not told the row, and without
 * `nullable`, because null never comes this far: it stays NULL, in a column that allows it.
 *
 * @typeParam T what the column holds
 */
export interface ColumnCipher<T> {
  encrypt(value: T): string;
  decrypt(token: string): T;
}

/** A cipher; or a function that says which one is meant now, such as that of the tenant whose request this is. */
export type CipherSource<T> = ColumnCipher<T> | (() => ColumnCipher<T>);

export function cipherOf<T>(source: CipherSource<T>): ColumnCipher<T> {
  return typeof source === "function" ? source() : source;
}

/** @throws `malformed-envelope` for what the database gave in place of a token, and what `decrypt` throws */
export function decryptedColumn<T>(source: CipherSource<T>, stored: unknown): T {
  if (typeof stored !== "string") throw new EnvelockError("malformed-envelope", "an encrypted column gave something else than text");
  return cipherOf(source).decrypt(stored);
}

/** For a use of an encrypted column that could only ever find nothing, or the wrong rows. */
export function notComparable(column: string, use: string): EnvelockError {
  return invalidArgument(`${column} is encrypted and cannot be used in ${use}`, "Compare a blind index of the value instead.");
}

/** A cipher; or one with a blind index, and the column that the index is kept in. */
export type EncryptedColumn<T, Name extends string = string> = CipherSource<T> | IndexedColumn<T, Name>;

export interface IndexedColumn<T, Name extends string = string> {
  /** Of a field with `blindIndex`, or a function that gives it. */
  readonly cipher: IndexingCipher<T> | (() => IndexingCipher<T>);
  /** Written with the encrypted column, and takes its place where it is compared. Text; NULL where that is. */
  readonly indexColumn: Name;
}

/** What an adapter needs of a column that is compared by a blind index. */
export interface IndexingCipher<T> extends ColumnCipher<T> {
  /** The index to write. */
  blindIndex(value: T): string;
  /** Every index that a row with this value may have. */
  blindIndexAll(value: T): readonly string[];
}

/** The cipher that indexes a column, if it is indexed. */
export function indexOf<T>(column: EncryptedColumn<T>): { readonly cipher: IndexingCipher<T>; readonly name: string } | undefined {
  if (!("indexColumn" in column)) return undefined;
  const { cipher, indexColumn } = column;
  return { cipher: typeof cipher === "function" ? cipher() : cipher, name: indexColumn };
}

/** The column of the index, if there is one. */
export function indexColumnOf<T>(column: EncryptedColumn<T>): string | undefined {
  return "indexColumn" in column ? column.indexColumn : undefined;
}

export function sourceOf<T>(column: EncryptedColumn<T>): CipherSource<T> {
  return "indexColumn" in column ? column.cipher : column;
}
