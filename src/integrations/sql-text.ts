/**
 * Whether SQL names a table or column, quoted or not and in any case. Underscores are optional, because plugins add and remove them.
 *
 * @param mayQualify whether the name may stand before a dot and another name: that one is then looked for by itself
 */
export function namesInSql(text: string, name: string, mayQualify: boolean): boolean {
  const word = name.replace(/[^\p{L}\p{N}_]/gu, "\\$&").replaceAll("_", "_?");
  const spelt = name.includes("_") ? word : word.replace(/(?<=[\p{Ll}\p{N}])(?=\p{Lu})/gu, "_?");
  const quoted = `["\`\\[]${spelt}["\`\\]]`;
  const bare = RESERVED.has(name.toLowerCase()) ? quoted : `(?:${quoted}|(?<![\\p{L}\\p{N}_$])${spelt}(?![\\p{L}\\p{N}_$]))`;
  return new RegExp(mayQualify ? `${bare}(?!\\s*\\.\\s*[\\p{L}_"\`\\[])` : bare, "iu").test(text);
}

/** Words that must be quoted where they name a table or column; without quotes they are something else. */
const RESERVED: ReadonlySet<string> = new Set([
  ...["all", "and", "as", "asc", "by", "case", "check", "column", "create", "default", "delete", "desc", "distinct", "else", "end"],
  ...["from", "grant", "group", "having", "in", "insert", "into", "is", "join", "left", "like", "limit", "not", "null", "offset", "on"],
  ...["or", "order", "references", "returning", "right", "select", "set", "table", "then", "to", "union", "unique", "update", "user"],
  ...["using", "values", "when", "where", "with"],
]);
