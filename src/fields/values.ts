import { engine } from "#engine";
import { isBytes, ownedBytes, utf8, viewOf, wiping } from "../core/base/bytes.ts";
import { timeOf } from "../core/base/dates.ts";
import { invalidArgument, malformed } from "../core/base/errors.ts";
import { encodeJson, type JsonValue, jsonIn } from "../core/base/json.ts";
import { cborValueOf } from "./cbor-reader.ts";
import { type CborValue, withCbor } from "./cbor-value.ts";

/** The types of a column's values, by the names that `field({ type })` takes. */
export interface ValueTypes {
  /** Well-formed text: its UTF-8. */
  readonly string: string;
  readonly bytes: Uint8Array;
  /** Any number, NaN and -0 included: 8 bytes, IEEE 754. */
  readonly number: number;
  /** Any integer: two's complement in the fewest bytes, so its length shows its size. */
  readonly bigint: bigint;
  /** 1 byte. */
  readonly boolean: boolean;
  /** A valid date: its milliseconds as a number. */
  readonly date: Date;
  /** A JSON value. A value that would not come back the same is refused. */
  readonly json: JsonValue;
  /** A value that JSON cannot hold: Maps, dates, bytes, bigints, undefined. A value that would not come back the same is refused. */
  readonly cbor: CborValue;
}

export type ValueType = keyof ValueTypes;

/** Encodes values of one type to the bytes that are encrypted, and back. The type is not stored: the column has one. */
export interface Codec<T> {
  /** Whether `decode` makes something new of the bytes, so that they can be wiped once they are decoded. */
  readonly isConversion: boolean;
  /** Where values are text: makes a value of the text. An engine may encrypt text without its bytes ever being the library's. */
  readonly ofText?: (text: string) => T;
  /**
   * Calls `use` with the bytes of a value. Bytes that were made of the value are wiped once `use` has returned or thrown, so it must not
   * keep them.
   *
   * @throws `invalid-argument` for a value of another type, or one that would not come back the same
   */
  withBytes<R>(value: unknown, use: (bytes: Uint8Array) => R): R;
  /** @throws `malformed-envelope` for bytes of no value of this type: the column had another type once */
  decode(bytes: Uint8Array): T;
}

export const CODECS: { readonly [V in ValueType]: Codec<ValueTypes[V]> } = {
  string: {
    isConversion: true,
    ofText: (text) => text,
    withBytes(value, use) {
      if (typeof value !== "string") throw wrongType("a string", value);
      return engine.text.withUtf8(value, (bytes) => {
        if (bytes === undefined) throw invalidArgument("text holds a lone surrogate");
        return use(bytes);
      });
    },
    decode(bytes) {
      const text = engine.text.fromUtf8(bytes);
      if (text === undefined) throw wrongBytes("UTF-8");
      return text;
    },
  },
  bytes: {
    isConversion: false,
    withBytes(value, use) {
      if (!isBytes(value)) throw wrongType("a Uint8Array", value);
      return use(viewOf(value));
    },
    decode: ownedBytes,
  },
  number: {
    isConversion: true,
    withBytes(value, use) {
      if (typeof value !== "number") throw wrongType("a number", value);
      return wiping(float64(value), use);
    },
    decode: (bytes) => viewOfEight(bytes).getFloat64(0),
  },
  bigint: {
    isConversion: true,
    withBytes(value, use) {
      if (typeof value !== "bigint") throw wrongType("a bigint", value);
      return wiping(integerBytes(value), use);
    },
    decode: integerOf,
  },
  boolean: {
    isConversion: true,
    withBytes(value, use) {
      if (typeof value !== "boolean") throw wrongType("a boolean", value);
      return wiping(Uint8Array.of(value ? 1 : 0), use);
    },
    decode(bytes) {
      const [byte] = bytes;
      if (bytes.length !== 1 || (byte !== 0 && byte !== 1)) throw wrongBytes("one byte, 0 or 1");
      return byte === 1;
    },
  },
  date: {
    isConversion: true,
    withBytes(value, use) {
      const time = timeOf(value);
      if (time === undefined) throw wrongType("a Date", value);
      if (Number.isNaN(time)) throw invalidArgument("the date is invalid");
      return wiping(float64(time), use);
    },
    decode(bytes) {
      const date = new Date(viewOfEight(bytes).getFloat64(0));
      if (Number.isNaN(date.getTime())) throw wrongBytes("a valid date");
      return date;
    },
  },
  json: {
    isConversion: true,
    withBytes: (value, use) => wiping(utf8(encodeJson(value)), use),
    decode(bytes) {
      const text = engine.text.fromUtf8(bytes);
      const value = text === undefined ? undefined : jsonIn(text);
      if (value === undefined) throw wrongBytes("JSON");
      return value;
    },
  },
  cbor: { isConversion: true, withBytes: withCbor, decode: cborValueOf },
};

export const VALUE_TYPES: readonly string[] = Object.keys(CODECS);

/** @param parse converts the stored value to the program's type. Its exceptions reach the caller unchanged */
export function parsedCodec<V, T>(codec: Codec<V>, parse: (value: V) => T): Codec<T> {
  const { ofText, ...others } = codec;
  const decode = (bytes: Uint8Array): T => parse(codec.decode(bytes));
  return { ...others, decode, ...(ofText !== undefined && { ofText: (text: string) => parse(ofText(text)) }) };
}

function float64(value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setFloat64(0, value);
  return bytes;
}

function viewOfEight(bytes: Uint8Array): DataView {
  if (bytes.length !== 8) throw wrongBytes("8 bytes");
  return new DataView(bytes.buffer, bytes.byteOffset, 8);
}

function integerBytes(value: bigint): Uint8Array {
  const magnitude = value < 0n ? -value - 1n : value; // has as many bits as the number needs without its sign
  const digits =
    magnitude === 0n ? 0 : magnitude.toString(16).length * 4 - Math.clz32(Number.parseInt(magnitude.toString(16).charAt(0), 16)) + 28;
  const bytes = new Uint8Array(Math.floor(digits / 8) + 1);
  const text = BigInt.asUintN(bytes.length * 8, value)
    .toString(16)
    .padStart(bytes.length * 2, "0");
  for (let at = 0; at < bytes.length; at++) bytes[at] = Number.parseInt(text.slice(2 * at, 2 * at + 2), 16);
  return bytes;
}

function integerOf(bytes: Uint8Array): bigint {
  if (bytes.length === 0) throw wrongBytes("an integer");
  let text = "0x";
  for (const byte of bytes) text += byte.toString(16).padStart(2, "0");
  const value = BigInt.asIntN(bytes.length * 8, BigInt(text));
  if (integerBytes(value).length !== bytes.length) throw wrongBytes("an integer, as short as it goes");
  return value;
}

/** Names the type of the value, never the value. */
function wrongType(expected: string, value: unknown): Error {
  return invalidArgument(`the column takes ${expected}, not ${value === null ? "null" : `a value of type ${typeof value}`}`);
}

function wrongBytes(expected: string): Error {
  return malformed(`what was decrypted is not ${expected}: the column was written with another type`);
}
