import { type OperationNode, ReferenceNode, type RootOperationNode, SelectAllNode, SelectionNode, type TableNode } from "kysely";

export function isNode(value: unknown): value is OperationNode {
  return typeof value === "object" && value !== null && "kind" in value && typeof value.kind === "string";
}

/** The parts of a node that are there, by name. */
export function partsOf(node: OperationNode): readonly (readonly [string, unknown])[] {
  const parts: readonly (readonly [string, unknown])[] = Object.entries(node);
  return parts.filter(([name, part]) => name !== "kind" && part !== undefined);
}

/** The node and all nodes in it. */
export function* nodesIn(value: unknown): Generator<OperationNode> {
  if (Array.isArray(value)) for (const each of value) yield* nodesIn(each);
  if (!isNode(value)) return;
  yield value;
  if (value.kind === "ValueNode" || value.kind === "PrimitiveValueListNode") return; // what users compare with is no part of the query
  for (const [, part] of partsOf(value)) yield* nodesIn(part);
}

/** Whether a selection is of all columns, and of which table. */
export function starOf(node: OperationNode): { readonly table: TableNode | undefined } | undefined {
  if (SelectionNode.is(node)) return starOf(node.selection);
  if (SelectAllNode.is(node)) return { table: undefined };
  return ReferenceNode.is(node) && SelectAllNode.is(node.column) ? { table: node.table } : undefined;
}

export function isRoot(node: OperationNode): node is RootOperationNode {
  return node.kind.endsWith("QueryNode") || node.kind === "RawNode" || node.kind.startsWith("Create");
}
