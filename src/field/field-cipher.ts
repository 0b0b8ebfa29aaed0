import { fromBase64Url, isBytes, type OwnedBytes, toBase64Url, viewOf } from "../bytes.ts";
import type { Context } from "../context.ts";
import type { DataKey } from "../data-key.ts";
import { invalidArgument } from "../errors.ts";
import { DETERMINISTIC_TOKEN_HEAD, KID_BYTES, parseToken, TOKEN_HEAD, tokenBytes } from "../format/token.ts";
import { type FieldOptions, type RowArgument, rowText } from "./field-options.ts";
import type { ScopeKeys } from "./scope-keys.ts";
import type { Codec } from "./values.ts";

/**
 * Encrypts and decrypts the values of one column, synchronously: the data keys are at hand.
 *
 * A token is bound to scope, table and column, and to the row when one is given: it opens nowhere else.
 *
 * @typeParam T what the column holds
 * @typeParam Null `null` if the column is nullable, else `never`
 * @typeParam Row what the methods take last
 */
export class FieldCipher<T, Null extends null = never, Row extends RowArgument = RowArgument> {
  readonly #keys: ScopeKeys;
  readonly #codec: Codec<T>;
  readonly #place: Context;
  readonly #isDeterministic: boolean;
  readonly #isNullable: boolean;
  readonly #requiresRow: boolean;

  /** For `DataKeys.field`, which checks the options. */
  constructor(keys: ScopeKeys, codec: Codec<T>, options: FieldOptions & { readonly deterministic?: boolean }) {
    const { table, column, nullable = false, requireRow = false, deterministic = false } = options;
    this.#keys = keys;
    this.#codec = codec;
    this.#place = { table, column };
    this.#isDeterministic = deterministic;
    this.#isNullable = nullable;
    this.#requiresRow = requireRow;
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
    if (value === null && this.#isNullable) return null;
    return toBase64Url(this.#encrypted(value, options[0]));
  }

  /** Like `encrypt`, to the bytes of the token, in their own ArrayBuffer: for binary columns. */
  encryptBytes(value: T, ...options: Row): OwnedBytes;
  encryptBytes(value: T | Null, ...options: Row): OwnedBytes | Null;
  encryptBytes(value: T | null, ...options: Row): OwnedBytes | null {
    if (value === null && this.#isNullable) return null;
    return this.#encrypted(value, options[0]);
  }

  /**
   * Decrypts a token, given as text or bytes.
   *
   * @throws `malformed-envelope` for what is no token, such as plaintext; `authentication-failed` if it was changed or belongs to
   *   another place; `key-shredded`; `unavailable` if its key version is not loaded: see `decryptAsync`; and as `encrypt`
   */
  decrypt(token: Uint8Array | string, ...options: Row): T;
  decrypt(token: Uint8Array | string | Null, ...options: Row): T | Null;
  decrypt(token: Uint8Array | string | null, ...options: Row): T | null {
    if (token === null) return this.#noValue();
    const bytes = tokenBytes(token);
    return this.#decrypted(bytes, this.#keys.keyOf(parseToken(bytes).kid), options[0]);
  }

  /** Like `decrypt`, of a token of any key version that the store has. @throws also what the store and the providers throw */
  async decryptAsync(token: Uint8Array | string, ...options: Row): Promise<T>;
  async decryptAsync(token: Uint8Array | string | Null, ...options: Row): Promise<T | Null>;
  async decryptAsync(token: Uint8Array | string | null, ...options: Row): Promise<T | null> {
    if (token === null) return this.#noValue();
    const bytes = tokenBytes(token);
    return this.#decrypted(bytes, await this.#keys.fetchKey(parseToken(bytes).kid), options[0]);
  }

  #encrypted(value: unknown, options: RowArgument[0]): OwnedBytes {
    const key = this.#keys.encryptingKey;
    const plaintext = this.#codec.encode(value);
    this.#refuseToken(value);
    const context = this.#contextOf(options);
    return this.#isDeterministic ? key.encryptDeterministic(plaintext, context) : key.encryptToken(plaintext, context);
  }

  #decrypted(token: Uint8Array, key: DataKey, options: RowArgument[0]): T {
    const context = this.#contextOf(options);
    return this.#codec.decode(this.#isDeterministic ? key.decryptDeterministic(token, context) : key.decryptToken(token, context));
  }

  #noValue(): null {
    if (this.#isNullable) return null;
    throw invalidArgument("the column is not nullable: there is no token to decrypt");
  }

  #contextOf(options: RowArgument[0]): Context {
    const row = options?.row;
    if (row !== undefined) {
      if (this.#isDeterministic) throw invalidArgument("a deterministic column cannot be bound to rows: its tokens would differ");
      return { ...this.#place, row: rowText(row) };
    }
    if (this.#requiresRow) throw invalidArgument("this column requires the row that the value stands in");
    return this.#place;
  }

  /** What was encrypted already is refused: it would be encrypted again each time that it is saved. */
  #refuseToken(value: unknown): void {
    const bytes = typeof value === "string" ? fromBase64Url(value) : isBytes(value) ? viewOf(value) : undefined;
    const head = bytes?.[0];
    if (bytes === undefined || (head !== TOKEN_HEAD && head !== DETERMINISTIC_TOKEN_HEAD)) return;
    if (this.#keys.knows(bytes.subarray(1, 1 + KID_BYTES))) throw invalidArgument("the value is a token of this scope already");
  }
}
