/**
 * Whether SQL names a table or column, quoted or not and in any case. Underscores are optional, because plugins add and remove them. Text
 * with `U&"…"` may name anything by the numbers of its characters.
 *
 * @param mayQualify whether the name may stand before a dot and another name: that one is then looked for by itself
 */
export function namesInSql(text: string, name: string, mayQualify: boolean): boolean {
  const word = name.replace(/[^\p{L}\p{N}_]/gu, "\\$&").replaceAll("_", "_?");
  const spelt = name.includes("_") ? word : word.replace(/(?<=[\p{Ll}\p{N}])(?=\p{Lu})/gu, "_?");
  const quoted = `["\`\\[]${spelt}["\`\\]]`;
  const start = RESERVED.has(name.toLowerCase()) ? "(?<=\\.\\s*)" : "(?<![\\p{L}\\p{N}_$])";
  const bare = `(?:${quoted}|${start}${spelt}(?![\\p{L}\\p{N}_$]))`;
  if (ESCAPED_NAME.test(text)) return true;
  return new RegExp(mayQualify ? `${bare}(?!\\s*\\.\\s*[\\p{L}_"\`\\[])` : bare, "iu").test(text);
}

/**
 * Words that PostgreSQL, MySQL, SQLite and SQL Server all take for something else unless they are quoted or stand after a dot. A word that
 * only some of them reserve, such as `user` or `end`, is no such word: another takes it for a name.
 */
const RESERVED: ReadonlySet<string> = new Set([
  ...["all", "and", "as", "case", "check", "create", "default", "delete", "distinct", "else", "from", "group", "having", "in", "insert"],
  ...["into", "is", "join", "not", "null", "on", "or", "order", "references", "select", "set", "table", "then", "to", "union", "unique"],
  ...["update", "values", "when", "where"],
]);
const ESCAPED_NAME = /\bU&["']/i;
