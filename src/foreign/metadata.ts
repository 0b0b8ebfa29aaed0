import { invalidArgument, malformed, unreadable } from "../core/base/errors.ts";

/** The user metadata of a stored object, as clients of stores give it: names to texts. */
export type StoredMetadata = Readonly<Record<string, string | undefined>>;

/**
 * Copies metadata under lower-case names: stores and their clients change the case of names.
 *
 * @throws `invalid-argument` for what is no metadata; `malformed-envelope` for a name that stands there in two spellings
 */
export function foldedMetadata(metadata: StoredMetadata | undefined): ReadonlyMap<string, string> {
  const folded = new Map<string, string>();
  if (metadata === undefined) return folded;
  const given: unknown = metadata;
  for (const [name, value] of entriesOf(given)) {
    if (value === undefined) continue;
    if (typeof value !== "string") throw invalidArgument(`the metadata ${name.slice(0, 40)} must be a text`);
    const lower = name.toLowerCase();
    if (folded.has(lower)) throw malformed(`the metadata has the name ${lower.slice(0, 40)} in two spellings`);
    folded.set(lower, value);
  }
  return folded;
}

function entriesOf(given: unknown): readonly (readonly [string, unknown])[] {
  try {
    if (typeof given === "object" && given !== null && !Array.isArray(given)) return Object.entries(given);
  } catch (error) {
    throw unreadable("metadata", error);
  }
  throw invalidArgument("metadata is an object of names and texts");
}
