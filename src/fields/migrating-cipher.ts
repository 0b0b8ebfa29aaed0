import { isBytes } from "../core/base/bytes.ts";
import { EnvelockError } from "../core/base/errors.ts";
import { parseToken } from "../core/format/token.ts";
import { type CipherParts, FieldCipher } from "./field-cipher.ts";
import type { RowArgument } from "./field-options.ts";

/** The value of a column, and whether it was encrypted. */
export interface StoredValue<T> {
  readonly value: T;
  /** A null is plaintext. */
  readonly was: "token" | "plaintext";
}

/**
 * The cipher of a column that still has plaintext in it. A writer of the table can put plaintext there too, and the cipher trusts it. So go
 * back to `FieldCipher` as soon as the column is encrypted.
 */
export class MigratingFieldCipher<T, Null extends null = never, Row extends RowArgument = RowArgument> extends FieldCipher<T, Null, Row> {
  readonly #parts: CipherParts<T>;

  /** Called by `DataKeys.field`. */
  constructor(parts: CipherParts<T>) {
    super(parts);
    this.#parts = parts;
  }

  /**
   * Reads the value of a column, and whether it was encrypted. A value in the form of a token, or with the beginning of a token of this
   * scope, is decrypted or refused, and never taken for plaintext.
   *
   * @param stored a token, or a value as the column held it before
   * @throws as `decrypt`, for a token; `invalid-argument` for what is neither
   */
  decryptOrPlaintext(stored: T | Uint8Array | string, ...options: Row): StoredValue<T>;
  decryptOrPlaintext(stored: T | Uint8Array | string | Null, ...options: Row): StoredValue<T | Null>;
  decryptOrPlaintext(stored: T | Uint8Array | string | null, ...options: Row): StoredValue<T | null> {
    if (isText(stored) && this.#isToken(stored)) return { value: this.decrypt(stored, ...options), was: "token" };
    const { codec, isNullable } = this.#parts;
    if (stored === null && isNullable) return { value: null, was: "plaintext" };
    return { value: codec.withBytes(stored, (bytes) => codec.decode(bytes)), was: "plaintext" };
  }

  #isToken(stored: Uint8Array | string): boolean {
    return this.#parts.tokens.isOurs(stored) || isTokenOfAny(stored);
  }
}

function isText(stored: unknown): stored is Uint8Array | string {
  return typeof stored === "string" || isBytes(stored);
}

/** Whether a value has the form of a token, of whatever scope. */
function isTokenOfAny(stored: Uint8Array | string): boolean {
  try {
    parseToken(stored);
    return true;
  } catch (error) {
    if (error instanceof EnvelockError) return false;
    throw error;
  }
}
