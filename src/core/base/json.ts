import { invalidArgument, unreadable } from "./errors.ts";
import { isPlain, isPlainArray } from "./plain.ts";

/** Values that JSON can hold. */
export type JsonValue = null | boolean | number | string | readonly JsonValue[] | { readonly [key: string]: JsonValue };

/**
 * Writes JSON text from which `JSON.parse` makes an equal value, -0 included.
 *
 * @throws `invalid-argument` for values that JSON.stringify drops or changes in silence: undefined, NaN, infinities, bigints, symbols,
 *   functions, dates, maps, instances of classes, holes in arrays, members beside the content, cycles; for a getter or proxy that throws
 */
export function encodeJson(value: unknown): string {
  try {
    return jsonText(value, 0);
  } catch (error) {
    throw unreadable("the value", error);
  }
}

function jsonText(value: unknown, depth: number): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "boolean" || value === null) return String(value);
  if (typeof value === "number") return encodeNumber(value);
  if (typeof value !== "object") throw notJson(`a ${typeof value}`);
  if (depth === MAX_DEPTH) throw notJson(`nested deeper than ${MAX_DEPTH}`);
  return Array.isArray(value) ? encodeArray(value, depth) : encodeObject(value, depth);
}

/** Parses JSON text. Returns undefined if it is none. */
export function jsonIn(text: string): JsonValue | undefined {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // the native error quotes the text
  }
}

function encodeNumber(value: number): string {
  if (!Number.isFinite(value)) throw notJson(`${value}`);
  return Object.is(value, -0) ? "-0" : String(value);
}

function encodeArray(items: readonly unknown[], depth: number): string {
  if (!isPlainArray(items)) throw notJson("an array of a class, with holes, or with members beside its items");
  return `[${Array.from(items, (item) => jsonText(item, depth + 1)).join()}]`;
}

function encodeObject(value: object, depth: number): string {
  const entries = Object.entries(value);
  if (!isPlain(value, 1, entries.length)) throw notJson("an instance of a class, or an object with symbols or hidden members");
  const members = entries.map(([key, member]) => `${JSON.stringify(key)}:${jsonText(member, depth + 1)}`);
  return `{${members.join()}}`;
}

function notJson(what: string): Error {
  return invalidArgument(`JSON cannot hold ${what}`);
}

/** Far below the depth at which recursion ends, far above that of any stored value. */
const MAX_DEPTH = 500;
