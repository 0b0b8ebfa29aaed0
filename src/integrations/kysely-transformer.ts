import {
  AliasNode,
  BinaryOperationNode,
  ColumnNode,
  ColumnUpdateNode,
  DefaultInsertValueNode,
  type DeleteQueryNode,
  IdentifierNode,
  type InsertQueryNode,
  ListNode,
  type MergeQueryNode,
  type OnConflictNode,
  type OnDuplicateKeyNode,
  type OperationNode,
  OperationNodeTransformer,
  OperatorNode,
  PrimitiveValueListNode,
  type QueryId,
  ReferenceNode,
  type RootOperationNode,
  SelectAllNode,
  type SelectionNode,
  type SelectQueryNode,
  TableNode,
  type UpdateQueryNode,
  ValueListNode,
  ValueNode,
  ValuesNode,
} from "kysely";
import { invalidArgument } from "../core/base/errors.ts";
import { cipherOf, type EncryptedColumn, indexColumnOf, indexOf, notComparable, sourceOf } from "./column-cipher.ts";

type Column = EncryptedColumn<unknown>;
type Index = NonNullable<ReturnType<typeof indexOf<unknown>>>;
type Columns = Readonly<Record<string, Column | undefined>>;
export type Tables = Readonly<Record<string, Columns | undefined>>;

/** Rewrites one query after the other. Sync, so that what it notes of a query is its own. */
export class EncryptingTransformer extends OperationNodeTransformer {
  readonly #tables: Tables;
  /** What can be referred to, by the names that it goes by; the innermost query last. */
  #scopes: ReadonlyMap<string, Columns>[] = [];
  #outputs = new Map<string, Column>();

  constructor(tables: Tables) {
    super();
    this.#tables = tables;
  }

  /** @returns the query to send, and the columns of its result that have to be decrypted */
  transformQuery(node: RootOperationNode, queryId: QueryId): { node: RootOperationNode; outputs: ReadonlyMap<string, Column> } {
    this.#scopes = [];
    this.#outputs = new Map();
    return { node: this.transformNode(node, queryId), outputs: this.#outputs };
  }

  protected override transformSelectQuery(node: SelectQueryNode, queryId?: QueryId): SelectQueryNode {
    const sources = [...(node.from?.froms ?? []), ...(node.joins ?? []).map(({ table }) => table)];
    return this.#within(sources, () => super.transformSelectQuery(node, queryId));
  }

  protected override transformDeleteQuery(node: DeleteQueryNode, queryId?: QueryId): DeleteQueryNode {
    const sources = [...node.from.froms, ...(node.using?.tables ?? []), ...(node.joins ?? []).map(({ table }) => table)];
    return this.#within(sources, () => super.transformDeleteQuery(node, queryId));
  }

  protected override transformUpdateQuery(node: UpdateQueryNode, queryId?: QueryId): UpdateQueryNode {
    const targets = node.table === undefined ? [] : ListNode.is(node.table) ? node.table.items : [node.table];
    const sources = [...targets, ...(node.from?.froms ?? []), ...(node.joins ?? []).map(({ table }) => table)];
    return this.#within(sources, () => super.transformUpdateQuery({ ...node, ...this.#encryptedUpdates(node.updates) }, queryId));
  }

  protected override transformInsertQuery(node: InsertQueryNode, queryId?: QueryId): InsertQueryNode {
    const columns = node.into && columnsOf(node.into, this.#tables);
    const encrypted = columns === undefined ? node : encryptedInsert(node, columns);
    return this.#within(node.into ? [node.into] : [], () => super.transformInsertQuery(encrypted, queryId));
  }

  protected override transformOnConflict(node: OnConflictNode, queryId?: QueryId): OnConflictNode {
    return super.transformOnConflict({ ...node, ...this.#encryptedUpdates(node.updates) }, queryId);
  }

  protected override transformOnDuplicateKey(node: OnDuplicateKeyNode, queryId?: QueryId): OnDuplicateKeyNode {
    return super.transformOnDuplicateKey({ ...node, ...this.#encryptedUpdates(node.updates) }, queryId);
  }

  protected override transformMergeQuery(node: MergeQueryNode, queryId?: QueryId): MergeQueryNode {
    if (namedColumns(node.into, this.#tables) !== undefined)
      throw invalidArgument("a merge into a table with encrypted columns is not supported");
    return super.transformMergeQuery(node, queryId);
  }

  /** What `#encryptedUpdates` made is left as it is. */
  protected override transformColumnUpdate(node: ColumnUpdateNode, queryId?: QueryId): ColumnUpdateNode {
    return this.#encryptedAt(node.column) === undefined ? super.transformColumnUpdate(node, queryId) : node;
  }

  protected override transformSelection(node: SelectionNode, queryId?: QueryId): SelectionNode {
    const { selection } = node;
    const isAll = SelectAllNode.is(selection) || (ReferenceNode.is(selection) && SelectAllNode.is(selection.column));
    if (isAll) {
      for (const [name, column] of this.#allOf(selection)) if (column !== undefined) this.#select(name, column);
      return node;
    }
    const [selected, name] =
      AliasNode.is(selection) && IdentifierNode.is(selection.alias)
        ? [selection.node, selection.alias.name]
        : [selection, columnName(selection)];
    const column = this.#encryptedAt(selected);
    if (column !== undefined && name !== undefined) {
      this.#select(name, column);
      return node;
    }
    if (name !== undefined && this.#scopes.length === 1) this.#outputs.delete(name); // selected again, as something else
    return super.transformSelection(node, queryId);
  }

  protected override transformBinaryOperation(node: BinaryOperationNode, queryId?: QueryId): BinaryOperationNode {
    const { leftOperand, operator, rightOperand } = node;
    const column = this.#encryptedAt(leftOperand);
    if (column === undefined || !OperatorNode.is(operator)) return super.transformBinaryOperation(node, queryId);
    const isNullTest = operator.operator === "is" || operator.operator === "is not";
    if (isNullTest && ValueNode.is(rightOperand) && rightOperand.value === null) return node;
    const name = columnName(leftOperand) ?? "";
    const index = indexOf(column);
    const wanted = wantedValues(rightOperand);
    if (index === undefined) throw notComparable(name, "a filter: it has no index");
    if (wanted === undefined || (operator.operator !== "=" && operator.operator !== "in")) {
      throw notComparable(name, `a filter other than = and in, on values`);
    }
    const indexes = PrimitiveValueListNode.create(wanted.flatMap((value) => index.cipher.blindIndexAll(value)));
    return BinaryOperationNode.create(renamed(leftOperand, index.name), OperatorNode.create("in"), indexes);
  }

  /** Wherever a reference has no meaning of its own here, it would compare, sort or compute with tokens. */
  protected override transformReference(node: ReferenceNode, queryId?: QueryId): ReferenceNode {
    const name = columnName(node);
    const isAlias = node.table === undefined && this.#scopes.length === 1 && name !== undefined && this.#outputs.has(name);
    if (isAlias || this.#encryptedAt(node) !== undefined) throw notComparable(name ?? "a column", "an expression, a join, or an order");
    return super.transformReference(node, queryId);
  }

  #within<Node>(sources: readonly OperationNode[], transform: () => Node): Node {
    const scope = new Map<string, Columns>();
    for (const source of sources) {
      const columns = namedColumns(source, this.#tables);
      if (columns !== undefined) scope.set(...columns);
    }
    this.#scopes.push(scope);
    const node = transform();
    this.#scopes.pop();
    return node;
  }

  #select(name: string, column: Column): void {
    if (this.#scopes.length > 1) throw notComparable(name, "a nested query, where nobody would decrypt it");
    this.#outputs.set(name, column);
  }

  #allOf(selection: OperationNode): readonly [string, Column | undefined][] {
    const scope = this.#scopes.at(-1) ?? new Map<string, Columns>();
    const table = ReferenceNode.is(selection) ? selection.table?.table.identifier.name : undefined;
    return [...scope].flatMap(([name, columns]) => (table === undefined || table === name ? Object.entries(columns) : []));
  }

  /** The encrypted column that a node refers to. Without a table it may be that of any table in reach. */
  #encryptedAt(node: OperationNode): Column | undefined {
    const name = columnName(node);
    if (name === undefined) return undefined;
    const table = ReferenceNode.is(node) ? node.table?.table.identifier.name : undefined;
    const reach = this.#scopes.toReversed().flatMap((scope) => [...scope]);
    const columns = reach.find(([alias, candidate]) => (table === undefined ? Object.hasOwn(candidate, name) : alias === table));
    return columns !== undefined && Object.hasOwn(columns[1], name) ? columns[1][name] : undefined;
  }

  #encryptedUpdates(updates: readonly ColumnUpdateNode[] | undefined): { updates?: readonly ColumnUpdateNode[] } {
    if (updates === undefined) return {};
    refuseIndexColumns(
      updates.map(({ column }) => columnName(column)),
      this.#scopes.flatMap((scope) => [...scope.values()]),
    );
    return { updates: updates.flatMap((update) => this.#encryptedUpdate(update)) };
  }

  #encryptedUpdate(update: ColumnUpdateNode): readonly ColumnUpdateNode[] {
    const column = this.#encryptedAt(update.column);
    if (column === undefined) return [update];
    const index = indexOf(column);
    const { value } = update;
    const set = (token: OperationNode, indexValue: OperationNode | undefined): readonly ColumnUpdateNode[] => {
      const updated = ColumnUpdateNode.create(update.column, token);
      if (index === undefined || indexValue === undefined) return [updated];
      return [updated, ColumnUpdateNode.create(ColumnNode.create(index.name), indexValue)];
    };
    if (ValueNode.is(value)) {
      return set(ValueNode.create(encrypted(column, value.value)), index && ValueNode.create(indexed(index, value.value)));
    }
    // on conflict do update set email = excluded.email: what the insert has encrypted
    const name = columnName(update.column) ?? "";
    const isExcluded = ReferenceNode.is(value) && value.table?.table.identifier.name === "excluded" && columnName(value) === name;
    if (!isExcluded) throw notComparable(name, "an update by an expression");
    return set(value, index && renamed(value, index.name));
  }
}

/** The same insert with tokens for values, and with the indexes' columns. @throws `invalid-argument` */
function encryptedInsert(node: InsertQueryNode, columns: Columns): InsertQueryNode {
  const names = (node.columns ?? []).map(({ column }) => column.name);
  const targets = names.map((name) => (Object.hasOwn(columns, name) ? columns[name] : undefined));
  refuseIndexColumns(names, [columns]);
  if (targets.every((target) => target === undefined)) return node;
  if (node.values === undefined || !ValuesNode.is(node.values)) throw notComparable(names.join(", "), "an insert from a query");
  const indexes = targets.flatMap((target, place) => {
    const index = target && indexOf(target);
    return index === undefined ? [] : [{ index, place }];
  });
  const rows = node.values.values.map((row) => {
    if (PrimitiveValueListNode.is(row)) {
      const tokens = row.values.map((value, place) => encrypted(targets[place], value));
      return PrimitiveValueListNode.create([...tokens, ...indexes.map(({ index, place }) => indexed(index, row.values[place]))]);
    }
    const tokens = row.values.map((value, place) => withTarget(value, targets[place], encrypted));
    return ValueListNode.create([
      ...tokens,
      ...indexes.map(({ index, place }) => withTarget(row.values[place] ?? DefaultInsertValueNode.create(), index, indexed)),
    ]);
  });
  const added = indexes.map(({ index }) => ColumnNode.create(index.name));
  return { ...node, columns: [...(node.columns ?? []), ...added], values: ValuesNode.create(rows) };
}

/** A value of a row where some are expressions: those cannot be encrypted, a default can stay. */
function withTarget<Target>(
  value: OperationNode,
  target: Target | undefined,
  map: (target: Target, value: unknown) => unknown,
): OperationNode {
  if (target === undefined || DefaultInsertValueNode.is(value)) return value;
  if (!ValueNode.is(value)) throw notComparable("a column", "an insert of an expression");
  return ValueNode.create(map(target, value.value));
}

function encrypted(column: Column | undefined, value: unknown): unknown {
  return column === undefined || value === null ? value : cipherOf(sourceOf(column)).encrypt(value);
}

function indexed({ cipher }: Index, value: unknown): unknown {
  return value === null ? null : cipher.blindIndex(value);
}

/** They follow the column that they index; written by hand, they could say something else. */
function refuseIndexColumns(names: readonly (string | undefined)[], tables: readonly Columns[]): void {
  for (const column of tables.flatMap((columns) => Object.values(columns))) {
    const own = column && indexColumnOf(column);
    if (own !== undefined && names.includes(own)) throw invalidArgument(`${own} is a blind index: it is written with its column`);
  }
}

/** The columns of a table, by the name that it goes by in the query; undefined if it has no encrypted ones. */
function namedColumns(source: OperationNode, tables: Tables): readonly [string, Columns] | undefined {
  if (AliasNode.is(source)) {
    const named = namedColumns(source.node, tables);
    return named && IdentifierNode.is(source.alias) ? [source.alias.name, named[1]] : undefined;
  }
  const columns = TableNode.is(source) ? columnsOf(source, tables) : undefined;
  return TableNode.is(source) && columns !== undefined ? [source.table.identifier.name, columns] : undefined;
}

function columnsOf({ table }: TableNode, tables: Tables): Columns | undefined {
  const { name } = table.identifier;
  return Object.hasOwn(tables, name) ? tables[name] : undefined;
}

function columnName(node: OperationNode): string | undefined {
  if (ColumnNode.is(node)) return node.column.name;
  return ReferenceNode.is(node) && ColumnNode.is(node.column) ? node.column.column.name : undefined;
}

/** A reference to another column of the same table. */
function renamed(node: OperationNode, column: string): ReferenceNode {
  return ReferenceNode.create(ColumnNode.create(column), ReferenceNode.is(node) ? node.table : undefined);
}

/** What a column is compared with; undefined if that is no value, or null. */
function wantedValues(node: OperationNode): readonly unknown[] | undefined {
  if (ValueNode.is(node)) return node.value === null ? undefined : [node.value];
  if (PrimitiveValueListNode.is(node)) return node.values.includes(null) ? undefined : node.values;
  if (!ValueListNode.is(node)) return undefined;
  const lists = node.values.map(wantedValues);
  return lists.every((list) => list !== undefined) ? lists.flat() : undefined;
}
