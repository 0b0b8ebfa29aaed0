import { type OwnedBytes, wiping } from "../core/base/bytes.ts";
import { EnvelockError, invalidArgument } from "../core/base/errors.ts";
import type { BlindIndexValue } from "./blind-index.ts";
import { bytesOfToken, type ColumnTokens } from "./column-tokens.ts";
import type { RowArgument, RowRequired } from "./field-options.ts";
import type { KeyedIndex } from "./keyed-index.ts";
import { type RecordColumns, recordCodec } from "./record.ts";
import type { Codec, ValueType, ValueTypes } from "./values.ts";

/** The parts that `DataKeys.field` makes a cipher of. */
export interface CipherParts<T> {
  readonly tokens: ColumnTokens;
  readonly codec: Codec<T>;
  readonly isNullable: boolean;
  readonly index: KeyedIndex | undefined;
}

/**
 * Encrypts and decrypts the values of one column, synchronously: the data keys are in memory.
 *
 * A token is bound to scope, table and column, and to the row when one is given: it opens nowhere else. The last argument of a method is `{
 * row }`, the primary key of the value's row.
 *
 * @typeParam T the type of the column's values
 * @typeParam Null `null` if the column is nullable, else `never`
 * @typeParam Row the last argument of the methods
 */
export class FieldCipher<T, Null extends null = never, Row extends RowArgument = RowArgument> {
  readonly #parts: CipherParts<T>;

  /** Called by `DataKeys.field`, which checks the options. */
  constructor(parts: CipherParts<T>) {
    this.#parts = parts;
  }

  /**
   * Encrypts a value to a token as text: base64url of `n + 57` bytes, of `n + 33` in a deterministic column.
   *
   * @throws `invalid-argument` for a value of another type, one that is a token already, or a missing row; `key-shredded`;
   *   `unavailable` if the store could not be read for too long; `provider-failure` if it has lost what it had; `closed`
   */
  encrypt(value: T, ...options: Row): string;
  encrypt(value: T | Null, ...options: Row): string | Null;
  encrypt(value: T | null, ...options: Row): string | null {
    if (this.#isNoValue(value)) return null;
    const { tokens, codec } = this.#parts;
    this.#requireNoToken(value);
    const token = codec.ofText !== undefined && typeof value === "string" ? tokens.encryptString(value, options[0]) : undefined;
    return token ?? codec.withBytes(value, (plaintext) => tokens.encryptText(plaintext, options[0]));
  }

  /** Encrypts like `encrypt`, to the bytes of the token in their own ArrayBuffer: for binary columns. */
  encryptBytes(value: T, ...options: Row): OwnedBytes;
  encryptBytes(value: T | Null, ...options: Row): OwnedBytes | Null;
  encryptBytes(value: T | null, ...options: Row): OwnedBytes | null {
    if (this.#isNoValue(value)) return null;
    this.#requireNoToken(value);
    return this.#parts.codec.withBytes(value, (plaintext) => this.#parts.tokens.encrypt(plaintext, options[0]));
  }

  /**
   * Decrypts a token, given as text or bytes.
   *
   * @throws `malformed-envelope` for what is no token, such as plaintext; `authentication-failed` if it was changed or belongs to
   *   another place; `key-shredded`; `unavailable` if its key version is not loaded, see `decryptAsync`; `invalid-argument`, `closed`
   */
  decrypt(token: Uint8Array | string, ...options: Row): T;
  decrypt(token: Uint8Array | string | Null, ...options: Row): T | Null;
  decrypt(token: Uint8Array | string | null, ...options: Row): T | null {
    if (token === null) return this.#noValue();
    const { tokens, codec } = this.#parts;
    const text = codec.ofText !== undefined && typeof token === "string" ? tokens.decryptString(token, options[0]) : undefined;
    if (codec.ofText !== undefined && text !== undefined) return codec.ofText(text);
    return this.#valueOf(tokens.decrypt(bytesOfToken(token), options[0]));
  }

  /** Decrypts like `decrypt`, a token of any key version that the store has. @throws also what the store and the providers throw */
  async decryptAsync(token: Uint8Array | string, ...options: Row): Promise<T>;
  async decryptAsync(token: Uint8Array | string | Null, ...options: Row): Promise<T | Null>;
  async decryptAsync(token: Uint8Array | string | null, ...options: Row): Promise<T | null> {
    if (token === null) return this.#noValue();
    return this.#valueOf(await this.#parts.tokens.decryptAsync(bytesOfToken(token), options[0]));
  }

  /**
   * Encrypts many values: `encryptAll([["a", { row: 1 }], ["b", { row: 2 }]])`.
   *
   * @param calls the arguments of each `encrypt`
   * @returns the tokens in the same order; none if one fails
   * @throws as `encrypt`, with the index of the failed item
   */
  encryptAll(calls: readonly (readonly [value: T, ...options: Row])[]): readonly string[];
  encryptAll(calls: readonly (readonly [value: T | Null, ...options: Row])[]): readonly (string | Null)[];
  encryptAll(calls: readonly (readonly [value: T | Null, ...options: Row])[]): readonly (string | Null)[] {
    return itemsOf(calls, "encryptAll").map(([value, ...options], at) =>
      this.#placed(at, undefined, options[0], () => this.encrypt(value, ...options)),
    );
  }

  /** Decrypts many tokens. @throws as `decrypt`, and names item, table, column, row and data key */
  decryptAll(calls: readonly (readonly [token: Uint8Array | string, ...options: Row])[]): readonly T[];
  decryptAll(calls: readonly (readonly [token: Uint8Array | string | Null, ...options: Row])[]): readonly (T | Null)[];
  decryptAll(calls: readonly (readonly [token: Uint8Array | string | Null, ...options: Row])[]): readonly (T | Null)[] {
    return itemsOf(calls, "decryptAll").map(([token, ...options], at) =>
      this.#placed(at, token, options[0], () => this.decrypt(token, ...options)),
    );
  }

  /** Decrypts like `decryptAll`, with `decryptAsync`: each missing key version is fetched once. */
  async decryptAllAsync(calls: readonly (readonly [token: Uint8Array | string, ...options: Row])[]): Promise<readonly T[]>;
  async decryptAllAsync(calls: readonly (readonly [token: Uint8Array | string | Null, ...options: Row])[]): Promise<readonly (T | Null)[]>;
  async decryptAllAsync(calls: readonly (readonly [token: Uint8Array | string | Null, ...options: Row])[]): Promise<readonly (T | Null)[]> {
    return await Promise.all(
      itemsOf(calls, "decryptAllAsync").map(async ([token, ...options], at) => {
        try {
          return await this.decryptAsync(token, ...options);
        } catch (error) {
          return this.#placed(at, token, options[0], () => {
            throw error;
          });
        }
      }),
    );
  }

  /**
   * Makes a cipher for several columns of a row in one token, which costs about as much as one of them: `record(["email", "phone"])` for
   * text, `record({ email: "string", born: "date" })` for any types. A column that is null or undefined is left out, and comes back as
   * null. The token is stored in this cipher's column, and never passes for a value of its own.
   *
   * @param columns may grow later; a token with a column that is not listed is refused, so that none is lost in silence
   * @throws `invalid-argument`
   */
  record<C extends string>(columns: readonly C[]): FieldCipher<{ readonly [K in C]: string | null }, Null, Row>;
  record<S extends Readonly<Record<string, ValueType>>>(
    columns: S,
  ): FieldCipher<{ readonly [K in keyof S]: ValueTypes[S[K]] | null }, Null, Row>;
  record(columns: RecordColumns): FieldCipher<Readonly<Record<string, unknown>>, Null, Row> {
    const { tokens, isNullable } = this.#parts;
    return new FieldCipher({ tokens: tokens.ofForm("record"), codec: recordCodec(columns), isNullable, index: undefined });
  }

  /**
   * Computes the blind index of a value, in its newest version, for the column beside this one.
   *
   * @throws `invalid-argument` if the field was made without `blindIndex`, or as `blindIndex`; `key-shredded`, `unavailable`, `closed`
   */
  blindIndex(value: T & BlindIndexValue): string {
    return this.#index.of(this.#ofColumn(value));
  }

  /** Computes the blind index of a value in every version that rows may still have, newest first. A lookup asks for all of them. */
  blindIndexAll(value: T & BlindIndexValue): readonly string[] {
    return this.#index.all(this.#ofColumn(value));
  }

  /**
   * Whether the blind index is unique in every version that rows may have. A filter by it then finds the wanted rows alone.
   *
   * @throws `invalid-argument` if the field was made without `blindIndex`
   */
  get hasUniqueIndex(): boolean {
    return this.#index.isUnique;
  }

  /**
   * Whether two values are equal to the blind index, such as `"Ada"` and `"ada "` to a caseless one. For the check of rows that a lookup by
   * a short index found.
   *
   * @throws as `blindIndex`
   */
  isSameToIndex(value: T & BlindIndexValue, other: T & BlindIndexValue): boolean {
    return this.#index.isSame(value, other);
  }

  /** Whether a token is under the newest key version. After a rotation that version does not encrypt at once. */
  isCurrent(token: Uint8Array | string): boolean {
    return this.#parts.tokens.isNewest(bytesOfToken(token));
  }

  /**
   * Encrypts the value of a token again under the newest key version, for jobs that follow a rotation.
   *
   * @throws as `decrypt`; `unavailable` with `retryAfterMs` as long as the newest version is being announced
   */
  reencrypt(token: Uint8Array | string, ...options: Row): string {
    const { tokens } = this.#parts;
    return wiping(tokens.decrypt(bytesOfToken(token), options[0]), (plaintext) => tokens.encryptNewest(plaintext, options[0]));
  }

  /** Refuses a value that the column cannot hold: its index would be that of no row, and a lookup would find nothing in silence. */
  #ofColumn<V>(value: V): V {
    return this.#parts.codec.withBytes(value, () => value);
  }

  #placed<R>(at: number, token: Uint8Array | string | null | undefined, row: RowArgument[0], work: () => R): R {
    try {
      return work();
    } catch (error) {
      if (!(error instanceof EnvelockError)) throw error;
      throw new EnvelockError(error.code, `item ${at}: ${error.message} (${this.#parts.tokens.placeOf(token, row)})`, error);
    }
  }

  get #index(): KeyedIndex {
    if (this.#parts.index === undefined)
      throw invalidArgument("this field was made without a blind index: give field() the option blindIndex");
    return this.#parts.index;
  }

  #isNoValue(value: T | null): value is null {
    return value === null && this.#parts.isNullable;
  }

  #noValue(): null {
    if (this.#parts.isNullable) return null;
    throw invalidArgument("the column is not nullable: there is no token to decrypt");
  }

  #valueOf(plaintext: Uint8Array): T {
    const { codec } = this.#parts;
    return codec.isConversion ? wiping(plaintext, codec.decode) : codec.decode(plaintext);
  }

  /** Refuses a value that is a token already: it would be encrypted once more each time that it is saved. */
  #requireNoToken(value: T | null): void {
    if (this.#parts.tokens.isOurs(value)) throw invalidArgument("the value is a token of this scope already");
  }
}

/** @throws `invalid-argument` for what is not a list of lists of arguments */
function itemsOf<C extends readonly unknown[]>(calls: readonly C[], method: string): readonly C[] {
  const given: unknown = calls;
  if (Array.isArray(given) && given.every((item) => Array.isArray(item))) return calls;
  const hint = `Give ${method} a list for each value: [[value, { row }], ...].`;
  throw new EnvelockError("invalid-argument", `${method} takes a list of lists of arguments`, { hint });
}

/** A cipher of a column with `requireRow`: the row must be given to each of its methods. */
export type RowFieldCipher<T, Null extends null = never> = FieldCipher<T, Null, RowRequired>;
