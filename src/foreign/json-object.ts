import { fromBase64 } from "../core/base/base64.ts";
import type { OwnedBytes } from "../core/base/bytes.ts";
import { malformed } from "../core/base/errors.ts";
import { jsonIn } from "../core/base/json.ts";

/**
 * The members of a JSON object that is not trusted. Each access names the type that it expects. Members that nothing asks for are ignored,
 * and null counts as absent.
 */
export class JsonObject {
  readonly #members: object;
  readonly #what: string;

  /** @param what the name of the object in messages */
  constructor(members: object, what: string) {
    this.#members = members;
    this.#what = what;
  }

  /** @throws `malformed-envelope` if the member is absent or no text of at least one character */
  text(name: string): string {
    const value = this.#member(name);
    if (typeof value === "string" && value !== "") return value;
    throw malformed(`${this.#what} must have ${name}, a text`);
  }

  /** Returns undefined if the member is absent. @throws `malformed-envelope` if it is no text */
  optionalText(name: string): string | undefined {
    return this.#member(name) === undefined ? undefined : this.text(name);
  }

  /** @throws `malformed-envelope` if the member is absent or no base64 of at least one byte */
  bytes(name: string): OwnedBytes {
    const bytes = fromBase64(this.text(name));
    if (bytes !== undefined) return bytes;
    throw malformed(`${name} of ${this.#what} must be base64`);
  }

  /** @throws `malformed-envelope` if the member is absent or no integer from `least` to `most` */
  integer(name: string, least: number, most: number): number {
    const value = this.#member(name);
    if (typeof value === "number" && Number.isSafeInteger(value) && value >= least && value <= most) return value;
    throw malformed(`${name} of ${this.#what} must be an integer from ${least} to ${most}`);
  }

  /** @throws `malformed-envelope` if the member is absent or no object */
  object(name: string): JsonObject {
    const value = this.#member(name);
    if (isObject(value)) return new JsonObject(value, `${name} of ${this.#what}`);
    throw malformed(`${this.#what} must have ${name}, an object`);
  }

  /** @throws `malformed-envelope` if a member is no text */
  texts(): ReadonlyMap<string, string> {
    return new Map(
      Object.entries(this.#members).map(([name, value]: [string, unknown]) => {
        if (typeof value !== "string") throw malformed(`every member of ${this.#what} must be a text`);
        return [name, value] as const;
      }),
    );
  }

  #member(name: string): unknown {
    const value: unknown = Object.hasOwn(this.#members, name) ? Reflect.get(this.#members, name) : undefined;
    return value === null ? undefined : value;
  }
}

/**
 * Parses the text of a JSON object. A name that stands twice in one object is refused, because readers differ in which of the two they
 * take.
 *
 * @throws `malformed-envelope`
 */
export function parseJsonObject(text: string, what: string): JsonObject {
  if (text.length > MOST_CHARACTERS) throw malformed(`${what} has ${text.length} characters, at most ${MOST_CHARACTERS} are read`);
  const value: unknown = jsonIn(text);
  if (!isObject(value)) throw malformed(`${what} must be a JSON object`);
  const twice = repeatedName(text);
  if (twice !== undefined) throw malformed(`${what} has a name that stands twice in one object`);
  return new JsonObject(value, what);
}

/**
 * Puts another value in place of a member that is an object. The rest of the text stays to the letter: parsing and writing it anew would
 * round long numbers, and overflow the stack where it is nested deeply.
 *
 * @param json the text of an object that `parseJsonObject` has read
 * @param value JSON text
 * @throws `malformed-envelope` if the outer object has no such member
 */
export function withMember(json: string, member: string, value: string): string {
  let depth = 0;
  let start: number | undefined;
  for (const { 0: token, 1: name, index } of json.matchAll(TOKENS)) {
    if (token === "{") depth++;
    else if (token === "}") depth--;
    else if (start === undefined && depth === 1 && name !== undefined && jsonIn(name) === member) start = index + token.length;
    if (token === "}" && depth === 1 && start !== undefined) return `${json.slice(0, start)} ${value}${json.slice(index + 1)}`;
  }
  throw malformed(`the JSON text must have ${member}, an object`);
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Finds a name that stands twice in one object of a text that is valid JSON. */
function repeatedName(json: string): string | undefined {
  const open: Set<string>[] = [];
  for (const [token, name] of json.matchAll(TOKENS)) {
    if (token === "{") open.push(new Set());
    else if (token === "}") open.pop();
    else if (name !== undefined) {
      const decoded: unknown = jsonIn(name);
      const names = open.at(-1);
      if (typeof decoded !== "string" || names === undefined) continue;
      if (names.has(decoded)) return decoded;
      names.add(decoded);
    }
  }
  return undefined;
}

/** A name with its colon, a string that is no name, a brace. Every string is matched whole, so no brace inside one is seen. */
const TOKENS = /("(?:[^"\\]|\\.)*")\s*:|"(?:[^"\\]|\\.)*"|[{}]/g;
/** Far above what a store takes as metadata, 8 KiB. */
const MOST_CHARACTERS = 65_536;
