import { isSurrogate, utf8Length, writeUint16 } from "./bytes.ts";
import { invalidArgument } from "./errors.ts";

/**
 * What a value belongs to: given at encryption and again at decryption, never stored. Order does not matter, every byte does.
 * At most 64 pairs and 8 KiB encoded; keys not empty; text well formed. No Unicode normalisation.
 */
export type Context = Readonly<Record<string, string>>;

/** A context that passed every check, with its canonical bytes. docs/format.md §2 */
export interface CanonicalContext {
  /** Ascending by UTF-8 bytes of the key. */
  readonly pairs: readonly ContextPair[];
  /** Shared: read only. */
  readonly bytes: Uint8Array;
  /** The same as a map, frozen and without a prototype. */
  readonly map: Context;
}

/**
 * Checks and encodes a context.
 *
 * @throws `invalid-argument` for anything that docs/format.md §2 rejects
 */
export function canonicalContext(context: Context | undefined): CanonicalContext {
  if (context === undefined) return EMPTY_CONTEXT;
  const pairs = sortedPairs(context);
  return pairs.length === 0 ? EMPTY_CONTEXT : new PairContext(pairs);
}

/**
 * The value context: the key context plus what belongs to the one value.
 *
 * @throws `invalid-argument` if a key stands in both with different values, or the whole breaks a limit
 */
export function extendContext(keyContext: CanonicalContext, context: Context | undefined): CanonicalContext {
  if (context === undefined) return keyContext;
  const pairs = sortedPairs(context);
  if (pairs.length === 0) return keyContext;
  const merged = keyContext.pairs.length === 0 ? pairs : mergePairs(keyContext.pairs, pairs);
  return new PairContext(merged);
}

type ContextPair = readonly [key: string, value: string];

class PairContext implements CanonicalContext {
  readonly pairs: readonly ContextPair[];
  readonly bytes: Uint8Array;
  #map: Context | undefined;

  constructor(pairs: readonly ContextPair[]) {
    this.pairs = pairs;
    this.bytes = encodePairs(pairs);
  }

  get map(): Context {
    const map = this.#map ?? mapOf(this.pairs);
    this.#map = map;
    return map;
  }
}

/** Without a prototype, so that a key called `__proto__` is a key like any other. */
function mapOf(pairs: readonly ContextPair[]): Context {
  const map: Record<string, string> = Object.create(null);
  for (const [key, value] of pairs) map[key] = value;
  return Object.freeze(map);
}

function sortedPairs(context: Context): readonly ContextPair[] {
  // a Map has no keys of its own, and would pass for an empty context
  if (typeof context !== "object" || context === null || Symbol.iterator in context) {
    throw invalidArgument("context must be an object of strings");
  }
  const pairs: ContextPair[] = [];
  for (const key of Object.keys(context)) {
    const value = context[key];
    if (typeof value !== "string") throw invalidArgument(`context value of "${key}" must be a string`);
    if (key === "") throw invalidArgument("context keys must not be empty");
    pairs.push([key, value]);
  }
  if (pairs.length > MAX_PAIRS) throw invalidArgument(`context has ${pairs.length} pairs, at most ${MAX_PAIRS} are allowed`);
  return pairs.length < 2 ? pairs : pairs.sort(([a], [b]) => compareUtf8(a, b));
}

function mergePairs(left: readonly ContextPair[], right: readonly ContextPair[]): readonly ContextPair[] {
  const merged: ContextPair[] = [];
  let l = 0;
  let r = 0;
  for (;;) {
    const a = left[l];
    const b = right[r];
    if (a === undefined || b === undefined) break;
    const order = compareUtf8(a[0], b[0]);
    if (order === 0 && a[1] !== b[1]) throw invalidArgument(`context key "${a[0]}" stands in the key context with another value`);
    if (order <= 0) l++;
    if (order >= 0) r++;
    merged.push(order <= 0 ? a : b);
  }
  merged.push(...left.slice(l), ...right.slice(r));
  if (merged.length > MAX_PAIRS) throw invalidArgument(`context has ${merged.length} pairs, at most ${MAX_PAIRS} are allowed`);
  return merged;
}

// docs/format.md §2: u16 count | ( u16 len | key | u16 len | value )*
function encodePairs(pairs: readonly ContextPair[]): Uint8Array {
  let length = 2;
  for (const [key, value] of pairs) length += 4 + contextTextBytes(key) + contextTextBytes(value);
  if (length > MAX_ENCODED_BYTES) throw invalidArgument(`context takes ${length} bytes, at most ${MAX_ENCODED_BYTES} are allowed`);
  const encoded = new Uint8Array(length);
  writeUint16(encoded, 0, pairs.length);
  let offset = 2;
  for (const [key, value] of pairs) offset = writeText(value, encoded, writeText(key, encoded, offset));
  return encoded;
}

function writeText(text: string, target: Uint8Array, start: number): number {
  let at = start + 2;
  for (let index = 0; index < text.length; index++) {
    let point = text.charCodeAt(index);
    if (point < 0x80) {
      target[at++] = point;
      continue;
    }
    if (point < 0x800) {
      target[at++] = 0xc0 | (point >> 6);
    } else {
      if (isSurrogate(point)) {
        point = 0x10000 + ((point & 0x3ff) << 10) + (text.charCodeAt(++index) & 0x3ff);
        target[at++] = 0xf0 | (point >> 18);
        target[at++] = 0x80 | ((point >> 12) & 0x3f);
      } else {
        target[at++] = 0xe0 | (point >> 12);
      }
      target[at++] = 0x80 | ((point >> 6) & 0x3f);
    }
    target[at++] = 0x80 | (point & 0x3f);
  }
  writeUint16(target, start, at - start - 2);
  return at;
}

function contextTextBytes(text: string): number {
  const length = utf8Length(text);
  if (length === undefined) throw invalidArgument("context text holds a lone surrogate");
  return length;
}

/** Order of the UTF-8 bytes, which is code point order: surrogates stand above U+E000..U+FFFF, not below as in UTF-16. */
export function compareUtf8(a: string, b: string): number {
  const shorter = Math.min(a.length, b.length);
  for (let index = 0; index < shorter; index++) {
    const x = a.charCodeAt(index);
    const y = b.charCodeAt(index);
    if (x === y) continue;
    if (isSurrogate(x) === isSurrogate(y)) return x - y;
    return isSurrogate(x) ? 1 : -1; // a surrogate begins an astral code point, above every unit that is none
  }
  return a.length - b.length;
}

const MAX_PAIRS = 64;
const MAX_ENCODED_BYTES = 8192;

export const EMPTY_CONTEXT: CanonicalContext = { pairs: [], bytes: new Uint8Array(0), map: mapOf([]) };
