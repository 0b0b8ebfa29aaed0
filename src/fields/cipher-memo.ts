import { RecentMap } from "../core/base/recent-map.ts";
import type { FieldCipher } from "./field-cipher.ts";
import type { AnyFieldOptions } from "./field-options.ts";
import type { ScopeKeys } from "./scope-keys.ts";

/** A cipher, and the keys that it works with. */
export interface MadeCipher {
  readonly cipher: FieldCipher<unknown, null>;
  readonly keys: ScopeKeys;
}

/**
 * Remembers the ciphers that `field()` made, by their options. To check the options and encode the scope again takes 30 times as long.
 * It decides nothing: the caller uses a cipher only while its keys are the ones that are held.
 */
export class CipherMemo {
  readonly #made = new RecentMap<string, MadeCipher>({ maxEntries: MAX_CIPHERS });

  /** Returns the cipher of equal options, if there is one. */
  find(options: AnyFieldOptions): MadeCipher | undefined {
    const name = nameOf(options);
    return name === undefined ? undefined : this.#made.get(name);
  }

  /** Makes a cipher, and remembers it. @param make gets a copy of options that can be remembered: a getter may answer otherwise the next time */
  async make(options: AnyFieldOptions, make: (options: AnyFieldOptions) => Promise<MadeCipher>): Promise<MadeCipher> {
    if (nameOf(options) === undefined) return await make(options);
    const { scope, ...others } = options;
    const copy: AnyFieldOptions = scope === undefined ? others : { ...others, scope: { ...scope } };
    const name = nameOf(copy);
    const made = await make(copy);
    if (name !== undefined) this.#made.set(name, made);
    return made;
  }

  clear(): void {
    this.#made.clear();
  }
}

/** Returns one name for equal options of text and booleans, scope included; undefined for all others, such as what may be a mistake. */
function nameOf(options: AnyFieldOptions): string | undefined {
  try {
    const own = plainNames(options);
    if (own === undefined) return undefined;
    let name = "";
    for (const option of own) {
      const value: unknown = Reflect.get(options, option);
      if (option === "scope") {
        const scope = nameOfScope(value);
        if (scope === undefined) return undefined;
        name += `{${scope}}`;
      } else if (typeof value === "string") {
        name += `${option}:${value.length}:${value}`;
      } else if (typeof value === "boolean") {
        name += `${option}=${value}`;
      } else {
        return undefined;
      }
    }
    return name;
  } catch {
    return undefined; // what throws when it is read is refused by `field()`
  }
}

function nameOfScope(scope: unknown): string | undefined {
  const own = typeof scope === "object" && scope !== null ? plainNames(scope) : undefined;
  if (own === undefined || typeof scope !== "object" || scope === null) return undefined;
  let name = "";
  for (const key of own) {
    const value: unknown = Reflect.get(scope, key);
    if (typeof value !== "string") return undefined;
    name += `${key.length}:${key}${value.length}:${value}`;
  }
  return name;
}

/** The names of an object's properties; undefined unless it is plain, all of them are its own, and none is hidden or a symbol. */
function plainNames(object: object): readonly string[] | undefined {
  const prototype: unknown = Object.getPrototypeOf(object);
  if (prototype !== Object.prototype && prototype !== null) return undefined;
  const names = Object.keys(object);
  return names.length === Reflect.ownKeys(object).length ? names : undefined;
}

/** About 3 kB each: one column for each of as many scopes, which are held beyond `maxScopes` while they are in use. */
const MAX_CIPHERS = 20_000;
