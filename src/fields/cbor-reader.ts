import { byteAt, copyOf, textOf } from "../core/base/bytes.ts";
import { malformed } from "../core/base/errors.ts";
import { CBOR, type CborValue, keyName, MAX_CBOR_BIGINT_BYTES, MAX_CBOR_DEPTH, UNSAFE_KEY } from "./cbor-value.ts";

/**
 * Decodes what `withCbor` encodes, and nothing else: each value has one encoding. Allocates nothing for a declared length, and keeps no view
 * of `bytes`.
 *
 * @throws `malformed-envelope`
 */
export function cborValueOf(bytes: Uint8Array): CborValue {
  const reader = new CborReader(bytes);
  const value = reader.item(0);
  if (!reader.isAtEnd) throw broken("bytes after the value");
  return value;
}

class CborReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  item(depth: number): CborValue {
    if (depth > MAX_CBOR_DEPTH) throw broken(`a value nested deeper than ${MAX_CBOR_DEPTH}`);
    const first = byteAt(this.#take(1), 0);
    switch (first >> 5) {
      case CBOR.uint:
        return this.#argument(first);
      case CBOR.negative:
        return this.#negative(first);
      case CBOR.bytes:
        return copyOf(this.#take(this.#argument(first)));
      case CBOR.text:
        return this.#text(this.#argument(first));
      case CBOR.array:
        return this.#array(this.#argument(first), depth);
      case CBOR.map:
        return this.#object(this.#argument(first), depth);
      case CBOR.tag:
        return this.#tagged(first, depth);
      default:
        return this.#simple(first);
    }
  }

  #negative(first: number): number {
    const value = -1 - this.#argument(first);
    if (!Number.isSafeInteger(value)) throw broken("an integer that is no number");
    return value;
  }

  #simple(first: number): CborValue {
    if (first === CBOR.float64) return this.#float();
    const known = SIMPLE_OF.get(first);
    if (known === undefined) throw broken("a simple value that is not known");
    return known.value;
  }

  #float(): number {
    const bytes = this.#take(8);
    const value = new DataView(bytes.buffer, bytes.byteOffset, 8).getFloat64(0);
    if (Number.isSafeInteger(value) && !Object.is(value, -0)) throw broken("an integer that is written as a float");
    if (Number.isNaN(value) && !isOneNaN(bytes)) throw broken("a NaN with a payload");
    return value;
  }

  #text(length: number): string {
    const text = textOf(this.#take(length));
    if (text === undefined) throw broken("text that is not UTF-8");
    return text;
  }

  #array(count: number, depth: number): readonly CborValue[] {
    const items: CborValue[] = [];
    for (let place = 0; place < count; place++) items.push(this.item(depth + 1));
    return items;
  }

  #object(count: number, depth: number): { readonly [key: string]: CborValue } {
    const members = new Map<string, CborValue>();
    for (let place = 0; place < count; place++) {
      const first = byteAt(this.#take(1), 0);
      if (first >> 5 !== CBOR.text) throw broken("an object with a key that is no text");
      const key = this.#text(this.#argument(first));
      if (key === UNSAFE_KEY || members.has(key)) throw broken("an object with a key that is not allowed, or stands twice");
      members.set(key, this.item(depth + 1));
    }
    return Object.fromEntries(members);
  }

  #tagged(first: number, depth: number): CborValue {
    switch (first) {
      case CBOR.date:
        return this.#date();
      case CBOR.bigint:
        return this.#magnitude();
      case CBOR.negativeBigint:
        return -1n - this.#magnitude();
      default:
        if (this.#argument(first) !== CBOR.mapTag) throw broken("a tag that is not known");
        return this.#map(depth);
    }
  }

  #date(): Date {
    if ((this.#bytes[this.#at] ?? 0) >> 5 === CBOR.tag) throw broken("a date that is no number");
    const seconds = this.item(MAX_CBOR_DEPTH);
    if (typeof seconds !== "number") throw broken("a date that is no number");
    const near = Math.round(seconds * 1000); // far from 1970 the product is rounded, to a neighbour at times
    const date = [near, near - 1, near + 1].map((time) => new Date(time)).find((found) => Object.is(found.getTime() / 1000, seconds));
    if (date === undefined) throw broken("a date that is none, or finer than milliseconds");
    return date;
  }

  #magnitude(): bigint {
    const first = byteAt(this.#take(1), 0);
    const length = first >> 5 === CBOR.bytes ? this.#argument(first) : Number.POSITIVE_INFINITY;
    if (length > MAX_CBOR_BIGINT_BYTES) throw broken(`an integer that is no byte string of at most ${MAX_CBOR_BIGINT_BYTES} bytes`);
    const bytes = this.#take(length);
    if (bytes[0] === 0) throw broken("an integer with a leading zero");
    let text = "0x0";
    for (const byte of bytes) text += byte.toString(16).padStart(2, "0");
    return BigInt(text);
  }

  #map(depth: number): ReadonlyMap<CborValue, CborValue> {
    const first = byteAt(this.#take(1), 0);
    if (first >> 5 !== CBOR.map) throw broken("a Map that is no map");
    const count = this.#argument(first);
    const names = new Set<string>();
    const entries = new Map<CborValue, CborValue>();
    for (let place = 0; place < count; place++) {
      const start = this.#at;
      const key = this.item(depth + 1);
      if (Object.is(key, -0)) throw broken("a Map with the key -0, which a Map turns into 0");
      names.add(keyName(this.#bytes.subarray(start, this.#at)));
      entries.set(key, this.item(depth + 1));
    }
    if (names.size !== count) throw broken("a Map with a key that stands twice");
    return entries;
  }

  /** RFC 8949 §3, in the fewest bytes. */
  #argument(first: number): number {
    const info = first & 0x1f;
    if (info < 24) return info;
    const width = WIDTHS.get(info);
    if (width === undefined) throw broken("a head that is not known");
    let value = 0;
    for (const byte of this.#take(width)) value = value * 0x100 + byte;
    if (value < (LEAST.get(width) ?? 0)) throw broken("a head that is not the shortest");
    if (!Number.isSafeInteger(value)) throw broken("an integer that is no number");
    return value;
  }

  #take(length: number): Uint8Array {
    const start = this.#at;
    if (length > this.#bytes.length - start) throw broken("less than it says");
    this.#at = start + length;
    return this.#bytes.subarray(start, this.#at);
  }
}

function isOneNaN(bytes: Uint8Array): boolean {
  return bytes[0] === 0x7f && bytes[1] === 0xf8 && bytes.subarray(2).every((byte) => byte === 0);
}

function broken(what: string): Error {
  return malformed(`what was decrypted is no value of the type cbor: it holds ${what}`);
}

const SIMPLE_OF: ReadonlyMap<number, { readonly value: CborValue }> = new Map([
  [0xf4, { value: false }],
  [0xf5, { value: true }],
  [0xf6, { value: null }],
  [0xf7, { value: undefined }],
]);
/** Bytes of an argument by the five bits that announce it, and the least value that needs so many. */
const WIDTHS: ReadonlyMap<number, number> = new Map([
  [24, 1],
  [25, 2],
  [26, 4],
  [27, 8],
]);
const LEAST: ReadonlyMap<number, number> = new Map([
  [1, 24],
  [2, 0x100],
  [4, 0x10000],
  [8, 0x1_0000_0000],
]);
