import { byteAt, copyOf, equalPublicBytes, textOf, writeUint16, writeUint32 } from "../base/bytes.ts";
import { malformed } from "../base/errors.ts";

/**
 * Reads the CBOR profile of docs/format.md §7 strictly: definite arrays, integers below 2^32, well-formed text, byte strings,
 * shortest heads. It never runs past `end`, allocates nothing for a declared length, and names the field in every error.
 *
 * @throws `malformed-envelope` from every method
 */
export class ProfileReader {
  readonly #bytes: Uint8Array;
  readonly #end: number;
  #offset: number;

  constructor(bytes: Uint8Array, start: number, end: number) {
    this.#bytes = bytes;
    this.#offset = start;
    this.#end = end;
  }

  /** The offset at which the next item begins. */
  get offset(): number {
    return this.#offset;
  }

  /** The number of items of an array, which follow. */
  array(field: string, least: number, most: number): number {
    return this.#head(MAJOR_ARRAY, field, least, most);
  }

  uint(field: string): number {
    return this.#head(MAJOR_UINT, field, 0, 0xffffffff);
  }

  /** A view of the bytes of a byte string. */
  bytes(field: string, least: number, most: number): Uint8Array {
    return this.#take(this.#head(MAJOR_BYTES, field, least, most), field);
  }

  /** A text string, its limits in bytes of UTF-8. */
  text(field: string, least: number, most: number): string {
    const bytes = this.#take(this.#head(MAJOR_TEXT, field, least, most), field);
    const latest = LATEST.get(field);
    if (latest !== undefined && equalPublicBytes(latest.bytes, bytes)) return latest.text;
    const text = textOf(bytes);
    if (text === undefined) throw malformed(`${field} is not well-formed UTF-8`);
    LATEST.set(field, { bytes: copyOf(bytes), text });
    return text;
  }

  // RFC 8949 §3: three bits of type, five of value or of the value's length
  #head(major: number, field: string, least: number, most: number): number {
    const initial = this.#byte(field);
    if (initial >> 5 !== major) throw malformed(`${field} has CBOR type ${initial >> 5}, expected ${major}`);
    const value = this.#value(initial & 0x1f, field);
    if (value < least || value > most) throw malformed(`${field} is ${value}, expected ${least} to ${most}`);
    return value;
  }

  #value(info: number, field: string): number {
    if (info < 24) return info;
    const width = info === 24 ? 1 : info === 25 ? 2 : info === 26 ? 4 : undefined;
    if (width === undefined) throw malformed(`${field} has a CBOR head outside the profile`);
    this.#require(width, field);
    let value = 0;
    for (let left = width; left > 0; left--) value = value * 256 + byteAt(this.#bytes, this.#offset++);
    const shortest = width === 1 ? 24 : width === 2 ? 0x100 : 0x10000;
    if (value < shortest) throw malformed(`${field} has a CBOR head that is not the shortest`);
    return value;
  }

  /** Takes the next byte where it stands, because a view of it takes longer to make than all else about it. */
  #byte(field: string): number {
    this.#require(1, field);
    return byteAt(this.#bytes, this.#offset++);
  }

  #take(length: number, field: string): Uint8Array {
    this.#require(length, field);
    const start = this.#offset;
    this.#offset += length;
    return this.#bytes.subarray(start, this.#offset);
  }

  #require(length: number, field: string): void {
    const left = this.#end - this.#offset;
    if (length > left) throw malformed(`${field} needs ${length} bytes, ${left} left`);
  }
}

/** Writes the same profile into a target that was measured with `headBytes`. */
export class ProfileWriter {
  readonly #target: Uint8Array;
  #offset: number;

  constructor(target: Uint8Array, offset: number) {
    this.#target = target;
    this.#offset = offset;
  }

  array(items: number): void {
    this.#head(MAJOR_ARRAY, items);
  }

  uint(value: number): void {
    this.#head(MAJOR_UINT, value);
  }

  bytes(bytes: Uint8Array): void {
    this.#head(MAJOR_BYTES, bytes.length);
    this.#put(bytes);
  }

  text(utf8Bytes: Uint8Array): void {
    this.#head(MAJOR_TEXT, utf8Bytes.length);
    this.#put(utf8Bytes);
  }

  #put(bytes: Uint8Array): void {
    this.#target.set(bytes, this.#offset);
    this.#offset += bytes.length;
  }

  #head(major: number, value: number): void {
    const target = this.#target;
    const type = major << 5;
    if (value < 24) {
      target[this.#offset] = type | value;
    } else if (value < 0x100) {
      target[this.#offset] = type | 24;
      target[this.#offset + 1] = value;
    } else if (value < 0x10000) {
      target[this.#offset] = type | 25;
      writeUint16(target, this.#offset + 1, value);
    } else {
      target[this.#offset] = type | 26;
      writeUint32(target, this.#offset + 1, value);
    }
    this.#offset += headBytes(value);
  }
}

/** The length of the head that holds `value`. */
export function headBytes(value: number): number {
  return value < 24 ? 1 : value < 0x100 ? 2 : value < 0x10000 ? 3 : 5;
}

/** The latest text of each field: most headers name the same key, and to decode its name takes longer than to compare it. */
const LATEST = new Map<string, { readonly bytes: Uint8Array; readonly text: string }>();
const MAJOR_UINT = 0;
const MAJOR_BYTES = 2;
const MAJOR_TEXT = 3;
const MAJOR_ARRAY = 4;
