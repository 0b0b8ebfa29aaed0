import { fromBase64Url, isBytes, type OwnedBytes, viewOf } from "../bytes.ts";
import type { Context } from "../context.ts";
import type { DataKey } from "../data-key.ts";
import { EnvelockError, invalidArgument } from "../errors.ts";
import { DETERMINISTIC_TOKEN_HEAD, parseToken, TOKEN_HEAD, TOKEN_PREFIX_BYTES } from "../format/token.ts";
import { type FieldOptions, type RowArgument, rowText } from "./field-options.ts";
import type { ScopeKeys } from "./scope-keys.ts";

export interface ColumnOptions extends Pick<FieldOptions, "table" | "column" | "requireRow"> {
  readonly deterministic?: boolean;
}

/** The tokens of one column: which keys they are under and what they are bound to. Bytes in, bytes out. */
export class ColumnTokens {
  readonly #keys: ScopeKeys;
  readonly #options: ColumnOptions;
  /** What every token of the column is bound to. */
  readonly #place: Context;

  /** @param form what the tokens hold, if it is not one value: those of two forms never pass for each other */
  constructor(keys: ScopeKeys, options: ColumnOptions, form?: string) {
    const { table, column } = options;
    this.#keys = keys;
    this.#options = options;
    this.#place = form === undefined ? { table, column } : { table, column, form };
  }

  /** Tokens of the same column that hold something else than one value. */
  ofForm(form: string): ColumnTokens {
    return new ColumnTokens(this.#keys, this.#options, form);
  }

  encrypt(plaintext: Uint8Array, row: RowArgument[0]): OwnedBytes {
    return this.#sealed(this.#keys.encryptingKey, plaintext, row);
  }

  /** Like `encrypt`, under the newest version. @throws `unavailable` as long as other processes may not know it */
  encryptNewest(plaintext: Uint8Array, row: RowArgument[0]): OwnedBytes {
    const retryAfterMs = this.#keys.announcedInMs;
    if (retryAfterMs === 0) return this.encrypt(plaintext, row);
    throw new EnvelockError("unavailable", "the newest data key does not encrypt yet: it is being announced", { retryAfterMs });
  }

  decrypt(token: Uint8Array, row: RowArgument[0]): OwnedBytes {
    return this.#opened(this.#keys.keyOf(parseToken(token).kid), token, row);
  }

  async decryptAsync(token: Uint8Array, row: RowArgument[0]): Promise<OwnedBytes> {
    return this.#opened(await this.#keys.fetchKey(parseToken(token).kid), token, row);
  }

  /** Whether a token is under the newest version. @throws `malformed-envelope` */
  isNewest(token: Uint8Array | string): boolean {
    return this.#keys.isNewest(parseToken(token).kid);
  }

  /** Whether a value begins as a token of this scope does: whole or broken, it is no plaintext, but for a chance of 2^-128. */
  isOurs(value: unknown): boolean {
    const start = typeof value === "string" ? startOf(value) : isBytes(value) ? viewOf(value) : undefined;
    return start !== undefined && HEADS.includes(start[0]) && this.#keys.knows(start.subarray(1, TOKEN_PREFIX_BYTES));
  }

  #sealed(key: DataKey, plaintext: Uint8Array, row: RowArgument[0]): OwnedBytes {
    const context = this.#contextOf(row);
    return this.#options.deterministic === true ? key.encryptDeterministic(plaintext, context) : key.encryptToken(plaintext, context);
  }

  #opened(key: DataKey, token: Uint8Array, row: RowArgument[0]): OwnedBytes {
    const context = this.#contextOf(row);
    return this.#options.deterministic === true ? key.decryptDeterministic(token, context) : key.decryptToken(token, context);
  }

  #contextOf(options: RowArgument[0]): Context {
    const { deterministic, requireRow } = this.#options;
    const row = options?.row;
    if (row !== undefined) {
      if (deterministic === true) throw invalidArgument("a deterministic column cannot be bound to rows: its tokens would differ");
      return { ...this.#place, row: rowText(row) };
    }
    if (requireRow === true) throw invalidArgument("this column requires the row that the value stands in");
    return this.#place;
  }
}

/** The bytes of head and kid, if it is a text that can have them: the whole would take long to decode. */
function startOf(text: string): Uint8Array | undefined {
  return FIRST_CHARACTERS.includes(text.charAt(0)) && text.length >= PREFIX_CHARACTERS
    ? fromBase64Url(text.slice(0, PREFIX_CHARACTERS))
    : undefined;
}

const HEADS: readonly (number | undefined)[] = [TOKEN_HEAD, DETERMINISTIC_TOKEN_HEAD];
/** What the heads begin with as text. */
const FIRST_CHARACTERS: readonly string[] = ["n", "v"];
/** The fewest in groups of four that hold the prefix. */
const PREFIX_CHARACTERS: number = Math.ceil(TOKEN_PREFIX_BYTES / 3) * 4;
