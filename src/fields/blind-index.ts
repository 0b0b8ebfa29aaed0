import { engine } from "#engine";
import { ascii, byteAt, concatBytes, isBytes, toHex, utf8, utf8Length, viewOf, wipe, wiping, writeUint32 } from "../core/base/bytes.ts";
import { isDate, timeOf } from "../core/base/dates.ts";
import { invalidArgument } from "../core/base/errors.ts";
import { SUITE_HASH } from "../core/contracts/suite.ts";
import { type Normalise, normalised } from "./normalise.ts";

/** A value that can be looked up. Two values are the same only if their types are: `5`, `5n` and `"5"` have three indexes. */
export type BlindIndexValue = string | Uint8Array | number | bigint | boolean | Date;

export interface BlindIndexOptions {
  /** The length of the index, 1 to 256 bits. Defaults to 32. `planBlindIndex` computes how many suit a column. */
  readonly bits?: number;
  /** The normalisation of text; in a compound index of each text in it. Defaults to `"exact"`. */
  readonly normalise?: Normalise;
}

/**
 * Computes the blind index of a value: the first `bits` of a MAC over its type and bytes. Equal values can then be found without being
 * stored in clear. Equality shows to every reader of the column, except for what short `bits` hide. Different values may share an index, so
 * check the rows of a lookup after decrypting them.
 *
 * @param key 32 bytes, for this index alone: see `deriveIndexKey`
 * @param value one value, or several in a fixed order, which are found only together
 * @returns lower-case hex, `Math.ceil(bits / 4)` digits; bits beyond `bits` are zero
 * @throws `invalid-argument` for null, a number that is not finite, an invalid date, a lone surrogate, no value at all, or bad options
 * @see docs/format.md §5.1
 */
export function blindIndex(
  key: Uint8Array,
  value: BlindIndexValue | readonly BlindIndexValue[],
  { bits = DEFAULT_BITS, normalise = "exact" }: BlindIndexOptions = {},
): string {
  const digits = Math.ceil(checkedBits(bits) / 4);
  const message = isList(value) ? encodedList(value, normalise) : encoded(value, normalise);
  return wiping(
    wiping(message, (secret) => engine.hmac(SUITE_HASH, key, secret)),
    (mac) => {
      const last = bits >> 3;
      mac[last] = byteAt(mac, last) & ~(0xff >> (bits & 7));
      return toHex(mac.subarray(0, (digits + 1) >> 1)).slice(0, digits);
    },
  );
}

/** @throws `invalid-argument` unless it is a whole number from 1 to 256 */
export function checkedBits(bits: number): number {
  if (!Number.isInteger(bits) || bits < 1 || bits > MAX_BITS) throw invalidArgument(`bits must be a whole number from 1 to ${MAX_BITS}`);
  return bits;
}

/** docs/format.md §5.1: `type | u32 length | bytes`. */
function encoded(value: BlindIndexValue, normalise: Normalise): Uint8Array {
  if (typeof value === "string") return wiping(textBytes(normalised(value, normalise)), (bytes) => item("s", bytes));
  if (isBytes(value)) return item("b", viewOf(value));
  if (typeof value === "number") return item("n", doubleBytes(value));
  if (typeof value === "bigint") return item("i", ascii(value.toString()));
  if (typeof value === "boolean") return item("t", Uint8Array.of(value ? 1 : 0));
  if (isDate(value)) return item("d", doubleBytes(timeOf(value)));
  throw invalidArgument("a blind index takes a string, Uint8Array, number, bigint, boolean or Date");
}

function encodedList(values: readonly BlindIndexValue[], normalise: Normalise): Uint8Array {
  if (values.length === 0) throw invalidArgument("a compound blind index needs at least one value");
  const items: Uint8Array[] = [];
  try {
    for (const value of values) items.push(encoded(value, normalise));
    return wiping(concatBytes(...items), (bytes) => item("l", bytes));
  } finally {
    wipe(...items);
  }
}

function item(type: string, bytes: Uint8Array): Uint8Array {
  const head = new Uint8Array(5);
  head.set(ascii(type));
  writeUint32(head, 1, bytes.length);
  return concatBytes(head, bytes);
}

function textBytes(text: string): Uint8Array {
  if (utf8Length(text) === undefined) throw invalidArgument("a blind index takes no text with a lone surrogate");
  return utf8(text);
}

function doubleBytes(value: number): Uint8Array {
  if (!Number.isFinite(value)) throw invalidArgument("a blind index takes no number that is not finite, and no invalid date");
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setFloat64(0, value === 0 ? 0 : value); // -0 equals 0
  return bytes;
}

function isList(value: BlindIndexValue | readonly BlindIndexValue[]): value is readonly BlindIndexValue[] {
  return Array.isArray(value);
}

const DEFAULT_BITS = 32;
/** Among 2^32 values, two share an index of 96 bits with a chance of 2^-33. */
export const LEAST_UNIQUE_BITS = 96;
const MAX_BITS = 256;
