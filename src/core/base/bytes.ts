import { EnvelockError } from "./errors.ts";

/** Bytes that own exactly their ArrayBuffer. Everything that leaves the library is one of these. */
export type OwnedBytes = Uint8Array<ArrayBuffer>;

/**
 * Returns a plain view of a caller's bytes, never a Buffer, whose `slice` would share memory. Every edge where bytes come in uses it. Of a
 * subclass it takes what the array is, and not what the getters of the class say.
 *
 * Returns a copy of memory that another thread shares, because that could change between the check of a tag and the decryption. Memory
 * that can be resized or transferred away is not copied. A caller of this that waits before it uses the view compares lengths: see `requireAttached`.
 *
 * @throws `invalid-argument` for bytes whose memory is gone already, which would pass for no bytes
 */
export function viewOf(bytes: Uint8Array): Uint8Array {
  const isPlain = Object.getPrototypeOf(bytes) === Uint8Array.prototype;
  const buffer = isPlain ? bytes.buffer : bufferOf.call(bytes);
  if ((isPlain ? bytes.byteLength : byteLengthOf.call(bytes)) === 0) requireMemory(bytes);
  if (!(buffer instanceof ArrayBuffer)) return copyOf(bytes);
  return isPlain ? bytes : new Uint8Array(buffer, byteOffsetOf.call(bytes), byteLengthOf.call(bytes));
}

/** The methods of an array throw where its memory was transferred away or shrank below its beginning; its length is 0 then. */
function requireMemory(bytes: Uint8Array): void {
  try {
    Uint8Array.prototype.at.call(bytes, 0);
  } catch (cause) {
    throw new EnvelockError("invalid-argument", "the memory of the bytes was transferred away, or resized", {
      cause,
      hint: "give a copy of the bytes",
    });
  }
}

/** Copies bytes into an ArrayBuffer of their own. */
export function copyOf(bytes: Uint8Array): OwnedBytes {
  return new Uint8Array(bytes);
}

/** Returns the same bytes, without a copy if they already own exactly their ArrayBuffer. */
export function ownedBytes(bytes: Uint8Array): OwnedBytes {
  const { buffer } = bytes;
  return bytes.byteLength === buffer.byteLength && buffer instanceof ArrayBuffer ? new Uint8Array(buffer) : copyOf(bytes);
}

export function concatBytes(...parts: readonly Uint8Array[]): OwnedBytes {
  let length = 0;
  for (const part of parts) length += part.length;
  const joined = new Uint8Array(length);
  let offset = 0;
  for (const part of parts) {
    joined.set(part, offset);
    offset += part.length;
  }
  return joined;
}

/** Overwrites with zeros. Best effort: the engine and the garbage collector may hold copies. */
export function wipe(...secrets: readonly (Uint8Array | undefined)[]): void {
  for (const secret of secrets) secret?.fill(0);
}

/** Lets `use` work on a copy of a secret that is wiped afterwards, whatever happens. */
export function wiping<R>(secret: Uint8Array, use: (secret: Uint8Array) => R): R {
  try {
    return use(secret);
  } finally {
    wipe(secret);
  }
}

/** Compares public bytes. Secrets are compared by `engine.timingSafeEqual`. */
export function equalPublicBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let at = 0; at < a.length; at++) if (a[at] !== b[at]) return false;
  return true;
}

/** Whether a value is a Uint8Array, of this realm or of another, such as a frame's or a test runner's. */
export function isBytes(value: unknown): value is Uint8Array {
  // the first question also tells a proxy, which passes for an array until its bytes are read
  return ArrayBuffer.isView(value) && (value instanceof Uint8Array || typedArrayName.call(value) === "Uint8Array");
}

/** Encodes ASCII text, for labels. */
export function ascii(text: string): OwnedBytes {
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at++) bytes[at] = text.charCodeAt(at);
  return bytes;
}

export function utf8(text: string): OwnedBytes {
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit >= 0x80) return ownedBytes(ENCODER.encode(text));
    bytes[at] = unit; // most texts are short and ASCII, and the encoder costs more than this loop
  }
  return bytes;
}

/** Encodes well-formed text as UTF-8. Returns undefined for a lone surrogate. */
export function wellFormedUtf8(text: string): OwnedBytes | undefined {
  const bytes = utf8(text);
  return bytes.length === text.length || utf8Length(text) !== undefined ? bytes : undefined;
}

/** Counts the bytes of a text in UTF-8. Returns undefined for a lone surrogate: all of them would encode to the same three bytes. */
export function utf8Length(text: string): number | undefined {
  let length = text.length;
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    if (unit < 0x80) continue;
    length += unit < 0x800 ? 1 : 2;
    if (!isSurrogate(unit)) continue;
    const low = text.charCodeAt(index + 1);
    if (unit >= 0xdc00 || !(low >= 0xdc00 && low < 0xe000)) return undefined;
    index++; // two units, four bytes: the second unit is counted by `text.length`
  }
  return length;
}

/** Whether a value is well-formed text of 1 to `mostBytes` bytes in UTF-8. */
export function isTextOfAtMost(mostBytes: number, value: unknown): value is string {
  const bytes = typeof value === "string" ? utf8Length(value) : undefined;
  return bytes !== undefined && bytes >= 1 && bytes <= mostBytes;
}

/** Whether a UTF-16 unit is half of an astral code point. */
export function isSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit < 0xe000;
}

/** Decodes UTF-8. Returns undefined for bytes that are not well formed. */
export function textOf(bytes: Uint8Array): string | undefined {
  try {
    return DECODER.decode(bytes);
  } catch {
    return undefined;
  }
}

export function toHex(bytes: Uint8Array): string {
  let hex = "";
  for (const byte of bytes) hex += byte.toString(16).padStart(2, "0");
  return hex;
}

/** Decodes hex. Returns undefined for upper case, a foreign character or an odd length, so that each value has one spelling. */
export function fromHex(hex: string): OwnedBytes | undefined {
  if (!/^(?:[0-9a-f]{2})*$/.test(hex)) return undefined;
  const bytes = new Uint8Array(hex.length / 2);
  for (let at = 0; at < bytes.length; at++) bytes[at] = Number.parseInt(hex.slice(2 * at, 2 * at + 2), 16);
  return bytes;
}

/** Encodes as base64url without padding. */
export function toBase64Url(bytes: Uint8Array): string {
  let text = "";
  let at = 0;
  for (; at + 2 < bytes.length; at += 3) {
    const bits = (byteAt(bytes, at) << 16) | (byteAt(bytes, at + 1) << 8) | byteAt(bytes, at + 2);
    text += `${ALPHABET[bits >> 18]}${ALPHABET[(bits >> 12) & 63]}${ALPHABET[(bits >> 6) & 63]}${ALPHABET[bits & 63]}`;
  }
  if (at + 1 === bytes.length) {
    const bits = byteAt(bytes, at) << 4;
    text += `${ALPHABET[bits >> 6]}${ALPHABET[bits & 63]}`;
  } else if (at + 2 === bytes.length) {
    const bits = (byteAt(bytes, at) << 10) | (byteAt(bytes, at + 1) << 2);
    text += `${ALPHABET[bits >> 12]}${ALPHABET[(bits >> 6) & 63]}${ALPHABET[bits & 63]}`;
  }
  return text;
}

/**
 * Decodes canonical base64url. Returns undefined for padding, a foreign character, an impossible length or unused bits that are set, so
 * that each value has one spelling.
 */
export function fromBase64Url(text: string): OwnedBytes | undefined {
  const tail = text.length % 4;
  if (tail === 1) return undefined;
  const bytes = new Uint8Array(Math.floor((text.length * 3) / 4));
  let bits = 0;
  let bitCount = 0;
  let out = 0;
  for (let at = 0; at < text.length; at++) {
    const value = VALUE_OF[text.charCodeAt(at)];
    if (value === undefined || value === NO_VALUE) return undefined;
    bits = ((bits << 6) | value) & 0xffffff;
    bitCount += 6;
    if (bitCount >= 8) {
      bitCount -= 8;
      bytes[out++] = bits >> bitCount;
    }
  }
  return (bits & ((1 << bitCount) - 1)) === 0 ? bytes : undefined;
}

/** Returns a byte that is known to be there, without the undefined of an index. */
export function byteAt(bytes: Uint8Array, at: number): number {
  return bytes[at] ?? 0;
}

export function readUint32(bytes: Uint8Array, at: number): number {
  return ((byteAt(bytes, at) << 24) | (byteAt(bytes, at + 1) << 16) | (byteAt(bytes, at + 2) << 8) | byteAt(bytes, at + 3)) >>> 0;
}

export function writeUint16(target: Uint8Array, at: number, value: number): void {
  target[at] = value >>> 8;
  target[at + 1] = value;
}

export function writeUint32(target: Uint8Array, at: number, value: number): void {
  writeUint16(target, at, value >>> 16);
  writeUint16(target, at + 2, value);
}

/** Reads a property of a typed array from its internal slot, which no class and no property of the value can change. */
function slotReader<T>(name: string | symbol, otherwise: T): (this: unknown) => T {
  return Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Uint8Array.prototype), name)?.get ?? (() => otherwise);
}

/** The kind of a typed array. */
const typedArrayName = slotReader<unknown>(Symbol.toStringTag, undefined);
const bufferOf = slotReader<ArrayBufferLike>("buffer", new ArrayBuffer(0));
const byteOffsetOf = slotReader("byteOffset", 0);
const byteLengthOf = slotReader("byteLength", 0);
const ENCODER = new TextEncoder();
const DECODER = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const NO_VALUE = 255;
const VALUE_OF: Uint8Array = new Uint8Array(128).fill(NO_VALUE);
for (let value = 0; value < 64; value++) VALUE_OF[ALPHABET.charCodeAt(value)] = value;
