import { invalidArgument } from "../core/base/errors.ts";
import { cipherOf, indexOf, notComparable, sourceOf } from "./encrypted-column.ts";
import { isRecord, type Model, type Models, modelCalled, recordOr } from "./prisma-models.ts";

/**
 * The arguments of an operation with tokens and indexes for values.
 *
 * @throws `invalid-argument` for a use of an encrypted field that could only find nothing, or an operation that is not known here
 */
export function rewrittenArguments(models: Models, model: string, operation: string, args: unknown): object {
  if (!OPERATIONS.has(operation)) throw invalidArgument(`the operation ${operation} is not known: it might write what is not encrypted`);
  return new Rewriter(models).query(model, recordOr(args));
}

type Value = unknown;
type Rewrite = (name: string, value: Value) => Value;

class Rewriter {
  readonly #models: Models;

  constructor(models: Models) {
    this.#models = models;
  }

  /** What an operation, or a relation in `select` and `include`, takes. */
  query(name: string, args: Readonly<Record<string, Value>>): object {
    const model = modelCalled(this.#models, name);
    return mappedRecord(args, (key, value) => {
      if (key === "where" || key === "cursor") return this.#where(name, value);
      if (key === "data" || key === "create" || key === "update") return this.#data(name, value);
      if (key === "select" || key === "include") return this.#selection(name, value);
      if (key === "orderBy" || key === "having") return this.#refuse(name, value, key);
      if (key === "distinct" || key === "by") return refuseNamed(model, value, key);
      if (COMPARING.has(key)) return refuseNamed(model, Object.keys(recordOr(value)), key, value);
      return value;
    });
  }

  #selection(name: string, value: Value): Value {
    const { relations } = modelCalled(this.#models, name);
    return mapped(value, (key, selected) => {
      if (key === "_count") return mapped(selected, (_, counted) => this.#selection(name, counted));
      const target = relations.get(key);
      return target === undefined || !isRecord(selected) ? selected : this.query(target, selected);
    });
  }

  #data(name: string, data: Value): Value {
    const model = modelCalled(this.#models, name);
    if (Array.isArray(data)) return data.map((row) => this.#data(name, row));
    if (!isRecord(data)) return data;
    const written: Record<string, Value> = {};
    for (const [key, value] of Object.entries(data)) {
      if (model.indexes.has(key)) throw invalidArgument(`${name}.${key} is a blind index: it is written with its field`);
      const target = model.relations.get(key);
      if (model.encrypted.has(key)) Object.assign(written, encryptedField(model, key, value));
      else written[key] = target === undefined ? value : this.#nested(target, value);
    }
    return written;
  }

  /** Writes by way of a relation. */
  #nested(target: string, writes: Value): Value {
    const query: Rewrite = (name, value) => (isRecord(value) ? this.query(name, value) : value);
    const rewriteOf: Readonly<Record<string, Rewrite>> = {
      create: (name, value) => this.#data(name, value),
      createMany: query,
      connectOrCreate: query,
      upsert: query,
      update: (name, value) => (this.#isWrapped(name, value) ? query(name, value) : this.#data(name, value)),
      updateMany: query,
      connect: (name, value) => this.#where(name, value),
      set: (name, value) => this.#where(name, value),
      disconnect: (name, value) => this.#where(name, value),
      delete: (name, value) => this.#where(name, value),
      deleteMany: (name, value) => this.#where(name, value),
    };
    return mapped(writes, (key, value) => {
      const rewrite = rewriteOf[key];
      if (rewrite === undefined) throw invalidArgument(`the nested write ${key} is not known: it might write what is not encrypted`);
      return Array.isArray(value) ? value.map((item) => rewrite(target, item)) : rewrite(target, value);
    });
  }

  /** An update by way of a relation takes `{ where, data }`, or in a relation to one record the data itself. */
  #isWrapped(name: string, value: Value): boolean {
    return isRecord(value) && "data" in value && !modelCalled(this.#models, name).fields.has("data");
  }

  #where(name: string, where: Value): Value {
    const model = modelCalled(this.#models, name);
    if (Array.isArray(where)) return where.map((each) => this.#where(name, each));
    if (!isRecord(where)) return where;
    const filters: Record<string, Value> = {};
    const indexed: Value[] = [];
    for (const [key, value] of Object.entries(where)) {
      const target = model.relations.get(key);
      if (key === "AND" || key === "OR" || key === "NOT") filters[key] = this.#where(name, value);
      else if (target !== undefined) filters[key] = this.#related(target, value);
      else if (!model.encrypted.has(key))
        filters[key] = model.fields.has(key) ? value : refuseNamed(model, Object.keys(recordOr(value)), key, value);
      else if (isNullTest(value)) filters[key] = value;
      else if (value !== undefined) indexed.push(indexFilter(model, key, value));
    }
    if (indexed.length === 0) return filters;
    const { AND: and } = filters;
    const others = and === undefined ? [] : [and].flat();
    return { ...filters, AND: [...others, ...indexed] };
  }

  #related(target: string, filter: Value): Value {
    if (!isRecord(filter)) return filter;
    const isQuantified = Object.keys(filter).every((key) => QUANTIFIERS.has(key));
    return isQuantified ? mapped(filter, (_, where) => this.#where(target, where)) : this.#where(target, filter);
  }

  /** For what names fields as keys, also those of relations, and may name no encrypted one. */
  #refuse(name: string, value: Value, use: string): Value {
    const model = modelCalled(this.#models, name);
    for (const each of [value].flat().filter(isRecord)) {
      refuseNamed(model, Object.keys(each), use);
      for (const [key, inner] of Object.entries(each)) {
        const target = model.relations.get(key);
        if (target !== undefined) this.#refuse(target, inner, use);
        else if (LOGICAL.has(key)) this.#refuse(name, inner, use);
        const { fields } = recordOr(inner);
        refuseNamed(model, fields, use); // orderBy _relevance
      }
    }
    return value;
  }
}

function encryptedField(model: Model, field: string, value: Value): Readonly<Record<string, Value>> {
  if (value === undefined) return {};
  if (isRecord(value)) {
    const { set, ...others } = value;
    if (Object.keys(others).length > 0) throw notComparable(field, "an update by an operation");
    const fields = encryptedField(model, field, set);
    return Object.fromEntries(Object.entries(fields).map(([key, written]) => [key, { set: written }]));
  }
  const column = model.encrypted.get(field);
  if (column === undefined) return {};
  const index = indexOf(column);
  if (value === null) return index === undefined ? { [field]: null } : { [field]: null, [index.name]: null };
  const text = textOf(field, value);
  const token = cipherOf(sourceOf(column)).encrypt(text);
  return index === undefined ? { [field]: token } : { [field]: token, [index.name]: index.cipher.blindIndex(text) };
}

function indexFilter(model: Model, field: string, value: Value): Readonly<Record<string, Value>> {
  const column = model.encrypted.get(field);
  const index = column && indexOf(column);
  if (index === undefined) throw notComparable(field, "a filter: it has no index");
  const { equals, in: among, ...others } = isRecord(value) ? value : { equals: value };
  const wanted = among === undefined ? [equals] : among;
  if (Object.keys(others).length > 0 || !Array.isArray(wanted) || (equals !== undefined && among !== undefined)) {
    throw notComparable(field, "a filter other than equals and in");
  }
  return { [index.name]: { in: wanted.flatMap((each) => index.cipher.blindIndexAll(textOf(field, each))) } };
}

function textOf(field: string, value: Value): string {
  if (typeof value !== "string") throw invalidArgument(`${field} is encrypted and takes text`);
  return value;
}

/** `null`, `{ equals: null }` and `{ not: null }` compare no token. */
function isNullTest(value: Value): boolean {
  if (value === null) return true;
  return isRecord(value) && Object.entries(value).every(([key, inner]) => (key === "equals" || key === "not") && inner === null);
}

function refuseNamed(model: Model, names: Value, use: string, value: Value = names): Value {
  for (const name of [names].flat()) if (typeof name === "string" && model.encrypted.has(name)) throw notComparable(name, use);
  return value;
}

function mapped(value: Value, map: (key: string, value: Value) => Value): Value {
  return isRecord(value) ? mappedRecord(value, map) : value;
}

function mappedRecord(record: Readonly<Record<string, Value>>, map: (key: string, value: Value) => Value): object {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, map(key, value)]));
}

const OPERATIONS: ReadonlySet<string> = new Set([
  ...["aggregate", "count", "groupBy"],
  ...["create", "createMany", "createManyAndReturn"],
  ...["delete", "deleteMany"],
  ...["findFirst", "findFirstOrThrow", "findMany", "findUnique", "findUniqueOrThrow"],
  ...["update", "updateMany", "updateManyAndReturn", "upsert"],
]);
const COMPARING: ReadonlySet<string> = new Set(["_avg", "_max", "_min", "_sum"]);
const QUANTIFIERS: ReadonlySet<string> = new Set(["every", "is", "isNot", "none", "some"]);
const LOGICAL: ReadonlySet<string> = new Set(["AND", "NOT", "OR"]);
