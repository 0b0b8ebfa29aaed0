/**
 * How a part of a node is treated in a query that names a table with encrypted columns:
 *
 * - `data`: no node stands there; it is passed on.
 * - `value`: an expression or a clause. No encrypted column may stand in it.
 * - `same`: as the node around it. In the outermost `where`, rows that a short index found beside the wanted ones can be dropped.
 * - `source`: tables, aliases and queries that rows come from.
 * - `output`: what the query gives. Encrypted columns are decrypted in the outermost query and refused in any other.
 * - `outer`: seen from outside the query.
 * - `assigned`: columns that are written, with their values.
 */
export type Place = "assigned" | "data" | "outer" | "output" | "same" | "source" | "value";

/** A place, and the parts of a node that stand in it. */
export type Parts = readonly (readonly [Place, ...parts: string[]])[];

export interface Rule {
  readonly name: string;
  /** What stands in the table of docs/recipes/kysely.md, which is made from these rules. */
  readonly says: string;
  readonly handling: "checked" | "passed" | "refused" | "rewritten" | "schema";
  /** The known parts of each kind of node, in the order in which they are visited. Any other part is refused. */
  readonly kinds: Readonly<Record<string, Parts>>;
}

/** Every kind of node that is known, and how it is treated in a query that names a table with encrypted columns. */
export const RULES: readonly Rule[] = [
  {
    name: "select",
    says: "`select`: opens a scope. `distinct`, `top` with ties and set operations give no encrypted column.",
    handling: "checked",
    kinds: {
      SelectQueryNode: [
        ["outer", "with"],
        ["value", "from", "joins", "frontModifiers"],
        ["output", "selections"],
        ["same", "where"],
        ["value", "distinctOn", "groupBy", "having", "orderBy", "limit", "offset", "fetch", "top"],
        ["outer", "setOperations"],
        ["value", "endModifiers", "explain"],
      ],
    },
  },
  {
    name: "insert",
    says: "`insert`: values become tokens and indexes. A query or an expression as the value of an encrypted column is refused.",
    handling: "rewritten",
    kinds: {
      InsertQueryNode: [
        ["outer", "with"],
        ["source", "into"],
        ["data", "columns"],
        ["value", "values", "onConflict", "onDuplicateKey"],
        ["output", "returning", "output"],
        ["data", "ignore"],
        ["value", "orAction"],
        ["data", "replace", "defaultValues"],
        ["value", "top", "endModifiers", "explain"],
      ],
    },
  },
  {
    name: "update",
    says: "`update` and `on conflict do update`: values become tokens and indexes; `excluded` stands for its own column alone.",
    handling: "rewritten",
    kinds: {
      UpdateQueryNode: [
        ["outer", "with"],
        ["source", "table"],
        ["value", "from", "joins"],
        ["assigned", "updates"],
        ["same", "where"],
        ["value", "orderBy", "limit", "top"],
        ["output", "returning", "output"],
        ["value", "endModifiers", "explain"],
      ],
      OnConflictNode: [
        ["data", "columns"],
        ["value", "constraint", "indexExpression", "indexWhere"],
        ["assigned", "updates"],
        ["value", "updateWhere"],
        ["data", "doNothing"],
      ],
      OnDuplicateKeyNode: [["assigned", "updates"]],
      ColumnUpdateNode: [
        ["data", "column"],
        ["value", "value"],
      ],
    },
  },
  {
    name: "delete",
    says: "`delete`: its filter must hit the wanted rows alone, as that of an update.",
    handling: "checked",
    kinds: {
      DeleteQueryNode: [
        ["outer", "with"],
        ["value", "from", "using", "joins"],
        ["same", "where"],
        ["value", "orderBy", "limit", "top"],
        ["output", "returning", "output"],
        ["value", "endModifiers", "explain"],
      ],
    },
  },
  {
    name: "compare",
    says: "`=` and `in` on values: compared by the blind index. `is null` and `is not null`: passed. Any other operator is refused.",
    handling: "rewritten",
    kinds: { BinaryOperationNode: [["value", "leftOperand", "operator", "rightOperand"]] },
  },
  {
    name: "output",
    says: "What a query selects or returns: a column, an alias of one or all columns of a table are decrypted; anything else is an expression.",
    handling: "checked",
    kinds: {
      SelectionNode: [["output", "selection"]],
      SelectAllNode: [],
      AliasNode: [
        ["same", "node"],
        ["data", "alias"],
      ],
      ReturningNode: [["output", "selections"]],
      OutputNode: [["output", "selections"]],
    },
  },
  {
    name: "column",
    says: "A column is looked for in the innermost query that may have it. Where that is not certain it is refused: name it with its table.",
    handling: "checked",
    kinds: { ReferenceNode: [["data", "table", "column"]], ColumnNode: [["data", "column"]] },
  },
  {
    name: "table",
    says: "A table that rows come from: passed. As an expression (`toJson`, `jsonAgg`) it holds all columns and is refused.",
    handling: "checked",
    kinds: { TableNode: [["data", "table"]] },
  },
  {
    name: "with",
    says: "`with`: a name of a table with encrypted columns is refused, and so is a query in it that gives an encrypted column.",
    handling: "checked",
    kinds: {
      WithNode: [
        ["value", "expressions"],
        ["data", "recursive"],
      ],
      CommonTableExpressionNode: [
        ["value", "name", "expression"],
        ["data", "materialized"],
      ],
      CommonTableExpressionNameNode: [
        ["source", "table"],
        ["data", "columns"],
      ],
    },
  },
  {
    name: "sql",
    says: "`sql` templates: what is put in is checked as any expression. Text that names an encrypted table, column or output is refused.",
    handling: "checked",
    kinds: {
      RawNode: [
        ["data", "sqlFragments"],
        ["value", "parameters"],
      ],
    },
  },
  {
    name: "sources",
    says: "Sources of rows: tables, aliases, queries and functions; `on` is a filter that must hit the wanted rows alone.",
    handling: "passed",
    kinds: {
      FromNode: [["source", "froms"]],
      JoinNode: [
        ["data", "joinType"],
        ["source", "table"],
        ["value", "on"],
      ],
      UsingNode: [["source", "tables"]],
      ListNode: [["source", "items"]],
      OnNode: [["value", "on"]],
    },
  },
  {
    name: "and",
    says: "`where`, `and` and parentheses: as what stands around them.",
    handling: "passed",
    kinds: {
      WhereNode: [["same", "where"]],
      AndNode: [["same", "left", "right"]],
      ParensNode: [["same", "node"]],
    },
  },
  {
    name: "negation",
    says: "`or`, `not`, `case`, `having`, `filter`: a filter in them must hit the wanted rows alone.",
    handling: "passed",
    kinds: {
      OrNode: [["value", "left", "right"]],
      UnaryOperationNode: [["value", "operator", "operand"]],
      CaseNode: [
        ["value", "value", "when", "else"],
        ["data", "isStatement"],
      ],
      WhenNode: [["value", "condition", "result"]],
      HavingNode: [["value", "having"]],
    },
  },
  {
    name: "expressions",
    says: "Expressions, orders and groups: no encrypted column may stand in them.",
    handling: "passed",
    kinds: {
      AggregateFunctionNode: [
        ["data", "func"],
        ["value", "aggregated"],
        ["data", "distinct"],
        ["value", "orderBy", "withinGroup", "filter", "over"],
      ],
      FunctionNode: [
        ["data", "func"],
        ["value", "arguments"],
      ],
      CastNode: [["value", "expression", "dataType"]],
      CollateNode: [["value", "collation"]],
      TupleNode: [["value", "values"]],
      ValueListNode: [["value", "values"]],
      JSONReferenceNode: [["value", "reference", "traversal"]],
      JSONPathNode: [["value", "inOperator", "pathLegs"]],
      JSONPathLegNode: [["data", "type", "value"]],
      JSONOperatorChainNode: [["value", "operator", "values"]],
      OverNode: [["value", "orderBy", "partitionBy"]],
      PartitionByNode: [["value", "items"]],
      PartitionByItemNode: [["value", "partitionBy"]],
      OrderByNode: [["value", "items"]],
      OrderByItemNode: [
        ["value", "orderBy", "direction"],
        ["data", "nulls"],
        ["value", "collation"],
      ],
      GroupByNode: [["value", "items"]],
      GroupByItemNode: [["value", "groupBy"]],
      SetOperationNode: [
        ["data", "operator"],
        ["value", "expression"],
        ["data", "all"],
      ],
      SelectModifierNode: [
        ["data", "modifier"],
        ["value", "rawModifier"],
        ["source", "of"],
      ],
      LimitNode: [["value", "limit"]],
      OffsetNode: [["value", "offset"]],
      ExplainNode: [
        ["data", "format"],
        ["value", "options"],
      ],
      ValuesNode: [["value", "values"]],
    },
  },
  {
    name: "values",
    says: "Values, names and words: passed.",
    handling: "passed",
    kinds: {
      ValueNode: [["data", "value", "immediate"]],
      PrimitiveValueListNode: [["data", "values"]],
      DefaultInsertValueNode: [],
      IdentifierNode: [["data", "name"]],
      SchemableIdentifierNode: [["data", "schema", "identifier"]],
      OperatorNode: [["data", "operator"]],
      DataTypeNode: [["data", "dataType"]],
      FetchNode: [
        ["value", "rowCount"],
        ["data", "modifier"],
      ],
      TopNode: [["data", "expression", "modifiers"]],
      OrActionNode: [["data", "action"]],
    },
  },
  {
    name: "merge",
    says: "`merge`: refused. Insert and update in two statements.",
    handling: "refused",
    kinds: { MergeQueryNode: [], MatchedNode: [] },
  },
  {
    name: "schema",
    says: "Statements about the schema: passed, unless a query in them names a table with encrypted columns, or an encrypted column gets a default.",
    handling: "schema",
    kinds: Object.fromEntries(
      [
        ...["AddColumnNode", "AddConstraintNode", "AddIndexNode", "AddValueNode", "AlterColumnNode", "AlterTableNode", "AlterTypeNode"],
        ...["CheckConstraintNode", "ColumnDefinitionNode", "CreateIndexNode", "CreateSchemaNode", "CreateTableNode", "CreateTypeNode"],
        ...["CreateViewNode", "DefaultValueNode", "DropColumnNode", "DropConstraintNode", "DropIndexNode", "DropSchemaNode"],
        ...["DropTableNode", "DropTypeNode", "DropViewNode", "ForeignKeyConstraintNode", "GeneratedNode", "ModifyColumnNode"],
        ...["PrimaryKeyConstraintNode", "ReferencesNode", "RefreshMaterializedViewNode", "RenameColumnNode", "RenameConstraintNode"],
        ...["RenameValueNode", "UniqueConstraintNode"],
      ].map((kind) => [kind, []]),
    ),
  },
];

/** The parts of a node of this kind, in order; undefined if the kind is not known in a query that names an encrypted table. */
export function placesOf(kind: string): ReadonlyMap<string, Place> | undefined {
  return PLACES.get(kind);
}

/** What to do in place of a kind of node that is refused. */
export function refusedKind(kind: string): Rule | undefined {
  return RULES.find(({ handling, kinds }) => handling === "refused" && Object.hasOwn(kinds, kind));
}

/** Whether a node is part of a statement about the schema. */
export function isSchemaKind(kind: string): boolean {
  return RULES.some(({ handling, kinds }) => handling === "schema" && Object.hasOwn(kinds, kind));
}

const PLACES: ReadonlyMap<string, ReadonlyMap<string, Place>> = new Map(
  RULES.filter(({ handling }) => handling !== "refused" && handling !== "schema").flatMap(({ kinds }) =>
    Object.entries(kinds).map(([kind, parts]) => [kind, new Map(parts.flatMap(([place, ...names]) => names.map((name) => [name, place])))]),
  ),
);
