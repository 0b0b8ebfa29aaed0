import { IdentifierNode, type OperationNode, RawNode } from "kysely";
import { invalidArgument } from "../../core/base/errors.ts";
import { namesInSql } from "../sql-text.ts";
import type { Scope } from "./scopes.ts";
import type { GuardedTables } from "./tables.ts";

/**
 * Refuses text of `sql` templates that names what is encrypted: a table anywhere, a column or all columns where their table is in
 * reach. What such text does with them cannot be seen.
 *
 * @throws `invalid-argument`
 */
export function checkRawText(node: RawNode, scopes: readonly Scope[], tables: GuardedTables): void {
  const text = rawText(node);
  const sources = scopes.flat().filter(({ table }) => table !== undefined);
  const columns = sources.flatMap(({ table }) => [...(table?.columns.keys() ?? [])]);
  for (const name of columns) if (namesInSql(text, name, false)) throw refused(`the column ${name}`);
  for (const name of [...tables.names, ...sources.flatMap((source) => source.name ?? [])]) {
    if (namesInSql(text, name, true)) throw refused(`the table ${name}`);
  }
  if (sources.length > 0 && ALL_COLUMNS.test(text)) throw refused("all columns");
}

/** Whether the text of a template, or a name that is put into it, could be that of a table with encrypted columns. */
export function mentionsTable(node: RawNode, tables: GuardedTables): boolean {
  const text = rawText(node);
  return tables.names.some((name) => namesInSql(text, name, true));
}

/** The text of a template with those that were put into it. Other nodes, which are checked by themselves, are question marks. */
export function rawText({ sqlFragments, parameters }: RawNode): string {
  return sqlFragments.map((fragment, at) => `${fragment}${textOf(parameters[at])}`).join("");
}

function textOf(node: OperationNode | undefined): string {
  if (node === undefined) return "";
  if (RawNode.is(node)) return rawText(node);
  return IdentifierNode.is(node) ? `"${node.name}"` : "?";
}

function refused(what: string): Error {
  return invalidArgument(
    `the text of a sql template names ${what}, which is encrypted`,
    "Use the query builder, or run the statement with `db.withoutPlugins()`, where tokens stay tokens.",
  );
}

/** A star that is no product: at the beginning, or after a word or sign that a list of columns follows. */
const ALL_COLUMNS = /(?:^|\.|,|\b(?:all|distinct|returning|select)\b)\s*\*/i;
