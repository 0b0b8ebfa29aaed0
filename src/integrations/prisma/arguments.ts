import { invalidArgument } from "../../core/base/errors.ts";
import { notComparable, sharedIndex, writtenColumn } from "../encrypted-column.ts";
import { type DroppedRecords, type FilterPosition, plainFilter, rewrittenWhere, textOf, unknownName } from "./filters.ts";
import { isRecord, type Model, type Models, mappedRecord, modelCalled, recordOr } from "./models.ts";
import { type ArgumentRole, NESTED_WRITES, type OperationRule, RELATION_TAKES, WRAPPED } from "./rules.ts";

/** The arguments to send, and what has to be dropped from the result. */
export interface RewrittenArguments {
  readonly args: object;
  readonly drops: readonly DroppedRecords[];
}

/**
 * The arguments of an operation with tokens and indexes for values.
 *
 * @throws `invalid-argument` for what is not known, or would find nothing or the rows of other values
 */
export function rewrittenArguments(models: Models, model: Model, rule: OperationRule, args: unknown): RewrittenArguments {
  const drops: DroppedRecords[] = [];
  const given = recordOr(args);
  const keepsAll =
    rule.givesAll === true && !PAGING.some((name) => given[name] !== undefined) ? undefined : "this operation, or with these arguments";
  const rewritten = new Rewriter(models).query(model, given, rule.takes, { keepsAll, drops });
  const { select, omit } = given;
  for (const { field } of drops) {
    const isGiven = select === undefined ? recordOr(omit)[field] !== true : recordOr(select)[field] === true;
    if (!isGiven) throw sharedIndex(`${model.name}.${field}`, "a query that does not give the field: select it");
  }
  return { args: rewritten, drops };
}

class Rewriter {
  readonly #models: Models;

  constructor(models: Models) {
    this.#models = models;
  }

  query(model: Model, args: Readonly<Record<string, unknown>>, takes: Readonly<Record<string, ArgumentRole>>, at: FilterPosition): object {
    return mappedRecord(args, (name, value) => {
      const role = Object.hasOwn(takes, name) ? takes[name] : undefined;
      if (role === undefined) throw unknownName(name, `the arguments of ${model.name}`);
      return value === undefined ? value : this.#argument(model, role, value, name === "where" ? at : { ...at, keepsAll: name });
    });
  }

  #argument(model: Model, role: ArgumentRole, value: unknown, at: FilterPosition): unknown {
    if (role === "where") return rewrittenWhere(this.#models, model, value, at);
    if (role === "data") return this.#data(model, value);
    if (role === "selection") return this.#selection(model, value);
    if (role === "order") return this.#order(model, value);
    if (role === "having") return this.#having(model, value);
    if (role === "names" || role === "computed") refuseNamed(model, namesIn(value), role === "names" ? "distinct or by" : "a computation");
    return value;
  }

  #selection(model: Model, value: unknown): unknown {
    if (!isRecord(value)) return value;
    return mappedRecord(value, (name, selected) => {
      if (!isRecord(selected)) return selected;
      if (name === "_count") return this.#counts(model, selected);
      const target = model.relations.get(name);
      if (target === undefined) throw unknownName(name, `what ${model.name} gives`);
      return this.#models.has(target) ? this.query(modelCalled(this.#models, target), selected, RELATION_TAKES, INNER) : selected;
    });
  }

  #counts(model: Model, counts: Readonly<Record<string, unknown>>): object {
    return mappedRecord(counts, (name, relations) => {
      if (name !== "select") throw unknownName(name, "_count");
      return mappedRecord(recordOr(relations), (relation, counted) => {
        const target = model.relations.get(relation);
        if (target === undefined) throw unknownName(relation, "_count");
        return isRecord(counted) ? this.query(modelCalled(this.#models, target), counted, { where: "where" }, INNER) : counted;
      });
    });
  }

  #data(model: Model, data: unknown): unknown {
    if (Array.isArray(data)) return data.map((row) => this.#data(model, row));
    if (!isRecord(data)) return data;
    const written: (readonly [string, unknown])[] = [];
    mappedRecord(data, (name, value) => {
      if (model.indexes.has(name))
        throw invalidArgument(`${model.name}.${name} is a blind index: it is written with its field`, "Write the field.");
      if (!model.fields.has(name)) throw unknownName(name, `the data of ${model.name}`);
      const target = model.relations.get(name);
      if (model.encrypted.has(name)) written.push(...encryptedField(model, name, value));
      else
        written.push([
          name,
          target !== undefined && this.#models.has(target) ? this.#nested(modelCalled(this.#models, target), value) : value,
        ]);
      return undefined;
    });
    return Object.fromEntries(written);
  }

  /** Writes by way of a relation. */
  #nested(target: Model, writes: unknown): unknown {
    if (!isRecord(writes)) return writes;
    return mappedRecord(writes, (name, value) => {
      const role = Object.hasOwn(NESTED_WRITES, name) ? NESTED_WRITES[name] : undefined;
      if (role === undefined) throw unknownName(name, `the nested writes of ${target.name}`);
      const write = (each: unknown): unknown => {
        if (!isRecord(each)) return each;
        if (role === "names rows") return rewrittenWhere(this.#models, target, each, INNER);
        const isWrapped = role === "wraps" || (role === "update" && wrapsUpdate(target, each));
        return isWrapped ? this.query(target, each, WRAPPED, INNER) : this.#data(target, each);
      };
      return Array.isArray(value) ? value.map(write) : write(value);
    });
  }

  #order(model: Model, value: unknown): unknown {
    for (const order of [value].flat().filter(isRecord)) {
      mappedRecord(order, (name, inner) => {
        const target = model.relations.get(name);
        const { fields } = recordOr(inner);
        if (name === "_relevance") refuseNamed(model, namesIn(fields), "orderBy");
        else if (COMPUTED.has(name)) refuseNamed(model, Object.keys(recordOr(inner)), "orderBy");
        else if (target !== undefined && this.#models.has(target)) this.#order(modelCalled(this.#models, target), inner);
        else if (!model.fields.has(name)) throw unknownName(name, `orderBy of ${model.name}`);
        else refuseNamed(model, [name], "orderBy");
        return undefined;
      });
    }
    return value;
  }

  #having(model: Model, value: unknown): unknown {
    if (Array.isArray(value)) return value.map((each) => this.#having(model, each));
    if (!isRecord(value)) return value;
    return mappedRecord(value, (name, inner) => {
      if (LOGICAL.has(name)) return this.#having(model, inner);
      if (!model.fields.has(name)) throw unknownName(name, `having of ${model.name}`);
      refuseNamed(model, [name], "having");
      return plainFilter(this.#models, name, inner);
    });
  }
}

function encryptedField(model: Model, field: string, value: unknown): readonly (readonly [string, unknown])[] {
  const column = model.encrypted.get(field);
  if (value === undefined || column === undefined) return [];
  if (isRecord(value)) {
    const { set, ...others } = value;
    if (Object.keys(others).length > 0) throw notComparable(`${model.name}.${field}`, "an update by an operation");
    return encryptedField(model, field, set).map(([name, written]) => [name, { set: written }]);
  }
  const name = `${model.name}.${field}`;
  const { token, index } = writtenColumn(column, value === null ? null : textOf(name, value), name);
  const indexes = [...model.indexes].filter(([, of]) => of === field).map(([indexField]) => [indexField, index] as const);
  return [[field, token], ...indexes];
}

/**
 * An update by way of a relation takes `{ where, data }`, or in a relation to one record the data itself.
 *
 * @throws `invalid-argument` where it cannot be told which it is, because the model has fields of these names
 */
function wrapsUpdate(target: Model, update: Readonly<Record<string, unknown>>): boolean {
  if (!("data" in update)) return false;
  const isWhole = Object.keys(update).every((name) => name === "data" || name === "where");
  if (!target.fields.has("data")) return isWhole;
  if (isWhole && "where" in update && !target.fields.has("where")) return true;
  if (!isWhole) return false;
  throw invalidArgument(`whether \`data\` is a field of ${target.name} or what to write is not certain`, "Write { where: {}, data: … }.");
}

function namesIn(value: unknown): readonly string[] {
  if (Array.isArray(value)) return value.flatMap(namesIn);
  return typeof value === "string" ? [value] : Object.keys(recordOr(value));
}

/** A field of tokens, or of indexes that values share, has no order, equality or size of its own. */
function refuseNamed(model: Model, names: readonly string[], use: string): void {
  for (const name of names) {
    if (model.encrypted.has(name) || model.indexes.has(name)) throw notComparable(`${model.name}.${name}`, use);
  }
}

/** Where the records are not those of the outermost result. */
const INNER: FilterPosition = { keepsAll: "a nested read or write", drops: [] };
const PAGING = ["take", "skip", "cursor", "distinct"] as const;
const COMPUTED: ReadonlySet<string> = new Set(["_avg", "_count", "_max", "_min", "_sum"]);
const LOGICAL: ReadonlySet<string> = new Set(["AND", "NOT", "OR"]);
