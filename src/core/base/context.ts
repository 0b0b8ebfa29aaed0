import { concatBytes, copyOf, isSurrogate, type OwnedBytes, writeUint16 } from "./bytes.ts";
import { invalidArgument, unreadable } from "./errors.ts";

/**
 * The context that a value belongs to. Encryption and decryption are given the same one, and it is never stored. The order of the pairs
 * does not matter; every byte does.
 * At most 64 pairs and 8 KiB encoded. Keys are not empty, and text is well formed. No Unicode normalisation takes place.
 */
export type Context = Readonly<Record<string, string>>;

/** The part of the context that is fixed for a data key, checked and encoded once. docs/format.md §2 */
export class KeyContext {
  /** The canonical encoding, empty for the empty context. Shared: read only. */
  readonly bytes: Uint8Array;
  /** The pairs as a frozen map without a prototype, so that a key called `__proto__` is a key like any other. */
  readonly map: Context;
  readonly #pairs: readonly Pair[];
  #plan: ContextPlan | undefined;
  #scratch: Uint8Array = NO_BYTES;

  /** @throws `invalid-argument` for anything that docs/format.md §2 rejects */
  constructor(context: Context = {}) {
    this.#pairs = pairsOf(context);
    this.map = mapOf(this.#pairs);
    this.bytes = new ContextPlan(this.#pairs, []).fixed;
    if (this.bytes.length > MAX_ENCODED_BYTES) throw tooLong(this.bytes.length);
  }

  /** Adds fixed pairs to this key context. @throws as `encode` */
  with(context: Context | undefined): KeyContext {
    if (context === undefined) return this;
    const added = mapOf(pairsOf(context)); // read once: a getter may answer otherwise the next time
    this.encode(added); // refuses what contradicts
    return new KeyContext({ ...this.map, ...added });
  }

  /** Plans the encoding of contexts with these keys, for a caller that encodes many. @throws as `encode`, except for faults of a value */
  plan(keys: readonly string[]): ContextPlan {
    return new ContextPlan(this.#pairs, keys);
  }

  /**
   * Encodes the value context: this key context plus the pairs of the one value. The result is shared if nothing is added.
   *
   * @throws `invalid-argument` if a key stands in both with different values, or the whole breaks a limit
   */
  encode(context: Context | undefined): Uint8Array {
    if (context === undefined) return this.bytes;
    const scratch = this.#scratch; // reading the context may run the caller's code, which may encode another context meanwhile
    const end = this.write(context, scratch, 0);
    if (end <= scratch.length) return copyOf(scratch.subarray(0, end));
    this.#scratch = new Uint8Array(2 * end);
    return this.encode(context);
  }

  /**
   * Writes the encoding of the value context and returns where it ends. If that is past the end of `target`, the caller takes a
   * longer one and writes again: measuring first would cost as much as writing. The context is read before the first byte is
   * written, because a getter of it may itself write to `target`.
   *
   * @throws as `encode`
   */
  write(context: Context | undefined, target: Uint8Array, offset: number): number {
    if (context === undefined) {
      if (offset + this.bytes.length <= target.length) target.set(this.bytes, offset);
      return offset + this.bytes.length;
    }
    const keys = keysOf(context);
    // contexts of one call site have one shape: their plan is made once
    if (this.#plan === undefined || !this.#plan.isFor(keys)) this.#plan = new ContextPlan(this.#pairs, keys);
    return this.#plan.write(context, target, offset);
  }
}

/** The precomputed encoding of contexts with the same keys in the same order: fixed bytes, with the values written between them. */
export class ContextPlan {
  readonly #keys: readonly string[];
  /** The slots in the order of the encoding: fixed bytes, then the value of `key`. */
  readonly #slots: readonly Slot[];
  readonly #tail: Uint8Array;
  /** The slot, if it is the only one and no key stands in the key context too. */
  readonly #only: Slot | undefined;
  /** Keys that the key context holds too: their values must agree. */
  readonly #shared: readonly Pair[];

  constructor(fixed: readonly Pair[], keys: readonly string[]) {
    this.#keys = keys;
    this.#shared = fixed.filter(({ key }) => keys.includes(key));
    const varying = keys.filter((key) => !this.#shared.some((pair) => pair.key === key));
    const count = fixed.length + varying.length;
    if (count > MAX_PAIRS) throw invalidArgument(`context has ${count} pairs, at most ${MAX_PAIRS} are allowed`);
    const entries: readonly { key: string; value?: string }[] = [...fixed, ...varying.map((key) => ({ key: checkedKey(key) }))];
    const slots: Slot[] = [];
    let ready = count === 0 ? NO_BYTES : uint16(count);
    for (const { key, value } of [...entries].sort((a, b) => compareUtf8(a.key, b.key))) {
      ready = concatBytes(ready, encodedText(key));
      if (value !== undefined) {
        ready = concatBytes(ready, encodedText(value));
      } else {
        slots.push({ fixed: ready, key });
        ready = NO_BYTES;
      }
    }
    this.#slots = slots;
    this.#only = slots.length === 1 && this.#shared.length === 0 ? slots[0] : undefined;
    this.#tail = ready;
  }

  /** The whole encoding, if nothing varies. */
  get fixed(): Uint8Array {
    return this.#tail;
  }

  isFor(keys: readonly string[]): boolean {
    const own = this.#keys;
    if (own.length !== keys.length) return false;
    for (let place = 0; place < own.length; place++) if (own[place] !== keys[place]) return false;
    return true;
  }

  /** Like `KeyContext.write`, for a context that has the keys of the plan. */
  write(context: Context = NO_PAIRS, target: Uint8Array, offset: number): number {
    if (this.#only !== undefined) {
      const { fixed, key } = this.#only;
      const value = valueIn(context, key);
      return this.#end(writeText(checkedValue(key, value), target, put(fixed, target, offset)), target, offset);
    }
    const values = this.#slots.map(({ key }) => valueIn(context, key));
    const shared = this.#shared.map(({ key }) => valueIn(context, key));
    for (const [index, { key, value }] of this.#shared.entries()) {
      if (shared[index] !== value) throw invalidArgument(`context key "${key}" stands in the key context with another value`);
    }
    let at = offset;
    let place = 0;
    for (const { fixed, key } of this.#slots) {
      at = put(fixed, target, at);
      at = writeText(checkedValue(key, values[place++]), target, at);
    }
    return this.#end(at, target, offset);
  }

  #end(at: number, target: Uint8Array, offset: number): number {
    const end = put(this.#tail, target, at);
    if (end - offset > MAX_ENCODED_BYTES) throw tooLong(end - offset);
    return end;
  }
}

/** Copies a context as it is now. @throws `invalid-argument` for what is none */
export function copiedContext(context: Context): Context {
  return mapOf(pairsOf(context));
}

interface Slot {
  readonly fixed: Uint8Array;
  readonly key: string;
}

interface Pair {
  readonly key: string;
  readonly value: string;
}

function pairsOf(context: Context): readonly Pair[] {
  requireMap(context);
  return entriesOf(context).map(([key, value]) => ({ key: checkedKey(key), value: checkedValue(key, value) }));
}

function entriesOf(context: Context): readonly (readonly [key: string, value: unknown])[] {
  try {
    const entries = Object.entries(context);
    if (entries.length === 0) requirePlain(context);
    return entries;
  } catch (error) {
    throw unreadable("context", error);
  }
}

function valueIn(context: Context, key: string): unknown {
  try {
    return context[key];
  } catch (error) {
    throw unreadable("context", error);
  }
}

function keysOf(context: Context): readonly string[] {
  requireMap(context);
  try {
    const keys = Object.keys(context);
    if (keys.length === 0) requirePlain(context);
    return keys;
  } catch (error) {
    throw unreadable("context", error);
  }
}

function checkedKey(key: string): string {
  if (key === "") throw invalidArgument("context keys must not be empty");
  return key;
}

function checkedValue(key: string, value: unknown): string {
  if (typeof value !== "string") throw invalidArgument(`context value of "${key}" must be a string`, hintOnValue(value));
  return value;
}

function mapOf(pairs: readonly Pair[]): Context {
  const map: Record<string, string> = Object.create(null);
  for (const { key, value } of pairs) map[key] = value;
  return Object.freeze(map);
}

/** Compares by UTF-8 bytes, which is code point order: surrogates stand above U+E000..U+FFFF, not below as in UTF-16. */
export function compareUtf8(a: string, b: string): number {
  const shorter = Math.min(a.length, b.length);
  for (let index = 0; index < shorter; index++) {
    const x = a.charCodeAt(index);
    const y = b.charCodeAt(index);
    if (x === y) continue;
    if (isSurrogate(x) === isSurrogate(y)) return x - y;
    return isSurrogate(x) ? 1 : -1;
  }
  return a.length - b.length;
}

function encodedText(text: string): Uint8Array {
  const encoded = new Uint8Array(2 + 3 * text.length);
  return encoded.subarray(0, writeText(text, encoded, 0));
}

/** Writes `u16 len | UTF-8`. Refuses a lone surrogate, because all of them would encode to the same three bytes. */
function writeText(text: string, target: Uint8Array, start: number): number {
  if (text.length > MAX_ENCODED_BYTES) throw tooLong(text.length);
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
        point = text.codePointAt(index++) ?? point;
        if (point < 0x10000) throw invalidArgument("context text holds a lone surrogate");
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

/** Copies. Bytes that have no room in `target` are dropped: see `KeyContext.write`. */
function put(bytes: Uint8Array, target: Uint8Array, offset: number): number {
  const end = offset + bytes.length;
  if (end <= target.length) target.set(bytes, offset);
  return end;
}

function uint16(value: number): OwnedBytes {
  const bytes = new Uint8Array(2);
  writeUint16(bytes, 0, value);
  return bytes;
}

/** Refuses a Map, which has no keys of its own and would pass for an empty context. */
function requireMap(context: unknown): void {
  if (typeof context !== "object" || context === null || isIterable(context)) throw notMap(context);
}

/** Refuses a promise, and any other object of a class without keys of its own: it would pass for an empty context too. */
function requirePlain(context: object): void {
  const prototype: unknown = Object.getPrototypeOf(context);
  if (prototype !== null && Object.getPrototypeOf(prototype) !== null) throw notMap(context);
}

function notMap(context: unknown): Error {
  const hint =
    context instanceof Map
      ? "Object.fromEntries(map) makes one of a Map."
      : context instanceof Promise
        ? "It is a promise: await it first."
        : 'Give pairs: { tenant: "acme", object: "invoices/7" }.';
  return invalidArgument("context must be an object of strings", hint);
}

function isIterable(context: object): boolean {
  try {
    return Symbol.iterator in context;
  } catch (error) {
    throw unreadable("context", error);
  }
}

function hintOnValue(value: unknown): string {
  if (value === undefined) return "It is undefined: leave the key out, or check the name that it is read from.";
  return typeof value === "number" || typeof value === "bigint" || typeof value === "boolean"
    ? "String(value) makes text of it; decryption must be given the same text."
    : "Choose a text that stands for it and never changes, such as an id.";
}

function tooLong(bytes: number): Error {
  return invalidArgument(`context takes ${bytes} bytes or more, at most ${MAX_ENCODED_BYTES} are allowed`);
}

const MAX_PAIRS = 64;
const MAX_ENCODED_BYTES = 8192;
const NO_PAIRS: Context = {};
const NO_BYTES: OwnedBytes = new Uint8Array(0);
