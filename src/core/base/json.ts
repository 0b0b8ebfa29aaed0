import { invalidArgument } from "./errors.ts";

/** Values that JSON can hold. */
export type JsonValue = null | boolean | number | string | readonly JsonValue[] | { readonly [key: string]: JsonValue };

/**
 * Writes JSON text from which `JSON.parse` makes an equal value, -0 included.
 *
 * @throws `invalid-argument` for values that JSON.stringify drops or changes in silence: undefined, NaN, infinities, bigints, symbols,
 *   functions, dates, maps, instances of classes, holes in arrays, cycles
 */
export function encodeJson(value: unknown, depth = 0): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "boolean" || value === null) return String(value);
  if (typeof value === "number") return encodeNumber(value);
  if (typeof value !== "object") throw notJson(`a ${typeof value}`);
  if (depth === MAX_DEPTH) throw notJson(`nested deeper than ${MAX_DEPTH}`);
  if (Array.isArray(value)) return `[${Array.from(value, (item) => encodeJson(item, depth + 1)).join()}]`;
  return encodeObject(value, depth);
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

function encodeObject(value: object, depth: number): string {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== null && Object.getPrototypeOf(prototype) !== null) throw notJson("an instance of a class");
  if (Object.getOwnPropertySymbols(value).length > 0) throw notJson("an object with symbols as keys");
  const members = Object.entries(value).map(([key, member]) => `${JSON.stringify(key)}:${encodeJson(member, depth + 1)}`);
  return `{${members.join()}}`;
}

function notJson(what: string): Error {
  return invalidArgument(`JSON cannot hold ${what}`);
}

/** Far below the depth at which recursion ends, far above that of any stored value. */
const MAX_DEPTH = 500;
