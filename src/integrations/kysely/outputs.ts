import { type OperationNode, RawNode, ValueNode } from "kysely";
import { EnvelockError, invalidArgument } from "../../core/base/errors.ts";
import { type AdapterOptions, type ColumnIndex, decryptedColumn, notComparable, sharedIndex, sourceOf } from "../encrypted-column.ts";
import { namesInSql } from "../sql-text.ts";
import type { Found } from "./scopes.ts";

/** What an adapter does with the rows of a result. */
export interface QueryOutputs {
  readonly isEmpty: boolean;
  /** The rows with plaintexts for tokens, without those that a short index found beside the wanted ones. */
  opened<Row extends object>(rows: readonly Row[], options: AdapterOptions): Row[];
}

/** A condition by a short index: rows whose value is none of the wanted are dropped from the result. */
export interface DroppedRows {
  readonly found: Found;
  readonly index: ColumnIndex<unknown>;
  readonly wanted: readonly unknown[];
}

/** The encrypted columns that the result of a query has, by name. */
export class Outputs implements QueryOutputs {
  readonly #columns = new Map<string, Found>();
  readonly #drops: DroppedRows[] = [];

  get isEmpty(): boolean {
    return this.#columns.size === 0;
  }

  /** @throws `invalid-argument` if the name is taken: which of the two a result holds depends on the driver */
  add(name: string, found: Found): void {
    this.refuseTaken(name);
    this.#columns.set(name, found);
  }

  drop(rows: DroppedRows): void {
    this.#drops.push(rows);
  }

  /** A plan is no result. */
  forget(): void {
    this.#columns.clear();
  }

  refuseTaken(name: string): void {
    if (!this.#columns.has(name)) return;
    throw invalidArgument(`the query gives two columns of the name ${name}, one of them encrypted`, "Give one of them an alias.");
  }

  refuseAny(use: string): void {
    const [name] = this.#columns.keys();
    if (name !== undefined) throw notComparable(name, use);
  }

  /** A name without a table can be that of an output. */
  refuseAlias(name: string): void {
    if (this.#columns.has(name)) throw notComparable(name, "an expression, a join, or an order");
  }

  /** An order or a group by number is one by an output. */
  refuseNumber(node: OperationNode): void {
    const isNumber = (each: OperationNode): boolean => {
      if (!RawNode.is(each)) return ValueNode.is(each);
      const text = withoutComments(each.sqlFragments.join("?"));
      return NUMBER_IN_LIST.test(text) || (/^[\s()?,]*$/.test(text) && each.parameters.every(isNumber));
    };
    if (isNumber(node)) this.refuseAny("an order or a group by number");
  }

  /** Text of a `sql` template may name an output. @throws `invalid-argument` */
  refuseNamed(text: string): void {
    for (const name of this.#columns.keys())
      if (namesInSql(text, name, false)) throw notComparable(name, "the text of a sql template, which names it");
  }

  /** Text at the end of the query may order, group or compare what it gives. @throws `invalid-argument` */
  refuseClause(text: string): void {
    if (CLAUSE.test(withoutComments(text))) this.refuseAny("the text of a modifier that orders, groups or compares");
  }

  /** @throws `invalid-argument` for a condition by a short index on a column that the result lacks */
  checkDrops(): void {
    for (const { found } of this.#drops) {
      if (this.#outputOf(found) !== undefined) continue;
      throw sharedIndex(found.guarded.name, "a query that does not select the column: select it, and rows of other values are dropped");
    }
  }

  opened<Row extends object>(rows: readonly Row[], options: AdapterOptions): Row[] {
    return rows.flatMap((row, at) => {
      const values = new Map<Found, unknown>();
      const opened: [string, unknown][] = [];
      for (const [name, found] of this.#columns) {
        const { column, table, name: columnName } = found.guarded;
        const key = keyOf(row, name);
        const stored: unknown = Reflect.get(row, key);
        if (stored === null) continue;
        const value = decryptedColumn(sourceOf(column), stored, { table: table.name, column: columnName, row: at + 1 }, options);
        values.set(found, value);
        opened.push([key, value]);
      }
      const isWanted = this.#drops.every(({ found, index: { cipher }, wanted }) => {
        const value = values.get(this.#outputOf(found) ?? found);
        return value !== undefined && wanted.some((each) => cipher.isSameToIndex?.(value, each) ?? false);
      });
      return isWanted ? [{ ...row, ...Object.fromEntries(opened) }] : [];
    });
  }

  #outputOf({ guarded, source }: Found): Found | undefined {
    return [...this.#columns.values()].find((found) => found.guarded === guarded && found.source === source);
  }
}

/**
 * The name that a column goes by in a row: plugins and drivers may have renamed it, as between `first_name` and `firstName`.
 *
 * @throws `provider-failure` if it is not there: a token would be given in place of its value
 */
function keyOf(row: object, name: string): string {
  if (Object.hasOwn(row, name)) return name;
  const [key, other] = Object.keys(row).filter((each) => squeezed(each) === squeezed(name));
  if (key !== undefined && other === undefined) return key;
  const hint = "A plugin or driver may rename columns: put this plugin first.";
  throw new EnvelockError("provider-failure", `the result has no column ${name}, which the query selects`, { hint });
}

function withoutComments(text: string): string {
  return text.replace(/\/\*.*?\*\/|--[^\n]*/gs, " ");
}

function squeezed(name: string): string {
  return name.replaceAll("_", "").toLowerCase();
}

/** A number that stands by itself in a list: databases drop parentheses around it. */
const NUMBER_IN_LIST = /(?:^|,)[\s(]*\d/;
const CLAUSE = /\b(?:distinct|except|group|having|intersect|minus|order|ties|union|window)\b/i;
