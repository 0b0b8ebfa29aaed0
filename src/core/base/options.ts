import { EnvelockError } from "./errors.ts";

/** The names of all options of `T`: the compiler refuses a table that lacks one or has one too many. */
export type OptionNames<T> = { readonly [K in keyof Required<T>]: true };

/**
 * Refuses an options object that has a key of no option: a misspelt name would otherwise be dropped in silence.
 *
 * @param what the function or class whose options these are, as a caller writes it
 * @throws `invalid-argument` if `options` is no object, or has an unknown key
 */
export function refuseUnknown<T extends object>(options: T, known: OptionNames<T>, what: string): void {
  const given: unknown = options;
  if (typeof given !== "object" || given === null) throw new EnvelockError("invalid-argument", `the options of ${what} must be an object`);
  for (const name of Object.keys(given)) if (!Object.hasOwn(known, name)) throw unknownOption(name, Object.keys(known), what);
}

function unknownOption(name: string, known: readonly string[], what: string): EnvelockError {
  const meant = closest(name, known);
  const shown = name.length > LONGEST_SHOWN ? `${name.slice(0, LONGEST_SHOWN)}…` : name;
  const hint = meant === undefined ? `known options: ${known.join(", ")}` : `did you mean \`${meant}\`?`;
  return new EnvelockError("invalid-argument", `${what} has no option \`${shown}\``, { hint });
}

/**
 * Finds the known name that a misspelt one most likely stands for.
 *
 * @returns undefined if none is near: more than a third of its letters would have to change
 */
export function closest(name: string, known: readonly string[]): string | undefined {
  if (name.length > LONGEST_SHOWN) return undefined;
  const letters = name.toLowerCase();
  const ranked = known.map((candidate) => ({ candidate, edits: editsBetween(letters, candidate.toLowerCase()) }));
  const best = ranked.reduce<(typeof ranked)[number] | undefined>(
    (nearest, next) => (nearest === undefined || next.edits < nearest.edits ? next : nearest),
    undefined,
  );
  return best !== undefined && best.edits <= Math.max(1, Math.floor(best.candidate.length / 3)) ? best.candidate : undefined;
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
