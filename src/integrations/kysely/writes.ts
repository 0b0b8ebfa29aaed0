import {
  ColumnNode,
  ColumnUpdateNode,
  DefaultInsertValueNode,
  type InsertQueryNode,
  type OperationNode,
  PrimitiveValueListNode,
  ReferenceNode,
  ValueListNode,
  ValueNode,
  ValuesNode,
} from "kysely";
import { invalidArgument } from "../../core/base/errors.ts";
import { indexColumnOf, notComparable, writtenColumn } from "../encrypted-column.ts";
import { columnName, type Scope } from "./scopes.ts";
import type { GuardedColumn, GuardedTable } from "./tables.ts";

/**
 * An insert with tokens for values, and with the columns of the indexes.
 *
 * @throws `invalid-argument` for values that are not at hand: a query, an expression
 */
export function encryptedInsert(node: InsertQueryNode, table: GuardedTable): InsertQueryNode {
  if (node.defaultValues === true) return node;
  if (node.columns === undefined) throw notComparable(table.name, "an insert that does not name its columns");
  const names = node.columns.map(({ column }) => column.name);
  const targets = names.map((name) => writable(table.column(name)));
  const encrypted = targets.filter((target) => target !== undefined);
  if (encrypted.length === 0) return node;
  if (node.values === undefined || !ValuesNode.is(node.values)) throw notComparable(names.join(", "), "an insert from a query");
  const rows = node.values.values.map((row) => {
    const values = PrimitiveValueListNode.is(row) ? row.values.map((value) => ValueNode.create(value)) : row.values;
    const pairs = values.map((value, at) => encryptedValue(value, targets[at]));
    const indexes = targets.flatMap((target, at) => (target !== undefined && indexColumnOf(target.column) ? [pairs[at]?.index] : []));
    return ValueListNode.create([...pairs.map(({ token }) => token), ...indexes.map((index) => index ?? DefaultInsertValueNode.create())]);
  });
  const added = encrypted.flatMap(({ column }) => indexColumnOf(column) ?? []).map((name) => ColumnNode.create(name));
  return { ...node, columns: [...node.columns, ...added], values: ValuesNode.create(rows) };
}

/**
 * One assignment of an update, or two where a column has an index.
 *
 * @param targets the tables that are written
 * @param isConflict whether `excluded` is the row that was to be inserted
 * @returns undefined if the column is not encrypted
 * @throws `invalid-argument` for values that are not at hand
 */
export function encryptedUpdate(update: ColumnUpdateNode, targets: Scope, isConflict: boolean): readonly ColumnUpdateNode[] | undefined {
  const name = columnName(update.column);
  const qualifier = ReferenceNode.is(update.column) ? update.column.table?.table.identifier.name : undefined;
  const named = targets.filter((target) => qualifier === undefined || target.name === qualifier);
  const guarded = named.flatMap(({ table }) => (name === undefined ? [] : (table?.column(name) ?? [])));
  if (name === undefined || named.length === 0)
    throw invalidArgument("it is not certain which column an update writes", "Name the columns of the table that is updated.");
  if (guarded.length > 1) throw invalidArgument(`it is not certain which column ${name} is`, "Name it with its table.");
  const target = writable(guarded[0]);
  if (target === undefined) return undefined;
  const index = indexColumnOf(target.column);
  const indexed = (value: OperationNode): readonly ColumnUpdateNode[] =>
    index === undefined ? [] : [ColumnUpdateNode.create(renamed(update.column, index), value)];
  const { value } = update;
  if (isConflict && ReferenceNode.is(value) && value.table?.table.identifier.name === "excluded" && columnName(value) === name) {
    return [update, ...indexed(index === undefined ? value : renamed(value, index))]; // what the insert has encrypted
  }
  if (!ValueNode.is(value)) throw notComparable(`${target.table.name}.${name}`, "an update by an expression");
  const written = encryptedValue(value, target);
  return [ColumnUpdateNode.create(update.column, written.token), ...indexed(written.index ?? written.token)];
}

/** The same reference to another column. */
export function renamed(node: OperationNode, column: string): ColumnNode | ReferenceNode {
  return ReferenceNode.is(node) ? ReferenceNode.create(ColumnNode.create(column), node.table) : ColumnNode.create(column);
}

interface Written {
  readonly token: OperationNode;
  readonly index?: OperationNode;
}

function encryptedValue(value: OperationNode, target: GuardedColumn | undefined): Written {
  if (target === undefined || DefaultInsertValueNode.is(value)) return { token: value };
  if (!ValueNode.is(value)) throw notComparable(`${target.table.name}.${target.name}`, "an insert of an expression");
  const { token, index } = writtenColumn(target.column, value.value, `${target.table.name}.${target.name}`);
  return { token: ValueNode.create(token), index: ValueNode.create(index) };
}

/** An index follows the column that it is of; written by hand, it could say something else. */
function writable(guarded: GuardedColumn | undefined): GuardedColumn | undefined {
  if (guarded?.role !== "index") return guarded;
  throw invalidArgument(`${guarded.table.name}.${guarded.name} is a blind index: it is written with its column`, "Write the column.");
}
