import { EnvelockError, invalidArgument } from "../base/errors.ts";
import { closest } from "../base/options.ts";

/**
 * Requires a list of texts of an opener's configuration: a text by itself would be taken for a list of its letters.
 *
 * @throws `invalid-argument`
 */
export function textList(given: readonly string[], name: string): readonly string[] {
  if (Array.isArray(given) && given.every((text) => typeof text === "string")) return [...given];
  throw invalidArgument(`${name} must be an array of texts`);
}

/** The settings of a tenant's key or identity, read by an opener that knows all their names. */
export class TenantSettings {
  readonly #what: string;
  readonly #values: ReadonlyMap<string, string>;

  /**
   * @param what the object that has the settings, for messages
   * @param known the names of all settings of this kind
   * @throws `invalid-argument` for an unknown name, or a value that is no text
   */
  constructor(what: string, settings: Readonly<Record<string, string>> | undefined, known: readonly string[]) {
    const values = new Map<string, string>();
    for (const [name, value] of Object.entries(settings ?? {})) {
      if (!known.includes(name)) throw unknownSetting(what, name, known);
      const text: unknown = value;
      if (typeof text !== "string" || text === "") throw invalidArgument(`${name} of ${what} must be text that is not empty`);
      values.set(name, text);
    }
    this.#what = what;
    this.#values = values;
  }

  /** @throws `invalid-argument` if the setting is missing */
  required(name: string): string {
    const value = this.#values.get(name);
    if (value === undefined) throw invalidArgument(`${this.#what} must have the setting ${name}`);
    return value;
  }

  optional(name: string): string | undefined {
    return this.#values.get(name);
  }

  /**
   * Returns the place that the setting names among those of the vendor, with its name. Where there is one place the setting may be left out.
   *
   * @throws `invalid-argument` if the setting is missing; `access-denied` for a name that is none of them
   */
  placeIn<T>(name: string, places: ReadonlyMap<string, T>): readonly [placeName: string, place: T] {
    const [only = ""] = places.keys();
    const placeName = places.size === 1 ? (this.optional(name) ?? only) : this.required(name);
    const place = places.get(placeName);
    if (place === undefined) throw notAllowed(`${placeName} is none of the ${name}s that tenants may name`);
    return [placeName, place];
  }

  /** Returns the one of `choices` that the setting names, the first one if it is missing. @throws `invalid-argument` for another value */
  oneOf<T extends string>(name: string, choices: readonly [T, ...T[]]): T {
    const value = this.#values.get(name) ?? choices[0];
    const chosen = choices.find((choice) => choice === value);
    if (chosen === undefined) throw invalidArgument(`${name} of ${this.#what} must be ${choices.join(" or ")}`);
    return chosen;
  }
}

/** The refusal of a description that is well formed and names a place outside of what the vendor allows. */
export function notAllowed(message: string, hint?: string): EnvelockError {
  return new EnvelockError("access-denied", message, { detail: "not-allowed", ...(hint !== undefined && { hint }) });
}

function unknownSetting(what: string, name: string, known: readonly string[]): EnvelockError {
  const meant = closest(name, known);
  const shown = name.length > LONGEST_SHOWN ? `${name.slice(0, LONGEST_SHOWN)}…` : name;
  const hint =
    meant !== undefined ? `did you mean \`${meant}\`?` : known.length === 0 ? "it has none" : `known settings: ${known.join(", ")}`;
  return invalidArgument(`${what} has no setting \`${shown}\``, hint);
}

const LONGEST_SHOWN = 40;
