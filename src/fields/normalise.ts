import { invalidArgument } from "../core/base/errors.ts";

/**
 * The normalisation of text before it is indexed. `"exact"` changes nothing. `"caseless"` removes surrounding white space and differences
 * of case, width, composition and invisible characters, by Unicode caseless matching. A function of the caller's own must give the same
 * text for ever, or a lookup finds nothing.
 */
export type Normalise = "exact" | "caseless" | ((text: string) => string);

/**
 * Returns the text that a blind index is made of. If it is the same for two texts, so is their index; the reverse holds but for collisions.
 * Use it to check the rows that a lookup by a short index found.
 *
 * `"caseless"` is Unicode caseless matching for identifiers (Unicode Standard, D146: NFKC, full case folding, default-ignorable code
 * points removed), trimmed. `"Straße"` and `"STRASSE"`, `"ΦΩΣ"` and `"φως"`, `"ﬁn"` and `"FIN"` are the same; `"ı"` and `"i"` are not,
 * and neither are `"é"` and `"e"`. What it makes of a character that Unicode has assigned does not change with later versions of Unicode.
 *
 * @throws `invalid-argument` if a function of the caller's own gives something else than text
 * @example
 * ```ts
 * import { normalised } from "envelock/fields";
 *
 * normalised(" STRASSE ", "caseless") === normalised("straße", "caseless"); // true
 * ```
 */
export function normalised(text: string, normalise: Normalise): string {
  if (normalise === "exact") return text;
  const result: unknown = normalise === "caseless" ? caseless(text) : ownResult(text, normalise);
  if (typeof result !== "string") throw invalidArgument("normalise must return a string");
  return result;
}

function ownResult(text: string, normalise: unknown): unknown {
  if (typeof normalise === "function") return normalise(text);
  throw invalidArgument(
    `normalise is ${typeof normalise === "string" ? `"${normalise}"` : typeof normalise}`,
    'it is "exact", "caseless" or a function',
  );
}

function caseless(text: string): string {
  return folded(folded(text.normalize("NFKC").replace(IGNORABLE, "")).normalize("NFKC").replace(IGNORABLE, ""))
    .normalize("NFKC")
    .trim();
}

/** Folds case fully, by way of upper case: characters with several lower cases have one upper case. The dotless i must stay apart from i. */
function folded(text: string): string {
  const parts = text.split(DOTLESS_I).map((part) => part.toLowerCase().toUpperCase().toLowerCase().replace(FINAL_SIGMA, "\u03c3"));
  return parts.join(DOTLESS_I);
}

const IGNORABLE = /\p{Default_Ignorable_Code_Point}/gu;
const DOTLESS_I = "\u0131";
const FINAL_SIGMA = /\u03c2/g;
