import { EnvelockError, invalidArgument, unreadable } from "./errors.ts";

/** The names of all options of `T`: the compiler refuses a table that lacks one or has one too many. */
export type OptionNames<T> = { readonly [K in keyof Required<T>]: true };

/**
 * Refuses an options object that has a key of no option: a misspelt name would otherwise be dropped in silence. Each option is read once
 * here, so that a getter that throws is refused too, and so is a revoked proxy. A list, a Map, bytes and a promise have no keys of their
 * own and would pass for no options at all: they are refused. So is every call while `Object.prototype` has a member with the name of an
 * option: all options objects would inherit it, and a request body could so choose a context, a row or what a cipher takes for plaintext.
 *
 * @param what the function or class whose options these are, as a caller writes it
 * @throws `invalid-argument` if `options` is no object of options, has an unknown key, or cannot be read
 */
export function refuseUnknown<T extends object>(options: T, known: OptionNames<T>, what: string): void {
  const given: unknown = options;
  if (typeof given !== "object" || given === null) throw notAnObject(known, what);
  for (const name in known) if (name in Object.prototype && Object.hasOwn(known, name)) throw polluted(name, what);
  for (const name of namesIn(given, known, what)) if (!Object.hasOwn(known, name)) throw unknownOption(name, Object.keys(known), what);
}

function namesIn(given: object, known: object, what: string): readonly string[] {
  try {
    const otherKind = namelessKind(given);
    if (otherKind !== undefined) throw notAnObject(known, what, `not ${otherKind}`);
    const names = Object.keys(given);
    for (const name of names) if (Object.hasOwn(known, name)) requireAlive(Reflect.get(given, name));
    return names;
  } catch (error) {
    throw unreadable(`the options of ${what}`, error);
  }
}

/** The kind of an object that has no names of its own, and would pass for one without any. */
function namelessKind(given: object): string | undefined {
  if (Symbol.iterator in given) return "a list or a Map";
  return given instanceof Promise ? "a promise of one" : undefined;
}

/** @throws `TypeError` for a revoked proxy, of which nothing can be read any more */
function requireAlive(value: unknown): void {
  if ((typeof value === "object" && value !== null) || typeof value === "function") Reflect.getPrototypeOf(value);
}

function notAnObject(known: object, what: string, found?: string): EnvelockError {
  const hint = `known options: ${Object.keys(known).join(", ")}`;
  const message = `the options of ${what} must be an object${found === undefined ? "" : `, ${found}`}`;
  return new EnvelockError("invalid-argument", message, { hint });
}

function polluted(name: string, what: string): EnvelockError {
  return invalidArgument(
    `Object.prototype has a member \`${name}\`, which is an option of ${what}: every options object would inherit it`,
    "Find what assigns to it, such as a merge of request bodies that takes the key __proto__.",
  );
}

function unknownOption(name: string, known: readonly string[], what: string): EnvelockError {
  const meant = closest(name, known);
  const shown = name.length > LONGEST_SHOWN ? `${name.slice(0, LONGEST_SHOWN)}…` : name;
  const hint = meant === undefined ? `known options: ${known.join(", ")}` : `did you mean \`${meant}\`?`;
  return new EnvelockError("invalid-argument", `${what} has no option \`${shown}\``, { hint });
}

/**
 * Reads an argument that stands by itself, not in an options object: a revoked proxy and a getter that throws are refused.
 *
 * @param what the argument in words, such as "the source of put"
 * @throws `invalid-argument` with what was thrown as its cause
 */
export function readArgument<T>(what: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw unreadable(what, error);
  }
}

/**
 * Requires an object of names and values. A list, a Map, bytes and a promise have no names of their own, and would pass for an empty one.
 *
 * @param expected what was expected, as a sentence without its end
 * @throws `invalid-argument`
 */
export function requireNamed(given: unknown, expected: string): asserts given is object {
  const isNamed = (): boolean => typeof given === "object" && given !== null && namelessKind(given) === undefined;
  if (!readArgument(`what was given where ${expected}`, isNamed)) throw invalidArgument(expected);
}

/**
 * Refuses an argument that is no object with these methods.
 *
 * @param expected what was expected, as the beginning of a sentence, such as "encryptedStore takes a blob store"
 * @throws `invalid-argument`
 */
export function requireMethods<T extends object>(given: T, methods: readonly (keyof T & string)[], expected: string, hint?: string): void {
  const object: unknown = given;
  for (const method of methods) {
    const has = readArgument(`what ${expected}`, () => isObject(object) && typeof Reflect.get(object, method) === "function");
    if (!has) throw invalidArgument(`${expected}, which has a method \`${method}\``, hint);
  }
}

function isObject(value: unknown): value is object {
  return (typeof value === "object" && value !== null) || typeof value === "function";
}

/** Shows a value that was refused: a short primitive as it is, of anything else the type, so that no conversion of the value runs. */
export function shownValue(value: unknown): string {
  if (typeof value === "string") return value.length > LONGEST_SHOWN ? `${value.slice(0, LONGEST_SHOWN)}…` : value;
  if ((typeof value === "object" && value !== null) || typeof value === "function" || typeof value === "symbol")
    return `of the type ${typeof value}`;
  return String(value);
}

/**
 * Finds the known name that a misspelt one most likely stands for.
 *
 * @returns undefined if none is near: more than a third of its letters would have to change, or any of a name of one or two letters
 */
export function closest(name: string, known: readonly string[]): string | undefined {
  if (name.length > LONGEST_SHOWN) return undefined;
  const letters = name.toLowerCase();
  const ranked = known.map((candidate) => ({ candidate, edits: editsBetween(letters, candidate.toLowerCase()) }));
  const best = ranked.reduce<(typeof ranked)[number] | undefined>(
    (nearest, next) => (nearest === undefined || next.edits < nearest.edits ? next : nearest),
    undefined,
  );
  return best !== undefined && best.edits <= mostEdits(best.candidate) ? best.candidate : undefined;
}

/** A short name is one edit away from every other short name. */
function mostEdits({ length }: string): number {
  return length < SHORTEST_CORRECTED ? 0 : Math.max(1, Math.floor(length / 3));
}

/** Counts the letters to insert, remove, replace or swap with their neighbour (optimal string alignment). */
function editsBetween(a: string, b: string): number {
  let beforeLast: readonly number[] = [];
  let last: readonly number[] = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const isSame = a[row - 1] === b[column - 1];
      const isSwap = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
      const edits = Math.min(
        (last[column] ?? 0) + 1,
        (current[column - 1] ?? 0) + 1,
        (last[column - 1] ?? 0) + (isSame ? 0 : 1),
        isSwap ? (beforeLast[column - 2] ?? 0) + 1 : Number.POSITIVE_INFINITY,
      );
      current.push(edits);
    }
    beforeLast = last;
    last = current;
  }
  return last[b.length] ?? 0;
}

const LONGEST_SHOWN = 40;
const SHORTEST_CORRECTED = 3;
