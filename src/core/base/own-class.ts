import { EnvelockError } from "./errors.ts";

/** Marks an object, or a prototype and so the objects of a class, so that one of another copy of the package can be named for what it is. */
export function markClass(marked: object, name: OwnClass): void {
  Object.defineProperty(marked, Symbol.for(`envelock.${name}`), { value: true });
}

/** Whether a value is an object that any copy of the package made as a `name`. */
export function isMarked(value: unknown, name: OwnClass): boolean {
  if (typeof value !== "object" || value === null) return false;
  try {
    return Reflect.get(value, Symbol.for(`envelock.${name}`)) === true;
  } catch {
    return false; // a revoked proxy is nobody's
  }
}

/**
 * Explains why a value is not the `name` of this copy of the package that is expected here. State is shared through such an object,
 * and through that of another copy it would not be.
 *
 * @param what how the caller named the value, such as `cache`
 */
export function notOwn(value: unknown, name: OwnClass, what: string): EnvelockError {
  if (!isMarked(value, name)) return new EnvelockError("invalid-argument", `${what} must be a ${name}`);
  return new EnvelockError("invalid-argument", `${what} is a ${name} of another copy of envelock`, {
    hint: "Load the package once: look at `npm ls envelock`, and at bundles that hold a copy of their own.",
  });
}

type OwnClass = "DataKey" | "DataKeyCache" | "FairLimits" | "Keyring" | "ProviderGuards";
