import { bytesToHex } from "@noble/hashes/utils.js";
import { malformed } from "./failure.ts";

/** docs/format.md §5.2, the profile of `cbor`: a value in the diagnostic notation of RFC 8949 §8. */
export function readCborValue(bytes: Uint8Array): string {
  const items = new Items(bytes);
  const text = items.value(0);
  if (!items.isAtEnd) throw malformed();
  return text;
}

class Items {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  /** @param depth how many arrays and maps stand around the item */
  value(depth: number): string {
    if (depth > 64) throw malformed();
    const first = this.#take(1)[0] ?? 0;
    const [major, info] = [first >> 5, first & 31];
    if (major === 7) return info === 27 ? float(this.#take(8)) : simple(info);
    const argument = this.#argument(info);
    if (major === 0) return integer(argument);
    if (major === 1) return integer(-1n - argument);
    if (major === 2) return `h'${bytesToHex(this.#take(length(argument)))}'`;
    if (major === 3) return JSON.stringify(textIn(this.#take(length(argument))));
    if (major === 4) return `[${this.#list(length(argument), () => this.value(depth + 1)).join(", ")}]`;
    if (major === 5) return this.#map(length(argument), depth, (key) => key.startsWith('"') && key !== '"__proto__"');
    return this.#tagged(argument, depth);
  }

  #tagged(tag: bigint, depth: number): string {
    if (tag === 259n) {
      const head = this.#take(1)[0] ?? 0;
      if (head >> 5 !== 5) throw malformed();
      return `259(${this.#map(length(this.#argument(head & 31)), depth, (key) => key !== "-0.0")})`;
    }
    const inner = this.value(depth);
    const isBigint = /^h'(?:(?!00)(?:[0-9a-f]{2}){1,1024})?'$/.test(inner);
    const isRight = tag === 1n ? isSeconds(inner) : (tag === 2n || tag === 3n) && isBigint;
    if (!isRight) throw malformed();
    return `${tag}(${inner})`;
  }

  #map(count: number, depth: number, isKey: (key: string) => boolean): string {
    const keys = new Set<string>();
    const pairs = this.#list(count, () => {
      const start = this.#at;
      const key = this.value(depth + 1);
      const encoded = bytesToHex(this.#bytes.subarray(start, this.#at));
      if (!isKey(key) || keys.has(encoded)) throw malformed();
      keys.add(encoded);
      return `${key}: ${this.value(depth + 1)}`;
    });
    return `{${pairs.join(", ")}}`;
  }

  #list(count: number, next: () => string): readonly string[] {
    const items: string[] = [];
    while (items.length < count) items.push(next());
    return items;
  }

  #argument(info: number): bigint {
    if (info < 24) return BigInt(info);
    const width = [1, 2, 4, 8][info - 24];
    if (width === undefined) throw malformed();
    const value = BigInt(`0x${bytesToHex(this.#take(width))}`);
    if (value < (width === 1 ? 24n : 1n << BigInt(4 * width))) throw malformed();
    return value;
  }

  #take(count: number): Uint8Array {
    if (this.#at + count > this.#bytes.length) throw malformed();
    this.#at += count;
    return this.#bytes.subarray(this.#at - count, this.#at);
  }
}

function integer(value: bigint): string {
  if (value > MOST || value < -MOST) throw malformed();
  return `${value}`;
}

function float(bytes: Uint8Array): string {
  const value = Buffer.from(bytes).readDoubleBE();
  if (Number.isNaN(value) && bytesToHex(bytes) !== "7ff8000000000000") throw malformed();
  if (Number.isSafeInteger(value) && !Object.is(value, -0)) throw malformed();
  if (Object.is(value, -0)) return "-0.0";
  return Number.isInteger(value) ? `${value}.0` : `${value}`;
}

function simple(info: number): string {
  const text = ["false", "true", "null", "undefined"][info - 20];
  if (text === undefined) throw malformed();
  return text;
}

function isSeconds(text: string): boolean {
  if (!/^-?\d+(?:\.\d+)?(?:e[+-]?\d+)?$/.test(text) || text === "-0.0") return false;
  const ms = Math.round(Number(text) * 1000);
  return Math.abs(ms) <= 8.64e15 && ms / 1000 === Number(text);
}

function textIn(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw malformed();
  }
}

function length(argument: bigint): number {
  return Number(argument);
}

const MOST = BigInt(Number.MAX_SAFE_INTEGER);
