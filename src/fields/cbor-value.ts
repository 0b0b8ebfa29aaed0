import { isBytes, viewOf, wellFormedUtf8, wipe } from "../core/base/bytes.ts";
import { timeOf } from "../core/base/dates.ts";
import { invalidArgument, unreadable } from "../core/base/errors.ts";
import { isPlain, isPlainArray } from "../core/base/plain.ts";

/** Values that a column of the type `cbor` holds. They come back the same, `undefined` apart from `null` and -0 apart from 0. */
export type CborValue =
  | null
  | undefined
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | Date
  | readonly CborValue[]
  | ReadonlyMap<CborValue, CborValue>
  | { readonly [key: string]: CborValue };

/**
 * Encodes a value as CBOR in the profile of docs/format.md §5.2, where each value has one encoding, and calls `use` with the bytes. The
 * bytes are wiped once `use` has returned or thrown.
 *
 * @throws `invalid-argument` for a value that would not come back the same: an instance of a class, a Set, a function, a symbol, a hole in an
 *   array, a property beside the content, an invalid date, a lone surrogate, a cycle; for a getter or a proxy that throws
 */
export function withCbor<R>(value: unknown, use: (bytes: Uint8Array) => R): R {
  const writer = new CborWriter();
  try {
    writer.value(value);
    return use(writer.written);
  } finally {
    writer.wipe();
  }
}

/** A writer into a buffer that grows. Buffers that it leaves are wiped. */
class CborWriter {
  #buffer = new Uint8Array(FIRST_BYTES);
  #length = 0;

  /** A view of what is written so far. */
  get written(): Uint8Array {
    return this.#buffer.subarray(0, this.#length);
  }

  wipe(): void {
    wipe(this.#buffer);
  }

  value(value: unknown): void {
    try {
      this.item(value, 0);
    } catch (error) {
      throw unreadable("the value", error);
    }
  }

  item(value: unknown, depth: number): void {
    if (depth > MAX_CBOR_DEPTH) throw notCbor(`a value nested deeper than ${MAX_CBOR_DEPTH}, or one that holds itself`);
    const simple = SIMPLE_VALUES.get(value);
    if (simple !== undefined) this.#byte(simple);
    else if (typeof value === "number") this.#number(value);
    else if (typeof value === "string") this.#text(value);
    else if (typeof value === "bigint") this.#bigint(value);
    else if (typeof value === "object" && value !== null) this.#object(value, depth);
    else throw notCbor(`a ${typeof value}`);
  }

  #object(value: object, depth: number): void {
    const time = timeOf(value);
    const entries = entriesOf(value);
    if (isBytes(value)) this.#bytes(viewOf(value));
    else if (time !== undefined) this.#date(value, time);
    else if (Array.isArray(value)) this.#array(value, depth);
    else if (entries !== undefined) this.#map(value, entries, depth);
    else this.#members(value, depth);
  }

  #number(value: number): void {
    if (!Number.isSafeInteger(value) || Object.is(value, -0)) this.#float(value);
    else if (value >= 0) this.#head(CBOR.uint, value);
    else this.#head(CBOR.negative, -1 - value);
  }

  #float(value: number): void {
    const at = this.#reserve(9);
    this.#buffer[at] = CBOR.float64;
    const view = new DataView(this.#buffer.buffer);
    if (Number.isNaN(value))
      view.setUint32(at + 1, NAN_HIGH); // the bits of a NaN are the engine's choice
    else view.setFloat64(at + 1, value);
  }

  #bigint(value: bigint): void {
    const magnitude = value < 0n ? -1n - value : value;
    const digits = magnitude === 0n ? "" : magnitude.toString(16);
    const length = Math.ceil(digits.length / 2);
    if (length > MAX_CBOR_BIGINT_BYTES) throw notCbor(`an integer of more than ${MAX_CBOR_BIGINT_BYTES} bytes`);
    this.#byte(value < 0n ? CBOR.negativeBigint : CBOR.bigint);
    this.#head(CBOR.bytes, length);
    const padded = digits.padStart(2 * length, "0");
    for (let at = 0; at < length; at++) this.#byte(Number.parseInt(padded.slice(2 * at, 2 * at + 2), 16));
  }

  #text(text: string): void {
    const bytes = wellFormedUtf8(text);
    if (bytes === undefined) throw notCbor("text with a lone surrogate");
    this.#head(CBOR.text, bytes.length);
    this.#put(bytes);
    wipe(bytes);
  }

  #bytes(bytes: Uint8Array): void {
    this.#head(CBOR.bytes, bytes.length);
    this.#put(bytes);
  }

  #date(date: object, time: number): void {
    if (!isPlain(date, 2, 0)) throw notCbor("a date of a class, or with members of its own");
    if (Number.isNaN(time)) throw notCbor("an invalid date");
    this.#byte(CBOR.date);
    this.#number(time / 1000);
  }

  #array(items: readonly unknown[], depth: number): void {
    const { length } = items;
    if (!isPlainArray(items)) throw notCbor("an array of a class, with holes, or with members beside its items");
    this.#head(CBOR.array, length);
    for (let at = 0; at < length; at++) this.item(items[at], depth + 1);
  }

  #map(map: object, entries: readonly (readonly [unknown, unknown])[], depth: number): void {
    if (!isPlain(map, 2, 0)) throw notCbor("a Map of a class, or with members of its own");
    this.#head(CBOR.tag, CBOR.mapTag);
    this.#head(CBOR.map, entries.length);
    const keys = new Set<string>();
    for (const [key, value] of entries) {
      const start = this.#length;
      this.item(key, depth + 1);
      keys.add(keyName(this.#buffer.subarray(start, this.#length)));
      this.item(value, depth + 1);
    }
    if (keys.size !== entries.length) throw notCbor("a Map with keys that differ as objects and are equal as values");
  }

  #members(value: object, depth: number): void {
    const members: readonly (readonly [string, unknown])[] = Object.entries(value);
    if (!isPlain(value, 1, members.length))
      throw notCbor("an instance of a class, a Set or an error, or an object with symbols or hidden members");
    this.#head(CBOR.map, members.length);
    for (const [key, member] of members) {
      if (key === UNSAFE_KEY) throw notCbor(`an object with a key ${UNSAFE_KEY}: give a Map`);
      this.#text(key);
      this.item(member, depth + 1);
    }
  }

  /** RFC 8949 §3: three bits of type, then the argument in the fewest bytes. */
  #head(major: number, argument: number): void {
    const [info, bytes] = argumentForm(argument);
    this.#byte((major << 5) | info);
    const at = this.#reserve(bytes);
    let rest = argument;
    for (let place = at + bytes - 1; place >= at; place--) {
      this.#buffer[place] = rest % 0x100;
      rest = Math.floor(rest / 0x100);
    }
  }

  #byte(byte: number): void {
    const at = this.#reserve(1);
    this.#buffer[at] = byte;
  }

  #put(bytes: Uint8Array): void {
    const at = this.#reserve(bytes.length);
    this.#buffer.set(bytes, at);
  }

  /** Returns where the next `bytes` bytes begin. */
  #reserve(bytes: number): number {
    const start = this.#length;
    this.#length = start + bytes;
    if (this.#length > this.#buffer.length) {
      const outgrown = this.#buffer;
      this.#buffer = new Uint8Array(2 * this.#length);
      this.#buffer.set(outgrown.subarray(0, start));
      wipe(outgrown);
    }
    return start;
  }
}

/** The five bits that announce an argument, and the bytes that follow. */
function argumentForm(argument: number): readonly [info: number, bytes: number] {
  if (argument < 24) return [argument, 0];
  if (argument < 0x100) return [24, 1];
  if (argument < 0x10000) return [25, 2];
  return argument < 0x1_0000_0000 ? [26, 4] : [27, 8];
}

/** The entries of a Map of any realm; undefined for what is none. */
function entriesOf(value: object): readonly (readonly [unknown, unknown])[] | undefined {
  const entries: [unknown, unknown][] = [];
  try {
    Reflect.apply(Map.prototype.forEach, value, [(member: unknown, key: unknown) => void entries.push([key, member])]);
  } catch {
    return undefined; // the method refuses whatever has no slot of a Map
  }
  return entries;
}

/** A text by which encoded keys are compared. */
export function keyName(bytes: Uint8Array): string {
  let name = "";
  for (const byte of bytes) name += String.fromCharCode(byte);
  return name;
}

function notCbor(what: string): Error {
  return invalidArgument(`a column of the type cbor cannot hold ${what}`);
}

/** Heads and types of docs/format.md §5.2. */
export const CBOR = {
  uint: 0,
  negative: 1,
  bytes: 2,
  text: 3,
  array: 4,
  map: 5,
  tag: 6,
  /** Tag 1: seconds since 1970. */
  date: 0xc1,
  bigint: 0xc2,
  negativeBigint: 0xc3,
  mapTag: 259,
  float64: 0xfb,
} as const;
export const SIMPLE_VALUES: ReadonlyMap<unknown, number> = new Map<unknown, number>([
  [false, 0xf4],
  [true, 0xf5],
  [null, 0xf6],
  [undefined, 0xf7],
]);
/** The key of a member that would reach the prototype of objects that are made of it. */
export const UNSAFE_KEY = "__proto__";
export const MAX_CBOR_DEPTH = 64;
export const MAX_CBOR_BIGINT_BYTES = 1024;
const FIRST_BYTES = 256;
/** The high half of the one NaN; the low half is zero, as the buffer is. */
const NAN_HIGH = 0x7ff80000;
