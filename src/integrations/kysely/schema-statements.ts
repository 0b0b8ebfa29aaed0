import { AlterColumnNode, ColumnDefinitionNode, ColumnNode, type OperationNode, TableNode, ValueNode } from "kysely";
import { notComparable } from "../encrypted-column.ts";
import { nodesIn } from "./nodes.ts";
import type { GuardedTables } from "./tables.ts";

/**
 * Refuses a default, or an expression that generates an encrypted column: the database would write plaintext where an insert leaves the
 * column out.
 *
 * @throws `invalid-argument`
 */
export function checkDefaults(root: OperationNode, tables: GuardedTables): void {
  const written = [...nodesIn(root)].flatMap((node) => (isWritten(node) ? [node.column.column.name] : []));
  if (written.length === 0) return;
  for (const node of nodesIn(root)) {
    const table = TableNode.is(node) ? tables.find(node.table) : undefined;
    for (const name of written)
      if (table?.column(name)?.role === "token")
        throw notComparable(`${table.name}.${name}`, "a default of the schema, which is plaintext");
  }
}

/** Whether the database itself gives the column a value other than null. */
function isWritten(node: OperationNode): node is AlterColumnNode | ColumnDefinitionNode {
  if (AlterColumnNode.is(node)) return isValue(node.setDefault);
  return (
    ColumnDefinitionNode.is(node) && ColumnNode.is(node.column) && (isValue(node.defaultTo?.defaultValue) || node.generated !== undefined)
  );
}

function isValue(node: OperationNode | undefined): boolean {
  return node !== undefined && !(ValueNode.is(node) && node.value === null);
}
