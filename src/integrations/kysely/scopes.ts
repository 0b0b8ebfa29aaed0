import {
  AliasNode,
  ColumnNode,
  IdentifierNode,
  ListNode,
  type OperationNode,
  ReferenceNode,
  type SchemableIdentifierNode,
  TableNode,
} from "kysely";
import { invalidArgument } from "../../core/base/errors.ts";
import { folded, type GuardedColumn, type GuardedTable, type GuardedTables } from "./tables.ts";

/** Where rows come from, by the name that columns are qualified with. */
export interface Source {
  /** Undefined if the query gives it none that is a plain name. */
  readonly name: string | undefined;
  readonly schema: string | undefined;
  /** Undefined if it has no encrypted columns. */
  readonly table: GuardedTable | undefined;
}

/** The sources of one query. */
export type Scope = readonly Source[];

/** A column that was looked for, and where it was found. */
export interface Found {
  readonly guarded: GuardedColumn;
  readonly source: Source;
}

/** The sources that a list of nodes names. @throws `invalid-argument` for an alias that has a meaning of its own */
export function sourcesOf(nodes: readonly OperationNode[], tables: GuardedTables): Scope {
  return nodes.flatMap((node) => (ListNode.is(node) ? sourcesOf(node.items, tables) : [sourceOf(node, tables)]));
}

function sourceOf(node: OperationNode, tables: GuardedTables): Source {
  if (TableNode.is(node)) {
    const { schema, identifier } = node.table;
    return { name: identifier.name, schema: schema?.name, table: tables.find(node.table) };
  }
  if (!AliasNode.is(node)) return { name: undefined, schema: undefined, table: undefined };
  const name = IdentifierNode.is(node.alias) ? node.alias.name : undefined;
  if (name !== undefined && PSEUDO_TABLES.has(folded(name))) {
    throw invalidArgument(`a table cannot be called ${name} in a query of encrypted columns`, "Give it another alias.");
  }
  const table = TableNode.is(node.node) ? tables.find(node.node.table) : undefined;
  if (table !== undefined && name === undefined)
    throw invalidArgument(
      `the alias of ${table.name} is no plain name, and may rename its columns`,
      "Give it an alias that is a plain name.",
    );
  return { name, schema: undefined, table };
}

/**
 * The encrypted column, or the blind index, that a node refers to.
 *
 * @param scopes the sources in reach, those of the innermost query last
 * @returns undefined for any other column, and for what is no column
 * @throws `invalid-argument` where it is not certain which column is meant
 */
export function columnAt(node: OperationNode, scopes: readonly Scope[]): Found | undefined {
  const name = columnName(node);
  if (name === undefined) return undefined;
  const qualifier = ReferenceNode.is(node) ? node.table?.table : undefined;
  return qualifier === undefined ? unqualified(name, scopes) : qualified(qualifier, name, scopes);
}

/** The source that a qualifier names. @throws `invalid-argument` for a name that differs from that of an encrypted one in case alone */
export function sourceCalled({ schema, identifier }: SchemableIdentifierNode, scopes: readonly Scope[]): Source | undefined {
  const reach = scopes.toReversed().flat();
  const isCalled = (source: Source): boolean => source.name === identifier.name && (schema === undefined || source.schema === schema.name);
  const found = reach.find(isCalled);
  const near = reach.find(({ name, table }) => table !== undefined && name !== undefined && folded(name) === folded(identifier.name));
  if (found === undefined && near !== undefined) throw uncertain(identifier.name, `spell it as ${near.name}`);
  return found;
}

function qualified(qualifier: SchemableIdentifierNode, name: string, scopes: readonly Scope[]): Found | undefined {
  const source = sourceCalled(qualifier, scopes);
  if (source !== undefined) return foundIn(source, name);
  const isGuarded = scopes.flat().some(({ table }) => table?.column(name) !== undefined);
  if (isGuarded) throw uncertain(`${qualifier.identifier.name}.${name}`, "no table of the query has that name");
  return undefined;
}

/** A query between the reference and the column could have a column of the same name: only databases know. */
function unqualified(name: string, scopes: readonly Scope[]): Found | undefined {
  let isHidden = false;
  for (const scope of scopes.toReversed()) {
    const found = scope.flatMap((source) => foundIn(source, name) ?? []);
    const [first, second] = found;
    if (first !== undefined) {
      if (second !== undefined || isHidden) throw uncertain(name, `name it with its table, such as ${first.source.name}.${name}`);
      return first;
    }
    const whole = scope.find((source) => source.table !== undefined && source.name !== undefined && folded(source.name) === folded(name));
    if (whole !== undefined) throw uncertain(name, "as the name of a table it stands for all columns");
    isHidden ||= scope.length > 0;
  }
  return undefined;
}

function foundIn(source: Source, name: string): Found | undefined {
  const guarded = source.table?.column(name);
  return guarded === undefined ? undefined : { guarded, source };
}

/** The name of the column that a node refers to, if it does. */
export function columnName(node: OperationNode): string | undefined {
  if (ColumnNode.is(node)) return node.column.name;
  return ReferenceNode.is(node) && ColumnNode.is(node.column) ? node.column.column.name : undefined;
}

function uncertain(name: string, why: string): Error {
  return invalidArgument(
    `it is not certain which column ${name} is, and one that it may be is encrypted`,
    `Name it with its table: ${why}.`,
  );
}

/** What databases call the row of an insert, and rows before and after a change. */
const PSEUDO_TABLES: ReadonlySet<string> = new Set(["deleted", "excluded", "inserted", "new", "old"]);
