/**
 * Text that somebody else may have chosen, made safe to print: control characters, ANSI sequences, bidi overrides, invisible and
 * unassigned characters and foreign spaces show as `\u{...}`. One line in, one line out.
 */
export function terminalText(text: string): string {
  return text.replace(UNSAFE, (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`);
}

/** Indented JSON of the same value, in which such characters stand as JSON escapes: safe to print, and exact to parse. */
export function terminalJson(value: unknown): string {
  const json = JSON.stringify(value, undefined, 2);
  return json.split("\n").map(escapeLine).join("\n");
}

function escapeLine(line: string): string {
  return line.replace(UNSAFE, (character) => character.split("").map(jsonEscape).join(""));
}

function jsonEscape(unit: string): string {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

// Other (controls, formats, lone surrogates, private, unassigned), line and paragraph separators, what renders as nothing, and every
// space but the plain one. Unicode's own classes, because any list by hand is short of one.
const UNSAFE = /[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]|(?! )\p{Zs}/gu;
