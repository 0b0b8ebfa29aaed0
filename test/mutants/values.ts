import { aessiv } from "@noble/ciphers/aes.js";
import { hmac } from "@noble/hashes/hmac.js";
import { sha512 } from "@noble/hashes/sha2.js";
import { bytesToHex, concatBytes, hexToBytes, utf8ToBytes } from "@noble/hashes/utils.js";
import type { FieldType } from "../format/field-vectors.ts";
import { textOf } from "../format/vector-file.ts";
import type { IndexedValue, Pair } from "../format/writer.ts";
import { readCborValue } from "./cbor-values.ts";
import { contextsOf, isWellFormed } from "./context.ts";
import { invalid, malformed, numberIn, same, unauthentic } from "./failure.ts";
import { derived, openXaes } from "./primitives.ts";
import type { Slip } from "./slips.ts";

export interface TokenPlace {
  readonly dataKey: Uint8Array;
  readonly keyContext: readonly Pair[];
  readonly context: readonly Pair[];
}

/** docs/format.md §5 */
export function readToken(
  given: Uint8Array | string,
  kind: "random" | "deterministic",
  { dataKey, keyContext, context }: TokenPlace,
  slip: Slip | undefined,
): Uint8Array {
  const token = typeof given === "string" ? tokenOfText(given, slip) : given;
  const isRandom = kindOf(token, kind, slip);
  const { keyCtx, valueCtx } = contextsOf(keyContext, context, slip);
  const kid = derived(dataKey, "key-commit", keyCtx, 32).subarray(0, 16);
  if (!same(token.subarray(1, 17), kid) && slip !== "kid-ignored") throw unauthentic();
  const prefix = concatBytes(utf8ToBytes(isRandom ? "envelock/v1/field" : "envelock/v1/det"), Uint8Array.of(0), token.subarray(0, 17));
  const sealed = token.subarray(17);
  if (isRandom) return openXaes(derived(dataKey, "token", NONE, 32), concatBytes(prefix, valueCtx()), sealed);
  const ctx = valueCtx();
  const components = ctx.length === 0 && slip === "component-absent" ? [prefix] : [prefix, ctx];
  try {
    return aessiv(derived(dataKey, "det", NONE, 64), ...components).decrypt(sealed);
  } catch {
    throw unauthentic();
  }
}

function kindOf(token: Uint8Array, asked: "random" | "deterministic", slip: Slip | undefined): boolean {
  const [head] = token;
  if (head !== 0x9c && head !== 0xbc) throw malformed();
  const isRandom = head === 0x9c;
  const least = isRandom ? 57 : slip === "deterministic-32" ? 32 : 33;
  if (token.length < least) throw malformed();
  if (isRandom !== (asked === "random") && slip !== "kind-ignored") throw malformed();
  return isRandom;
}

function tokenOfText(text: string, slip: Slip | undefined): Uint8Array {
  const bare = slip === "text-padded" ? text.replace(/=+$/, "") : text;
  if (!/^[A-Za-z0-9_-]*$/.test(bare) || bare.length % 4 === 1) throw malformed();
  const bytes = Uint8Array.from(Buffer.from(bare, "base64url"));
  if (Buffer.from(bytes).toString("base64url") !== bare && slip !== "text-low-bits") throw malformed();
  return bytes;
}

/** docs/format.md §5.1: the key of an index and the index of a value. */
export function readIndex(
  { dataKey, keyContext, context }: TokenPlace,
  value: IndexedValue,
  bits: number,
  slip: Slip | undefined,
): { readonly key: string; readonly digits: string } {
  const key = derived(dataKey, "index", contextsOf(keyContext, context, slip).valueCtx(), 32);
  const mac = hmac(sha512, key, itemOf(value, slip)).subarray(0, Math.ceil(bits / 8));
  const spare = mac.length * 8 - bits;
  if (slip !== "index-spare-bits") mac[mac.length - 1] = ((mac.at(-1) ?? 0) >> spare) << spare;
  return { key: bytesToHex(key), digits: bytesToHex(mac).slice(0, Math.ceil(bits / 4)) };
}

function itemOf(value: IndexedValue, slip: Slip | undefined): Uint8Array {
  const item = (type: string, content: Uint8Array): Uint8Array => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(slip === "item-16-bits" ? content.length % 65536 : content.length);
    return concatBytes(utf8ToBytes(type), Uint8Array.from(length), content);
  };
  if ("text" in value) {
    const text = textOf(value.text);
    if (!isWellFormed(text)) throw invalid();
    return item("s", utf8ToBytes(text));
  }
  if ("bytes" in value) return item("b", hexToBytes(value.bytes));
  if ("number" in value) return item("n", indexedNumber(value.number, slip));
  if ("binary64" in value) return item("n", indexedNumber(Buffer.from(value.binary64, "hex").readDoubleBE(), slip));
  if ("integer" in value) return item("i", utf8ToBytes(value.integer));
  if ("truth" in value) return item("t", Uint8Array.of(value.truth ? 1 : 0));
  if ("timeMs" in value) return item("d", indexedNumber(value.timeMs, slip));
  if (value.list.length === 0) throw invalid();
  return item("l", concatBytes(...value.list.map((member) => itemOf(member, slip))));
}

function indexedNumber(value: number, slip: Slip | undefined): Uint8Array {
  if (!Number.isFinite(value) && slip !== "not-finite") throw invalid();
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleBE(value === 0 && slip !== "negative-zero" ? 0 : value);
  return Uint8Array.from(bytes);
}

/** docs/format.md §5.2: a plaintext as a value of the column's type, in a form that JSON can compare. */
export function readField(
  type: FieldType,
  bytes: Uint8Array,
  columns: Readonly<Record<string, FieldType>>,
  slip: Slip | undefined,
): unknown {
  const eight = (): Buffer => {
    if (bytes.length < 8 || (bytes.length > 8 && slip !== "number-any-length")) throw malformed();
    return Buffer.from(bytes.subarray(0, 8));
  };
  if (type === "string") return textIn(bytes);
  if (type === "bytes") return bytesToHex(bytes);
  if (type === "number") return eight().toString("hex");
  if (type === "bigint") return integerIn(bytes, slip);
  if (type === "boolean") {
    if (bytes.length !== 1 || ((bytes[0] ?? 0) > 1 && slip !== "boolean-any")) throw malformed();
    return bytes[0] !== 0;
  }
  if (type === "record") return recordIn(bytes, columns, slip);
  if (type === "json") return jsonIn(textIn(bytes));
  if (type === "cbor") return readCborValue(bytes);
  const time = eight().readDoubleBE();
  if (!(Math.abs(time) <= 8.64e15)) throw malformed();
  return time;
}

function textIn(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw malformed();
  }
}

function jsonIn(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw malformed();
  }
}

function integerIn(bytes: Uint8Array, slip: Slip | undefined): string {
  const [first, second = 0] = bytes;
  if (first === undefined) throw malformed();
  const isLong = bytes.length > 1 && ((first === 0 && second < 0x80) || (first === 0xff && second >= 0x80));
  if (isLong && slip !== "integer-long") throw malformed();
  return `${BigInt.asIntN(8 * bytes.length, BigInt(`0x${bytesToHex(bytes)}`))}`;
}

function recordIn(bytes: Uint8Array, columns: Readonly<Record<string, FieldType>>, slip: Slip | undefined): object {
  const members = new Map<string, unknown>(Object.keys(columns).map((name) => [name, null]));
  const seen = new Set<string>();
  let at = 0;
  const take = (length: number): Uint8Array => {
    if (at + length > bytes.length) throw malformed();
    at += length;
    return bytes.subarray(at - length, at);
  };
  while (at < bytes.length) {
    const name = textIn(take(numberIn(take(1))));
    const content = take(numberIn(take(4)));
    const type = columns[name];
    if (seen.has(name) && slip !== "record-column-twice") throw malformed();
    seen.add(name);
    if (type !== undefined) members.set(name, readField(type, content, {}, slip));
    else if (slip !== "record-foreign-column") throw malformed();
  }
  return Object.fromEntries(members);
}

const NONE: Uint8Array = new Uint8Array(0);
