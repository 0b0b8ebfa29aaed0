/** A wrong form of a name that callers are known to give, and what to do instead. */
export type WrongForm = readonly [form: RegExp, hint: string];

/** Returns the next step for a name of a wrong form. @param otherwise the step for a form that is not known */
export function formHint(name: unknown, forms: readonly WrongForm[], otherwise: string): string {
  const text = typeof name === "string" ? name.slice(0, MOST_CHARACTERS) : "";
  return [...OF_ANY_NAME, ...forms].find(([form]) => form.test(text))?.[1] ?? otherwise;
}

const OF_ANY_NAME: readonly WrongForm[] = [
  [/^\s|\s$/, "leave out the white space around it"],
  [/^(?:aws-kms|gcp-kms|vault):(?!\/\/)/, "leave out the prefix before the first colon, which belongs to the command line"],
];
const MOST_CHARACTERS = 500;
