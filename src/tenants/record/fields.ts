import { isTextOfAtMost } from "../../core/base/bytes.ts";
import { EnvelockError } from "../../core/base/errors.ts";

/** Reads the fields of an object that `JSON.parse` gave. Every field is read once, and `end` refuses what is left. */
export class Fields {
  readonly #fields: Readonly<Record<string, unknown>>;
  readonly #what: string;
  readonly #read: string[] = [];

  /** @throws `provider-failure` if it is no object */
  constructor(value: unknown, what: string) {
    if (typeof value !== "object" || value === null || Array.isArray(value)) throw broken(`${what} is no object`);
    this.#fields = { ...value };
    this.#what = what;
  }

  /** @throws `provider-failure` if a field is left that no one has read */
  end(): void {
    const left = Object.keys(this.#fields).find((name) => !this.#read.includes(name));
    if (left !== undefined)
      throw broken(`${this.#what} has a field ${JSON.stringify(left).slice(0, 40)}, which this release does not know`);
  }

  has(name: string): boolean {
    return Object.hasOwn(this.#fields, name);
  }

  take(name: string): unknown {
    if (!this.has(name)) throw broken(`${this.#what} has no field "${name}"`);
    this.#read.push(name);
    return this.#fields[name];
  }

  text(name: string, mostBytes: number): string {
    const value = this.take(name);
    if (!isTextOfAtMost(mostBytes, value)) throw broken(`${name} of ${this.#what} is no text of 1 to ${mostBytes} bytes`);
    return value;
  }

  integer(name: string, least = 0): number {
    const value = this.take(name);
    if (typeof value !== "number" || !Number.isSafeInteger(value) || value < least)
      throw broken(`${name} of ${this.#what} is no integer of at least ${least}`);
    return value;
  }

  integerOrNull(name: string, least = 0): number | null {
    return this.#fields[name] === null ? this.#null(name) : this.integer(name, least);
  }

  boolean(name: string): boolean {
    const value = this.take(name);
    if (typeof value !== "boolean") throw broken(`${name} of ${this.#what} is neither true nor false`);
    return value;
  }

  oneOf<T extends string>(name: string, known: readonly T[]): T {
    const value = this.take(name);
    const found = known.find((candidate) => candidate === value);
    if (found === undefined) throw broken(`${name} of ${this.#what} is none of ${known.join(", ")}`);
    return found;
  }

  list<T>(name: string, most: number, read: (value: unknown) => T): readonly T[] {
    const value: unknown = this.take(name);
    if (!Array.isArray(value) || value.length > most) throw broken(`${name} of ${this.#what} is no list of at most ${most}`);
    return Object.freeze(value.map((member: unknown) => read(member)));
  }

  listOrNull<T>(name: string, most: number, read: (value: unknown) => T): readonly T[] | null {
    return this.#fields[name] === null ? this.#null(name) : this.list(name, most, read);
  }

  objectOrNull<T>(name: string, read: (fields: Fields) => T): T | null {
    if (this.#fields[name] === null) return this.#null(name);
    const fields = new Fields(this.take(name), name);
    const value = read(fields);
    fields.end();
    return value;
  }

  #null(name: string): null {
    this.#read.push(name);
    return null;
  }
}

/** Says that a stored document is not one of this release. */
export function broken(why: string): EnvelockError {
  return new EnvelockError("provider-failure", `the store holds a record of a tenant that cannot be read: ${why}`);
}
