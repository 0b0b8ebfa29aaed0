import { invalidArgument, malformed } from "../core/base/errors.ts";
import { readArgument, requireNamed } from "../core/base/options.ts";

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
  requireNamed(given, "metadata is an object of names and texts");
  return readArgument("metadata", () => Object.entries(given));
}
