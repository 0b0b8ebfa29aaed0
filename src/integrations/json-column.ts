import { fromBase64Url } from "../core/base/bytes.ts";
import { invalidArgument, malformed } from "../core/base/errors.ts";
import { type OptionNames, refuseUnknown } from "../core/base/options.ts";
import { DETERMINISTIC_TOKEN_HEAD, TOKEN_HEAD } from "../core/format/token.ts";
import {
  type AdapterOptions,
  type CipherSource,
  type ColumnPlace,
  cipherOf,
  decryptedColumn,
  type IndexingCipher,
} from "./encrypted-column.ts";

// The columns of Drizzle and TypeORM. Their type is json, which PostgreSQL compares with nothing.

/** What `encrypted` takes beside the cipher. */
export interface JsonColumnOptions extends AdapterOptions {
  /**
   * Whether the column holds the blind index of the value too, as `{"token": …, "index": …}`, from which the database generates the
   * column of the index. No write can then forget it. The cipher needs a blind index.
   */
  readonly indexed?: boolean;
}

/** @throws `invalid-argument` */
export function checkJsonColumn(options: JsonColumnOptions, known: Readonly<Record<string, true>>): void {
  refuseUnknown<object>(options, known, "encrypted");
  if (typeof (options.indexed ?? false) !== "boolean") throw invalidArgument("indexed must be true or false");
}

/** What stands in the column for a value: `"token"`, or `{"token": …, "index": …}`. */
export type StoredJson = string | { readonly token: string; readonly index: string };

/** @throws what the cipher throws; `invalid-argument` for an indexed column whose cipher has no blind index */
export function jsonOf<T>(source: CipherSource<T>, value: T, isIndexed: boolean): StoredJson {
  const cipher = cipherOf(source);
  if (!isIndexed) return cipher.encrypt(value);
  if (!hasIndex(cipher))
    throw invalidArgument("an indexed column needs a cipher with a blind index", "Give field() the option blindIndex.");
  return { token: cipher.encrypt(value), index: cipher.blindIndex(value) };
}

/**
 * The value that stands in the column, as the driver gives it: parsed, or as text where the program told the driver not to parse json.
 *
 * @throws `malformed-envelope` for what is neither a token nor, where the cipher is migrating, plaintext; what `decrypt` throws
 */
export function valueIn<T>(source: CipherSource<T>, stored: unknown, place: ColumnPlace, options: AdapterOptions): T {
  return decryptedColumn(source, tokenIn(stored) ?? tokenIn(parsed(stored)) ?? plaintextIn(stored), place, options);
}

/** A condition for a constraint: true for null and for what `encrypted` writes, false for plaintext, as of another column of json. */
export function isTokenSql(column: string): string {
  const token = `case json_typeof(${column}) when 'object' then ${column} ->> 'token' when 'string' then ${column} #>> '{}' else '' end`;
  return `${column} is null or coalesce(${token}, '') ~ '^[nv][A-P][A-Za-z0-9_-]{42,}$'`;
}

/** The blind index that stands in an indexed column, for a column that is generated from it. */
export function indexSql(column: string): string {
  return `${column} ->> 'index'`;
}

/** What begins as a token does, alone or beside its index. Whether it is one, the cipher says. */
function tokenIn(stored: unknown): string | undefined {
  const text = typeof stored === "object" && stored !== null && "token" in stored ? stored.token : stored;
  if (typeof text !== "string") return undefined;
  const head = fromBase64Url(text)?.[0];
  return head === TOKEN_HEAD || head === DETERMINISTIC_TOKEN_HEAD ? text : undefined;
}

function parsed(stored: unknown): unknown {
  if (typeof stored !== "string" || !/^["{]/.test(stored)) return undefined;
  try {
    return JSON.parse(stored);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** Text in quotes may be json that was not parsed, or plaintext that has quotes: a migrating cipher must not guess. */
function plaintextIn(stored: unknown): unknown {
  if (typeof stored !== "string" || typeof parsed(stored) !== "string") return stored;
  throw malformed("the column holds text in quotes that is no token: plaintext can be read only where the driver parses json");
}

function hasIndex<T>(cipher: object): cipher is IndexingCipher<T> {
  return "blindIndex" in cipher && typeof cipher.blindIndex === "function";
}

export const JSON_COLUMN_OPTIONS: OptionNames<JsonColumnOptions> = { indexed: true, onPlaintext: true };
