import {
  AggregateFunctionNode,
  AliasNode,
  BinaryOperationNode,
  ColumnNode,
  ColumnUpdateNode,
  CommonTableExpressionNode,
  DeleteQueryNode,
  FunctionNode,
  GroupByItemNode,
  IdentifierNode,
  InsertQueryNode,
  OnConflictNode,
  type OperationNode,
  OperatorNode,
  OrderByItemNode,
  OutputNode,
  PrimitiveValueListNode,
  RawNode,
  ReferenceNode,
  type RootOperationNode,
  SelectionNode,
  SelectModifierNode,
  SelectQueryNode,
  TableNode,
  UpdateQueryNode,
  ValueListNode,
  ValueNode,
} from "kysely";
import { invalidArgument } from "../../core/base/errors.ts";
import { comparedIndex, notComparable, sharedIndex } from "../encrypted-column.ts";
import { isNode, isRoot, nodesIn, partsOf, starOf } from "./nodes.ts";
import { Outputs, type QueryOutputs } from "./outputs.ts";
import { checkRawText, mentionsTable, rawText } from "./raw-text.ts";
import { isSchemaKind, type Place, placesOf, refusedKind } from "./rules.ts";
import { checkDefaults } from "./schema-statements.ts";
import { columnAt, columnName, type Found, type Scope, sourceCalled, sourcesOf } from "./scopes.ts";
import type { GuardedTables } from "./tables.ts";
import { encryptedInsert, encryptedUpdate, renamed } from "./writes.ts";

/** A query to send, and what its result holds. */
export interface Rewritten {
  readonly node: RootOperationNode;
  readonly outputs: QueryOutputs;
}

/**
 * Puts tokens and indexes in the place of values. A query that names no table with encrypted columns is left as it is.
 *
 * @throws `invalid-argument` for what is not known, not certain, or would hit other rows
 */
export function rewritten(root: RootOperationNode, tables: GuardedTables): Rewritten {
  const outputs = new Outputs();
  if (!touches(root, tables)) return { node: root, outputs };
  if (isSchemaKind(root.kind)) {
    for (const node of nodesIn(root))
      if (isQuery(node) && touches(node, tables)) throw unknownNode("a query in a statement about the schema");
    checkDefaults(root, tables);
    return { node: root, outputs };
  }
  const node = new Rewriting(tables, outputs).node(root, { scopes: [], place: "outer", isOutermost: true, targets: [], isConflict: false });
  if (!isRoot(node)) throw unknownNode(node.kind);
  outputs.checkDrops();
  return { node, outputs };
}

/** Where a node stands. */
interface Position {
  /** The sources in reach, those of the innermost query last. */
  readonly scopes: readonly Scope[];
  readonly place: Place | "condition";
  /** Whether it belongs to the outermost query, whose result the adapter sees. */
  readonly isOutermost: boolean;
  /** Why rows of other values cannot be dropped from the result; undefined where they can. */
  readonly keepsAll?: string | undefined;
  /** The tables that are written. */
  readonly targets: Scope;
  /** Whether `excluded` is the row that was to be inserted. */
  readonly isConflict: boolean;
}

class Rewriting {
  readonly #tables: GuardedTables;
  readonly #outputs: Outputs;

  constructor(tables: GuardedTables, outputs: Outputs) {
    this.#tables = tables;
    this.#outputs = outputs;
  }

  node(node: OperationNode, at: Position): OperationNode {
    if (SelectQueryNode.is(node)) return this.#select(node, at);
    if (InsertQueryNode.is(node)) return this.#insert(node, at);
    if (UpdateQueryNode.is(node)) return this.#update(node, at);
    if (DeleteQueryNode.is(node)) return this.#delete(node, at);
    if (BinaryOperationNode.is(node)) return this.#comparison(node, at);
    if (SelectionNode.is(node)) return this.#selection(node, at);
    if (ReferenceNode.is(node) || ColumnNode.is(node)) return this.#column(node, at);
    if (RawNode.is(node)) return this.#raw(node, at);
    if (OnConflictNode.is(node)) return this.#onConflict(node, at);
    if (TableNode.is(node)) return this.#table(node, at);
    if (starOf(node) !== undefined) throw notComparable("a table with encrypted columns", "an expression of all columns");
    if (OutputNode.is(node)) return this.#parts(node, { ...at, scopes: [...at.scopes, pseudoTables(at.targets)] });
    if (OrderByItemNode.is(node)) this.#outputs.refuseNumber(node.orderBy);
    if (GroupByItemNode.is(node)) this.#outputs.refuseNumber(node.groupBy);
    if (SelectModifierNode.is(node) && at.scopes.length === 1) this.#refuseClause(node);
    if (CommonTableExpressionNode.is(node)) this.#refuseHiding(node);
    if ((AggregateFunctionNode.is(node) || FunctionNode.is(node)) && !/^[\w.]+$/.test(node.func))
      throw unknownNode(`the function ${node.func}`);
    if (AggregateFunctionNode.is(node) && node.func === "count") return this.#count(node, at);
    return this.#parts(node, at);
  }

  #select(node: SelectQueryNode, at: Position): OperationNode {
    const scope = sourcesOf([...(node.from?.froms ?? []), ...(node.joins ?? []).map(({ table }) => table)], this.#tables);
    const inner = within(at, scope);
    const isOutermost = inner.isOutermost && node.setOperations === undefined;
    const position = { ...inner, isOutermost, keepsAll: isOutermost ? keepsAll(node) : "a nested query" };
    const selected = this.#parts(node, position, at);
    for (const each of isOutermost ? (node.distinctOn ?? []) : []) this.#outputs.refuseNumber(each);
    if (isOutermost && (node.frontModifiers ?? []).length > 0) this.#outputs.refuseAny("a query with `distinct`");
    if (node.explain !== undefined) this.#outputs.forget();
    return selected;
  }

  #insert(node: InsertQueryNode, at: Position): OperationNode {
    const scope = sourcesOf(node.into === undefined ? [] : [node.into], this.#tables);
    const table = scope[0]?.table;
    const insert = table === undefined ? node : encryptedInsert(node, table);
    return this.#parts(insert, { ...within(at, scope), keepsAll: "an insert", targets: scope }, at);
  }

  #update(node: UpdateQueryNode, at: Position): OperationNode {
    const targets = sourcesOf(node.table === undefined ? [] : [node.table], this.#tables);
    const sources = sourcesOf([...(node.from?.froms ?? []), ...(node.joins ?? []).map(({ table }) => table)], this.#tables);
    return this.#parts(node, { ...within(at, [...targets, ...sources]), keepsAll: "an update", targets }, at);
  }

  #delete(node: DeleteQueryNode, at: Position): OperationNode {
    const targets = sourcesOf(node.from.froms, this.#tables);
    const sources = sourcesOf([...(node.using?.tables ?? []), ...(node.joins ?? []).map(({ table }) => table)], this.#tables);
    return this.#parts(node, { ...within(at, [...targets, ...sources]), keepsAll: "a delete", targets }, at);
  }

  #onConflict(node: OnConflictNode, at: Position): OperationNode {
    for (const column of node.columns ?? []) {
      const found = columnAt(column, [at.targets]);
      if (found?.guarded.role === "token") throw notComparable(found.guarded.name, "`on conflict`: its tokens never equal each other");
      if (found !== undefined) this.#useIndex(found, { ...at, keepsAll: "`on conflict`" });
    }
    return this.#parts(node, { ...at, isConflict: true });
  }

  #comparison(node: BinaryOperationNode, at: Position): OperationNode {
    const { leftOperand, operator, rightOperand } = node;
    const found = columnAt(leftOperand, at.scopes);
    const sign = OperatorNode.is(operator) ? operator.operator : undefined;
    if (found === undefined || found.guarded.role === "index" || sign === undefined) return this.#compared(node, at);
    const isNullTest = (sign === "is" || sign === "is not") && ValueNode.is(rightOperand) && rightOperand.value === null;
    if (isNullTest) return node;
    const name = `${found.guarded.table.name}.${found.guarded.name}`;
    const index = comparedIndex(found.guarded.column, name);
    const wanted = wantedValues(rightOperand);
    if (wanted === undefined || (sign !== "=" && sign !== "in")) throw notComparable(name, "a filter other than = and in, on values");
    if (!index.isUnique) {
      if (at.place !== "condition") throw sharedIndex(name, "a condition that is not one of the outermost `where` alone");
      if (at.keepsAll !== undefined) throw sharedIndex(name, at.keepsAll);
      this.#outputs.drop({ found, index, wanted });
    }
    const indexes = PrimitiveValueListNode.create(wanted.flatMap((value) => index.cipher.blindIndexAll(value)));
    return BinaryOperationNode.create(renamed(leftOperand, index.name), OperatorNode.create("in"), indexes);
  }

  /** A blind index that is compared by hand: `=` and `in` on values find rows as the column itself would. */
  #compared(node: BinaryOperationNode, at: Position): OperationNode {
    const { leftOperand, operator, rightOperand } = node;
    const found = columnAt(leftOperand, at.scopes);
    const sign = OperatorNode.is(operator) ? operator.operator : "";
    if (found === undefined || wantedValues(rightOperand) === undefined || !(sign === "=" || sign === "in")) return this.#parts(node, at);
    this.#useIndex(
      found,
      at.place === "condition" ? at : { ...at, keepsAll: "a condition that is not one of the outermost `where` alone" },
    );
    return node;
  }

  #selection(node: SelectionNode, at: Position): OperationNode {
    const { selection } = node;
    const star = starOf(selection);
    if (star !== undefined) {
      this.#selectAll(star.table, at);
      return node;
    }
    const [selected, name] = AliasNode.is(selection)
      ? [selection.node, IdentifierNode.is(selection.alias) ? selection.alias.name : undefined]
      : [selection, columnName(selection)];
    const found = columnAt(selected, at.scopes);
    if (found?.guarded.role === "token") {
      if (!at.isOutermost) throw notComparable(found.guarded.name, "a nested query, where it would not be decrypted");
      if (name === undefined) throw notComparable(found.guarded.name, "an alias that is not a plain name");
      this.#outputs.add(name, found);
      return node;
    }
    if (name !== undefined && at.isOutermost) this.#outputs.refuseTaken(name);
    if (found !== undefined) {
      if (!at.isOutermost) this.#useIndex(found, at);
      return node;
    }
    const inner = this.node(selected, { ...at, place: "value", isOutermost: false });
    const visited = AliasNode.is(selection) ? { ...selection, node: inner } : inner;
    return { ...node, ...{ selection: visited } };
  }

  #selectAll(table: TableNode | undefined, at: Position): void {
    const scope = at.scopes.at(-1) ?? [];
    const source = table === undefined ? (scope.length === 1 ? scope[0] : undefined) : sourceCalled(table.table, at.scopes);
    const isGuarded = scope.some((each) => each.table !== undefined);
    if (source === undefined && isGuarded) {
      throw invalidArgument("which of all columns are encrypted is not certain", "Name the columns, or one table: `selectAll(table)`.");
    }
    if (source?.table === undefined) {
      if (at.isOutermost) this.#outputs.refuseAny("a selection before all columns of another table: put `selectAll` first");
      return;
    }
    if (!at.isOutermost) throw notComparable(`all columns of ${source.table.name}`, "a nested query, where they would not be decrypted");
    for (const guarded of source.table.tokens) this.#outputs.add(guarded.name, { guarded, source });
  }

  /** Wherever a column has no meaning of its own here, the query would compare, sort or compute with tokens. */
  #column(node: ColumnNode | ReferenceNode, at: Position): OperationNode {
    if (ReferenceNode.is(node) && starOf(node) !== undefined) throw notComparable("all columns of a table", "an expression");
    const name = columnName(node) ?? "";
    const found = columnAt(node, at.scopes);
    if (found?.guarded.role === "index") this.#useIndex(found, { ...at, keepsAll: at.keepsAll ?? "an expression, a join, or an order" });
    else if (found !== undefined) throw notComparable(name, "an expression, a join, or an order");
    const isPlain = ReferenceNode.is(node) && node.table !== undefined;
    if (found === undefined && !isPlain) this.#outputs.refuseAlias(name);
    return node;
  }

  #useIndex({ guarded }: Found, { keepsAll }: Position): void {
    const index = comparedIndex(guarded.column, `${guarded.table.name}.${guarded.name}`);
    if (!index.isUnique && keepsAll !== undefined) throw sharedIndex(`${guarded.table.name}.${guarded.name}`, keepsAll);
  }

  #raw(node: RawNode, at: Position): OperationNode {
    checkRawText(node, at.scopes, this.#tables);
    this.#outputs.refuseNamed(rawText(node));
    const isAlone = at.scopes.length === 0;
    if (isAlone && node.parameters.some((each) => touches(each, this.#tables))) {
      throw invalidArgument(
        "a sql template names a table with encrypted columns",
        "Run it with `db.withoutPlugins()`, where tokens stay tokens.",
      );
    }
    return this.#parts(node, { ...at, place: "value", isOutermost: false });
  }

  #table(node: TableNode, at: Position): OperationNode {
    if (at.place === "source") return node;
    if (sourceCalled(node.table, at.scopes)?.table === undefined && this.#tables.find(node.table) === undefined) return node;
    throw notComparable(`all columns of ${node.table.identifier.name}`, "an expression");
  }

  /** `count(*)` holds no column. */
  #count(node: AggregateFunctionNode, at: Position): OperationNode {
    const isOfRows = node.aggregated.every((each) => starOf(each) !== undefined);
    return this.#parts(isOfRows ? { ...node, aggregated: [] } : node, at, at, isOfRows ? { aggregated: node.aggregated } : {});
  }

  #refuseClause({ rawModifier }: SelectModifierNode): void {
    if (rawModifier !== undefined) this.#outputs.refuseClause(RawNode.is(rawModifier) ? rawText(rawModifier) : "");
  }

  #refuseHiding({ name }: CommonTableExpressionNode): void {
    const { identifier } = name.table.table;
    if (!this.#tables.mayName(identifier.name)) return;
    throw invalidArgument(`${identifier.name} in \`with\` hides a table with encrypted columns`, "Give it another name.");
  }

  /** Visits the parts of a node, those that its kind is known to have. */
  #parts<N extends OperationNode>(node: N, at: Position, outer: Position = at, kept: Partial<N> = {}): N {
    const refused = refusedKind(node.kind);
    if (refused !== undefined)
      throw invalidArgument(`${refused.name} is refused where a table with encrypted columns is named`, refused.says);
    const places = placesOf(node.kind);
    if (places === undefined) throw unknownNode(node.kind);
    const parts = new Map(partsOf(node));
    for (const name of parts.keys()) if (!places.has(name)) throw unknownNode(`${name} of ${node.kind}`);
    const visited: Record<string, unknown> = {};
    for (const [name, place] of places) {
      const part = parts.get(name);
      if (part !== undefined && place !== "data") visited[name] = this.#part(part, positionOf(place, at, outer));
    }
    return { ...node, ...visited, ...kept };
  }

  #part(part: unknown, at: Position): unknown {
    if (Array.isArray(part)) return part.flatMap((each) => this.#part(each, at));
    if (!isNode(part)) throw unknownNode("something that is no node");
    if (at.place !== "assigned" || !ColumnUpdateNode.is(part)) return this.node(part, at);
    const encrypted = encryptedUpdate(part, at.targets, at.isConflict);
    return encrypted ?? { ...part, ...{ value: this.node(part.value, { ...at, place: "value" }) } };
  }
}

function positionOf(place: Place, at: Position, outer: Position): Position {
  if (place === "same") return at;
  if (place === "outer") return { ...outer, place, isOutermost: false, keepsAll: "a nested query" };
  return { ...at, place, isOutermost: at.isOutermost && place === "output" };
}

/** Inside a query, where its own sources are the innermost. */
function within(at: Position, scope: Scope): Position {
  const isOutermost = at.isOutermost && at.scopes.length === 0;
  return { ...at, isOutermost, scopes: [...at.scopes, scope], place: "condition", isConflict: false, targets: [] };
}

/** Why a select gives more than the rows that its filter finds, or fewer: then none can be dropped from its result. */
function keepsAll(node: SelectQueryNode): string | undefined {
  if (node.limit ?? node.offset ?? node.fetch ?? node.top) return "a query with a limit";
  if (node.groupBy ?? node.having ?? node.distinctOn ?? node.frontModifiers?.[0]) return "a query with groups or `distinct`";
  if (node.explain !== undefined) return "`explain`";
  if ([...nodesIn(node)].some(RawNode.is)) return "a query with a sql template, which may limit it";
  const isColumn = ({ selection }: SelectionNode): boolean =>
    starOf(selection) !== undefined || columnName(AliasNode.is(selection) ? selection.node : selection) !== undefined;
  return (node.selections ?? []).every(isColumn) ? undefined : "a query that counts or computes";
}

/** SQL Server calls the rows of the table that is written by these names. */
function pseudoTables(targets: Scope): Scope {
  return targets.flatMap((target) => ["inserted", "deleted"].map((name) => ({ ...target, name })));
}

/** What a column is compared with; undefined if that is no value, or null. */
function wantedValues(node: OperationNode): readonly unknown[] | undefined {
  if (ValueNode.is(node)) return node.value === null ? undefined : [node.value];
  if (PrimitiveValueListNode.is(node)) return node.values.includes(null) ? undefined : node.values;
  if (!ValueListNode.is(node)) return undefined;
  const lists = node.values.map(wantedValues);
  return lists.every((list) => list !== undefined) ? lists.flat() : undefined;
}

/** Whether a query may concern a table with encrypted columns. */
function touches(root: OperationNode, tables: GuardedTables): boolean {
  for (const node of nodesIn(root)) {
    if (TableNode.is(node) && tables.mayName(node.table.identifier.name)) return true;
    if (RawNode.is(node) && mentionsTable(node, tables)) return true;
  }
  return false;
}

function isQuery(node: OperationNode): boolean {
  return node.kind.endsWith("QueryNode") || node.kind === "RawNode";
}

function unknownNode(what: string): Error {
  return invalidArgument(
    `${what} is not known in a query of encrypted columns`,
    "Write the query in another way, or run it with `db.withoutPlugins()`, where tokens stay tokens.",
  );
}
