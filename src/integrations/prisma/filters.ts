import { type EnvelockError, invalidArgument } from "../../core/base/errors.ts";
import { type ColumnIndex, comparedIndex, notComparable, sharedIndex } from "../encrypted-column.ts";
import { isRecord, type Model, type Models, mappedRecord, modelCalled, recordOr } from "./models.ts";

/** A condition by a short index: records whose value is none of the wanted are dropped from the result. */
export interface DroppedRecords {
  readonly field: string;
  readonly index: ColumnIndex<string>;
  readonly wanted: readonly string[];
}

/** Where a condition stands. */
export interface FilterPosition {
  /** Why records of other values cannot be dropped from the result; undefined where they can. */
  readonly keepsAll: string | undefined;
  readonly drops: DroppedRecords[];
}

/** Conditions by tokens are conditions by indexes in what this gives. @throws `invalid-argument` */
export function rewrittenWhere(models: Models, model: Model, where: unknown, at: FilterPosition): unknown {
  if (Array.isArray(where)) return where.map((each) => rewrittenWhere(models, model, each, at));
  if (!isRecord(where)) return where;
  const indexed: unknown[] = [];
  const filters = mappedRecord(where, (key, value) => {
    if (key === "AND") return rewrittenWhere(models, model, value, at);
    if (key === "OR" || key === "NOT")
      return rewrittenWhere(models, model, value, { ...at, keepsAll: at.keepsAll ?? `a condition in ${key}` });
    const target = model.relations.get(key);
    if (target !== undefined && models.has(target)) return relatedWhere(models, modelCalled(models, target), value, at);
    if (model.encrypted.has(key)) {
      if (value !== undefined && !isNullTest(value)) indexed.push(indexFilter(model, key, value, at));
      return isNullTest(value) ? value : undefined;
    }
    if (model.indexes.has(key)) return handmadeFilter(model, key, value, at);
    if (model.fields.has(key)) return plainFilter(models, key, value);
    return compoundKey(model, key, value, at);
  });
  const kept = Object.fromEntries(Object.entries(filters).filter(([key, value]) => value !== undefined || !model.encrypted.has(key)));
  if (indexed.length === 0) return kept;
  const { AND: and, ...others } = recordOr(kept);
  return { ...others, AND: [...(and === undefined ? [] : [and].flat()), ...indexed] };
}

function relatedWhere(models: Models, target: Model, filter: unknown, at: FilterPosition): unknown {
  const inner = { ...at, keepsAll: at.keepsAll ?? "a condition on a relation" };
  if (!isRecord(filter)) return filter;
  for (const key of Object.keys(filter)) {
    if (!QUANTIFIERS.has(key) || !target.fields.has(key)) continue;
    throw invalidArgument(
      `whether \`${key}\` is a field of ${target.name} or says which records of the relation are meant is not certain`,
      `Write the condition on the field as { AND: [{ ${key}: … }] }.`,
    );
  }
  const isQuantified = Object.keys(filter).every((key) => QUANTIFIERS.has(key));
  return isQuantified
    ? mappedRecord(filter, (_, where) => rewrittenWhere(models, target, where, inner))
    : rewrittenWhere(models, target, filter, inner);
}

function indexFilter(model: Model, field: string, value: unknown, at: FilterPosition): object {
  const name = `${model.name}.${field}`;
  const column = model.encrypted.get(field);
  if (column === undefined) throw notComparable(name, "a filter");
  const index = comparedIndex(column, name);
  const { equals, in: among, ...others } = isRecord(value) ? value : { equals: value };
  const wanted = among === undefined ? [equals] : among;
  if (Object.keys(others).length > 0 || !Array.isArray(wanted) || (equals !== undefined && among !== undefined)) {
    throw notComparable(name, "a filter other than equals and in");
  }
  const texts = wanted.map((each) => textOf(name, each));
  if (!index.isUnique) {
    if (at.keepsAll !== undefined) throw sharedIndex(name, at.keepsAll);
    at.drops.push({ field, index, wanted: texts });
  }
  return { [index.name]: { in: texts.flatMap((text) => index.cipher.blindIndexAll(text)) } };
}

/** A comparison of an index by hand finds rows as the field itself would. */
function handmadeFilter(model: Model, key: string, value: unknown, { keepsAll }: FilterPosition): unknown {
  const field = model.indexes.get(key) ?? "";
  const column = model.encrypted.get(field);
  if (value === undefined || isNullTest(value) || column === undefined) return value;
  const index = comparedIndex(column, `${model.name}.${field}`);
  const isValue = (each: unknown): boolean =>
    typeof each === "string" || (Array.isArray(each) && each.every((one) => typeof one === "string"));
  const isComparison =
    isValue(value) ||
    (isRecord(value) && Object.entries(value).every(([name, each]) => (name === "equals" || name === "in") && isValue(each)));
  if (!isComparison)
    throw invalidArgument(
      `${model.name}.${key} is a blind index: it can be compared by equals and in alone`,
      "Compare the field that it is of.",
    );
  if (!index.isUnique && keepsAll !== undefined) throw sharedIndex(`${model.name}.${field}`, keepsAll);
  return value;
}

/** The name of several fields that are unique together, with a value for each. */
function compoundKey(model: Model, key: string, value: unknown, at: FilterPosition): unknown {
  const fields = Object.keys(recordOr(value));
  const isKnown = /^[a-z]\w*$/i.test(key) && fields.length > 0 && fields.every((field) => model.fields.has(field));
  if (!isKnown) throw unknownName(key, `where of ${model.name}`);
  return mappedRecord(recordOr(value), (field, each) => {
    if (model.encrypted.has(field)) throw notComparable(`${model.name}.${field}`, "a key of several fields");
    return model.indexes.has(field) ? handmadeFilter(model, field, each, at) : each;
  });
}

/** A filter of a plain field may hold a reference to another field. @throws `invalid-argument` if that one is encrypted */
export function plainFilter(models: Models, key: string, value: unknown): unknown {
  if (Array.isArray(value)) return value.map((each) => plainFilter(models, key, each));
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return value;
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === null)
    return mappedRecord(recordOr(value), (_, each) => plainFilter(models, key, each));
  const { modelName, name } = { modelName: undefined, name: undefined, ...value };
  const model = typeof modelName === "string" ? models.get(modelName) : undefined;
  if (model !== undefined && typeof name === "string" && (model.encrypted.has(name) || model.indexes.has(name))) {
    throw notComparable(`${modelName}.${name}`, `a filter of ${key} as a reference`);
  }
  return value;
}

/** @throws `invalid-argument` unless it is text */
export function textOf(field: string, value: unknown): string {
  if (typeof value !== "string") throw invalidArgument(`${field} is encrypted and takes text`, "Make it text, or null.");
  return value;
}

export function unknownName(name: string, where: string): EnvelockError {
  const shown = name.length > 40 ? `${name.slice(0, 40)}…` : name;
  return invalidArgument(
    `${shown} is not known in ${where}, and might read or write what is encrypted`,
    "Check the spelling, or use the client that was not extended: there tokens stay tokens.",
  );
}

/** `null`, `{ equals: null }` and `{ not: null }` compare no token. */
function isNullTest(value: unknown): boolean {
  if (value === null) return true;
  const tests = Object.entries(recordOr(value));
  return tests.length > 0 && tests.every(([key, inner]) => (key === "equals" || key === "not") && inner === null);
}

const QUANTIFIERS: ReadonlySet<string> = new Set(["every", "is", "isNot", "none", "some"]);
