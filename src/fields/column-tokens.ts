import { engine } from "#engine";
import { concatBytes, isBytes, type OwnedBytes, viewOf } from "../core/base/bytes.ts";
import type { Context, ContextPlan, KeyContext } from "../core/base/context.ts";
import { EnvelockError, invalidArgument, unreadable } from "../core/base/errors.ts";
import { type OptionNames, refuseUnknown } from "../core/base/options.ts";
import { KID_BYTES } from "../core/contracts/suite.ts";
import { commitmentOf, type DataKey, openTextToken, openToken, sealedToken, sealTextToken, sealToken } from "../core/data-key/data-key.ts";
import {
  DETERMINISTIC_TOKEN_HEAD,
  TOKEN_HEAD,
  TOKEN_OVERHEAD_BYTES,
  TOKEN_PREFIX_BYTES,
  tokenBytes,
  tokenKind,
} from "../core/format/token.ts";
import { type FieldOptions, type RowArgument, type RowId, rowText } from "./field-options.ts";
import { kidOf } from "./held-keys.ts";
import type { ScopeKeys } from "./scope-keys.ts";

export interface ColumnOptions extends Pick<FieldOptions, "table" | "column" | "requireRow"> {
  readonly deterministic?: boolean;
}

/** Makes and opens the tokens of one column, bound to its context. Plaintext is bytes here. */
export class ColumnTokens {
  readonly #keys: ScopeKeys;
  readonly #options: ColumnOptions;
  /** The context that every token of the column is bound to, its scope included. */
  readonly #place: KeyContext;
  readonly #withRow: ContextPlan;
  readonly #withoutRow: ContextPlan;
  readonly #isDeterministic: boolean;
  readonly #requiresRow: boolean;
  #begun: { readonly key: DataKey; readonly text: string } | undefined;

  /** @param form the content of the tokens, if it is not one value. Tokens of two forms never pass for each other */
  constructor(keys: ScopeKeys, options: ColumnOptions, form?: string) {
    const { table, column, deterministic = false, requireRow = false } = options;
    this.#keys = keys;
    this.#options = options;
    this.#place = keys.scope.context.with(form === undefined ? { table, column } : { table, column, form });
    this.#withRow = this.#place.plan(["row"]);
    this.#withoutRow = this.#place.plan([]);
    this.#isDeterministic = deterministic;
    this.#requiresRow = requireRow;
  }

  /** Returns the tokens of the same column with another content than one value. */
  ofForm(form: string): ColumnTokens {
    return new ColumnTokens(this.#keys, this.#options, form);
  }

  /** @returns the token in its own ArrayBuffer */
  encrypt(plaintext: Uint8Array, row: RowArgument[0]): OwnedBytes {
    const key = this.#keys.encryptingKey;
    const context = this.#contextOf(row);
    if (this.#isDeterministic) return key.encryptDeterministic(plaintext, this.#place.map);
    return sealedToken(key, this.#planFor(context), context, plaintext);
  }

  /** @returns the token as base64url */
  encryptText(plaintext: Uint8Array, row: RowArgument[0]): string {
    if (this.#isDeterministic || plaintext.length + TOKEN_OVERHEAD_BYTES > SCRATCH_BYTES) return textOfToken(this.encrypt(plaintext, row));
    const key = this.#keys.encryptingKey;
    const context = this.#contextOf(row);
    scratch ??= engine.text.scratch(SCRATCH_BYTES);
    const length = sealToken(key, this.#planFor(context), context, plaintext, scratch);
    return engine.text.toBase64Url(scratch, length);
  }

  /** Encrypts text to a token as base64url, where the engine does that in one call. @returns undefined: the caller goes on with bytes */
  encryptString(text: string, row: RowArgument[0]): string | undefined {
    if (engine.coarse === undefined || this.#isDeterministic) return undefined;
    const key = this.#keys.encryptingKey;
    const context = this.#contextOf(row);
    return sealTextToken(key, this.#planFor(context), context, text);
  }

  /** Decrypts a token to text, where the engine does that in one call. @returns undefined: the caller goes on with bytes */
  decryptString(token: string, row: RowArgument[0]): string | undefined {
    if (engine.coarse === undefined || this.#isDeterministic) return undefined;
    const key = this.#keys.encryptingKeyIf((encrypting) => token.startsWith(this.#beginningOf(encrypting)));
    if (key === undefined) return undefined;
    const context = this.#contextOf(row);
    return openTextToken(key, this.#planFor(context), context, token);
  }

  /** Makes a token under the newest version. @throws `unavailable` while other processes may not know that version */
  encryptNewest(plaintext: Uint8Array, row: RowArgument[0]): string {
    const retryAfterMs = this.#keys.announcedInMs;
    if (retryAfterMs === 0) return this.encryptText(plaintext, row);
    throw new EnvelockError("unavailable", "the newest data key does not encrypt yet: it is being announced", { retryAfterMs });
  }

  /** @returns the plaintext in its own ArrayBuffer */
  decrypt(token: Uint8Array, row: RowArgument[0]): OwnedBytes {
    tokenKind(token); // before the lookup of its key: docs/format.md §5
    return this.#opened(this.#keys.keyOf(token), token, row);
  }

  async decryptAsync(token: Uint8Array, row: RowArgument[0]): Promise<OwnedBytes> {
    tokenKind(token);
    return await this.#keys.withKey(token, (key) => this.#opened(key, token, row));
  }

  /** Whether a token is under the newest version. @throws `malformed-envelope` */
  isNewest(token: Uint8Array): boolean {
    tokenKind(token);
    return this.#keys.isNewest(token);
  }

  /** Whether a value begins like a token of this scope. Whole or broken, it is no plaintext, except with a chance of 2^-128. */
  isOurs(value: unknown): boolean {
    const start = typeof value === "string" ? startOf(value) : isBytes(value) ? viewOf(value) : undefined;
    return start !== undefined && HEADS.includes(start[0]) && this.#keys.knows(start);
  }

  /** Names the place of a value for an error: table, column, the row if known, and the data key that a token names. Nothing secret. */
  placeOf(token: unknown, options: RowArgument[0]): string {
    const { table, column } = this.#options;
    const start = typeof token === "string" ? startOf(token) : isBytes(token) ? viewOf(token) : undefined;
    const isToken = start !== undefined && start.length >= TOKEN_PREFIX_BYTES && HEADS.includes(start[0]);
    const row = options?.row === undefined ? "" : `, row ${String(options.row).slice(0, LONGEST_ROW)}`;
    return `${table}.${column}${row}${isToken ? `, data key ${kidOf(start)}` : ""}`;
  }

  #opened(key: DataKey, token: Uint8Array, row: RowArgument[0]): OwnedBytes {
    const context = this.#contextOf(row);
    return this.#isDeterministic
      ? key.decryptDeterministic(token, this.#place.map)
      : openToken(key, this.#planFor(context), context, token);
  }

  /** The characters that every token of a key begins with, as text. The last one of its kid shares its bits with the nonce. */
  #beginningOf(key: DataKey): string {
    if (this.#begun?.key !== key) {
      const prefix = concatBytes(Uint8Array.of(TOKEN_HEAD), commitmentOf(key).subarray(0, KID_BYTES));
      this.#begun = { key, text: engine.text.toBase64Url(prefix, prefix.length).slice(0, -1) };
    }
    return this.#begun.text;
  }

  #planFor(context: Context): ContextPlan {
    return context === NO_ROW ? this.#withoutRow : this.#withRow;
  }

  #contextOf(options: RowArgument[0]): Context {
    const row = rowIn(options);
    if (row !== undefined) {
      if ("row" in Object.prototype) refuseUnknown({}, ROW_OPTIONS, "a cipher"); // it may be inherited, and not the caller's
      if (this.#isDeterministic) throw invalidArgument("a deterministic column cannot be bound to rows: its tokens would differ");
      return { row: rowText(row) };
    }
    if (this.#requiresRow) throw invalidArgument("this column requires the row that the value stands in");
    if (options !== undefined) refuseUnknown(options, ROW_OPTIONS, "a cipher"); // a misspelt row would leave the value unbound
    return NO_ROW;
  }
}

function rowIn(options: RowArgument[0]): RowId | undefined {
  try {
    return options?.row;
  } catch (error) {
    throw unreadable("the row of a value", error);
  }
}

/** @throws `malformed-envelope` for text that is not base64url, `invalid-argument` for what is neither text nor bytes */
export function bytesOfToken(token: Uint8Array | string): Uint8Array {
  return (typeof token === "string" ? engine.text.fromBase64Url(token) : undefined) ?? tokenBytes(token);
}

function textOfToken(token: Uint8Array): string {
  return engine.text.toBase64Url(token, token.length);
}

/** Decodes head and kid of a text that can have them. To decode the whole text would take long. */
function startOf(text: string): Uint8Array | undefined {
  if (!FIRST_CHARACTERS.includes(text.charAt(0)) || text.length < PREFIX_CHARACTERS) return undefined;
  return engine.text.fromBase64Url(text.slice(0, PREFIX_CHARACTERS));
}

const NO_ROW: Context = {};
const LONGEST_ROW = 64;
const ROW_OPTIONS: OptionNames<{ readonly row?: RowId }> = { row: true };
const HEADS: readonly (number | undefined)[] = [TOKEN_HEAD, DETERMINISTIC_TOKEN_HEAD];
/** The first characters of the heads as text. */
const FIRST_CHARACTERS: readonly string[] = ["n", "v"];
/** The least number of characters, in groups of four, that hold the prefix. */
const PREFIX_CHARACTERS: number = Math.ceil(TOKEN_PREFIX_BYTES / 3) * 4;

/** Holds a token while it is encoded to text. An array for each token would cost as much as an AES call. */
let scratch: Uint8Array | undefined;
const SCRATCH_BYTES = 1024;
