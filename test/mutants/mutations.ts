// Small changes to a source file, each of which the tests should notice. By text and with care: what stands in comments, strings, types
// and imports is left alone, for the compiler would find it out, or nothing at all.

export interface Mutation {
  /** Counts from 1. */
  readonly line: number;
  /** The line before and after, trimmed. */
  readonly before: string;
  readonly after: string;
  /** The whole file. */
  readonly text: string;
}

/** Every mutation of a file, in the order of its lines. */
export function mutationsOf(source: string): readonly Mutation[] {
  const lines = source.split("\n");
  const code = codeOf(source).split("\n");
  return lines.flatMap((line, index) => {
    const bare = code[index] ?? "";
    if (isDeclaration(bare)) return [];
    return changesOf(line, bare).map((after) => ({
      line: index + 1,
      before: line.trim(),
      after: after.trim(),
      text: [...lines.slice(0, index), after, ...lines.slice(index + 1)].join("\n"),
    }));
  });
}

/** The same text with the contents of comments, strings and regular expressions blanked, place for place. */
export function codeOf(source: string): string {
  return source.replace(LITERALS, (found) => found.replace(/[^\n]/g, " "));
}

/** What a line could become. @param bare the line with its literals blanked */
function changesOf(line: string, bare: string): readonly string[] {
  const changes: string[] = [];
  for (const [pattern, replacements] of OPERATORS) {
    for (const match of bare.matchAll(pattern)) {
      if (isType(bare, match.index, match[0])) continue;
      for (const replacement of replacements(match[0])) {
        changes.push(line.slice(0, match.index) + replacement + line.slice(match.index + match[0].length));
      }
    }
  }
  const label = LABEL.exec(line);
  if (label !== null) changes.push(line.replace(label[0], `${label[0].slice(0, -1)}x"`));
  const condition = /^(\s*(?:\} else )?if )\((.*)\)( \{| (?:throw|return|continue|break).*)$/.exec(line);
  if (condition !== null) {
    const [, start = "", , end = ""] = condition;
    changes.push(`${start}(Boolean(0))${end}`);
    if (!/ (?:throw|return)\b/.test(end)) changes.push(`${start}(Boolean(1))${end}`);
  }
  if (STATEMENT.test(bare)) changes.push(`${/^\s*/.exec(line)?.[0] ?? ""};`);
  return changes;
}

type Operator = readonly [pattern: RegExp, replacements: (found: string) => readonly string[]];

const swapped = (pairs: Readonly<Record<string, string>>): Operator["1"] => {
  return (found) => [` ${pairs[found.trim()] ?? ""} `];
};

/** The formatter puts spaces around binary operators and none around the brackets of types. */
const OPERATORS: readonly Operator[] = [
  [/ (?:<|<=|>|>=) /g, swapped({ "<": "<=", "<=": "<", ">": ">=", ">=": ">" })],
  [/ (?:===|!==) /g, swapped({ "===": "!==", "!==": "===" })],
  [/ (?:\+|-|\*|\/|%) /g, swapped({ "+": "-", "-": "+", "*": "/", "/": "*", "%": "*" })],
  [/ (?:<<|>>|>>>|&|\||\^) /g, swapped({ "<<": ">>", ">>": "<<", ">>>": "<<", "&": "|", "|": "&", "^": "|" })],
  [/ (?:&&|\|\|) /g, swapped({ "&&": "||", "||": "&&" })],
  [/ (?:\+=|-=) /g, swapped({ "+=": "-=", "-=": "+=" })],
  [/(?<=[\w\])])(?:\+\+|--)/g, (found) => [found === "++" ? "--" : "++"]],
  [/\b(?:true|false)\b/g, (found) => [found === "true" ? "false" : "true"]],
  [/(?<![\w.])!(?=[\w(])/g, () => [""]],
  [/(?<![\w.])(?:0x[0-9a-f]+|\d[\d_]*)n?(?![\w.])/g, (found) => (found.endsWith("n") ? [] : [`${Number(found.replaceAll("_", "")) + 1}`])],
];

function isType(bare: string, at: number, found: string): boolean {
  const before = /([\w\]>)]*)$/.exec(bare.slice(0, at))?.[1] ?? "";
  const after = /^(\w*)/.exec(bare.slice(at + found.length))?.[1] ?? "";
  const isUnion = / [|&] /.test(found);
  return isUnion && (TYPES.test(before) || TYPES.test(after));
}

/** Lines that make no code, or none of their own. */
function isDeclaration(bare: string): boolean {
  return /^\s*(?:import|export type|export interface|interface|type|readonly|\}|\*|\/\/)/.test(bare) || bare.trim() === "";
}

const TYPES = /^(?:[A-Z]\w*[a-z]\w*|undefined|null|string|number|boolean|readonly|typeof|Promise.*|void)$/;
const LITERALS = /\/\*[\s\S]*?\*\/|\/\/[^\n]*|"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`|(?<=[(=,:] )\/(?![*/ ])(?:[^/\\\n]|\\.)+\/[a-z]*/g;
/** A label that goes into a derivation. */
const LABEL = /(?<=\b(?:ascii|suiteInfo)\()"[^"]*"|(?<=\bSUITE_HASH = )"sha512"/;
/** A call or an assignment to an element that stands alone. */
const STATEMENT = /^\s+(?:this\.#|await )?[\w.#?]+(?:\[[^=]*\] [|^+-]?= .*|\(.*\));\s*$/;
