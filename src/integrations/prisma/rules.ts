/**
 * How an argument is treated where a model with encrypted fields can be reached:
 *
 * - `where`: conditions. Encrypted fields are compared by their index.
 * - `data`: fields that are written. Values become tokens and indexes.
 * - `selection`: what is given. Encrypted fields are decrypted.
 * - `order`, `having`, `names`, `computed`: no encrypted field may stand in them.
 * - `counted`, `omitted`: fields that are counted or left out; any may stand there.
 * - `plain`: numbers and words; passed.
 */
export type ArgumentRole = "computed" | "counted" | "data" | "having" | "names" | "omitted" | "order" | "plain" | "selection" | "where";

export interface OperationRule {
  readonly says: string;
  /** Which operations, as Prisma calls them. */
  readonly operations: readonly string[];
  /** The arguments that are known. Any other is refused. */
  readonly takes: Readonly<Record<string, ArgumentRole>>;
  /** Whether rows that a short index found beside the wanted ones can be dropped from the result. */
  readonly givesAll?: boolean;
}

const GIVES = { select: "selection", include: "selection", omit: "omitted", relationLoadStrategy: "plain" } as const;
const PAGE = { orderBy: "order", cursor: "where", take: "plain", skip: "plain" } as const;
const COMPUTES = { _count: "counted", _avg: "computed", _sum: "computed", _min: "computed", _max: "computed" } as const;

/** The arguments of a relation in `select` and `include`. */
export const RELATION_TAKES: Readonly<Record<string, ArgumentRole>> = { where: "where", ...PAGE, distinct: "names", ...GIVES };

/** Every operation that is known, and its arguments. */
export const OPERATION_RULES: readonly OperationRule[] = [
  {
    says: "Rows of other values that a short index finds are dropped, where there is no `take`, `skip`, `cursor` or `distinct`.",
    operations: ["findMany"],
    takes: RELATION_TAKES,
    givesAll: true,
  },
  { says: "A filter must hit the wanted rows alone.", operations: ["findFirst", "findFirstOrThrow"], takes: RELATION_TAKES },
  { says: "A filter must hit the wanted row alone.", operations: ["findUnique", "findUniqueOrThrow"], takes: { where: "where", ...GIVES } },
  { says: "Values become tokens and indexes, also in nested writes.", operations: ["create"], takes: { data: "data", ...GIVES } },
  {
    says: "Values become tokens and indexes.",
    operations: ["createMany", "createManyAndReturn"],
    takes: { data: "data", skipDuplicates: "plain", ...GIVES },
  },
  {
    says: "Values become tokens and indexes; the filter must hit the wanted rows alone.",
    operations: ["update", "updateMany", "updateManyAndReturn"],
    takes: { where: "where", data: "data", limit: "plain", ...GIVES },
  },
  {
    says: "As `create` and `update`.",
    operations: ["upsert"],
    takes: { where: "where", create: "data", update: "data", ...GIVES },
  },
  {
    says: "The filter must hit the wanted rows alone.",
    operations: ["delete", "deleteMany"],
    takes: { where: "where", limit: "plain", ...GIVES },
  },
  {
    says: "The filter must hit the wanted rows alone. `_count` of a field counts its values.",
    operations: ["count"],
    takes: { where: "where", ...PAGE, distinct: "names", select: "counted" },
  },
  {
    says: "The filter must hit the wanted rows alone; `_avg`, `_sum`, `_min` and `_max` of encrypted fields are refused.",
    operations: ["aggregate"],
    takes: { where: "where", ...PAGE, ...COMPUTES },
  },
  {
    says: "As `aggregate`; `by`, `having` and `orderBy` name no encrypted field.",
    operations: ["groupBy"],
    takes: { where: "where", by: "names", having: "having", orderBy: "order", take: "plain", skip: "plain", ...COMPUTES },
  },
  {
    says: "Refused where the SQL names the table of an encrypted model. Use the client that was not extended: there tokens stay tokens.",
    operations: ["$queryRaw", "$queryRawUnsafe", "$executeRaw", "$executeRawUnsafe"],
    takes: {},
  },
  {
    says: "Refused: what they hold cannot be seen. Use the client that was not extended.",
    operations: ["findRaw", "aggregateRaw", "$runCommandRaw", "$queryRawTyped"],
    takes: {},
  },
];

/** The rule for an operation, if it is known. */
export function ruleOf(operation: string): OperationRule | undefined {
  return OPERATION_RULES.find(({ operations }) => operations.includes(operation));
}

/** What a write by way of a relation takes. */
export type NestedRole = "data" | "names rows" | "wraps" | "update";

export const NESTED_WRITES: Readonly<Record<string, NestedRole>> = {
  create: "data",
  createMany: "wraps",
  connectOrCreate: "wraps",
  upsert: "wraps",
  update: "update",
  updateMany: "wraps",
  connect: "names rows",
  set: "names rows",
  disconnect: "names rows",
  delete: "names rows",
  deleteMany: "names rows",
};

/** What stands in a write that wraps others. */
export const WRAPPED: Readonly<Record<string, ArgumentRole>> = {
  ...{ where: "where", data: "data", create: "data", update: "data", skipDuplicates: "plain" },
};
