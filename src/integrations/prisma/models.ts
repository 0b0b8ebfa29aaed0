import { isDate } from "../../core/base/dates.ts";
import { invalidArgument } from "../../core/base/errors.ts";
import { requireNamed } from "../../core/base/options.ts";
import { checkColumn, type EncryptedColumn, indexColumnOf } from "../encrypted-column.ts";

/** Fields of text by model, as the schema names them. The type of a field is the schema's, so what it holds is text. */
export type EncryptedModels = Readonly<Record<string, Readonly<Record<string, EncryptedColumn<string>>>>>;

/** What the adapter knows of the schema, by the name of the model. */
export type Models = ReadonlyMap<string, Model>;

export interface Model {
  readonly name: string;
  /** The table in the database. */
  readonly table: string;
  /** Types of the fields, by name. */
  readonly fields: ReadonlyMap<string, string>;
  /** Names of the models that fields refer to, by field. */
  readonly relations: ReadonlyMap<string, string>;
  readonly encrypted: ReadonlyMap<string, EncryptedColumn<string>>;
  /** The encrypted fields whose index a field holds, by the name of that field. */
  readonly indexes: ReadonlyMap<string, string>;
}

/**
 * The schema that the generated client carries. It is not part of Prisma's documented surface; without it nested writes could not be
 * told from other objects, so a client that lacks it is refused.
 *
 * @throws `invalid-argument`, also for a model or field that the schema lacks
 */
export function modelsOf(client: unknown, encrypted: EncryptedModels): Models {
  const { _runtimeDataModel: schema } = recordOr(client);
  const { models } = recordOr(schema);
  if (!isRecord(models)) throw invalidArgument("this Prisma client does not carry its schema: its version is not supported");
  requireNamed(encrypted, "encryptedFields takes fields by model");
  const known = new Map(
    Object.entries(models).map(([name, model]) => [name, modelOf(name, model, new Map(Object.entries(encrypted[name] ?? {})))]),
  );
  for (const [name, columns] of Object.entries(encrypted)) {
    requireNamed(columns, `${name} takes encrypted fields by name`);
    const { fields } = modelCalled(known, name);
    for (const [field, column] of Object.entries(columns)) {
      checkColumn(column, `${name}.${field}`);
      const index = indexColumnOf(column);
      for (const needed of index === undefined ? [field] : [field, index]) {
        if (fields.get(needed) !== "String") throw invalidArgument(`the schema has no field ${needed} of type String in ${name}`);
      }
    }
  }
  return known;
}

function modelOf(name: string, carried: unknown, encrypted: Model["encrypted"]): Model {
  const { fields, dbName } = recordOr(carried);
  const known = (Array.isArray(fields) ? fields : [])
    .map(recordOr)
    .map(({ name: field, type, kind }) => ({ name: `${field}`, type: `${type}`, kind }));
  const indexes = [...encrypted].flatMap(([field, column]) => {
    const index = typeof column === "object" && column !== null ? indexColumnOf(column) : undefined;
    return index === undefined ? [] : [[index, field] as const];
  });
  return {
    name,
    table: typeof dbName === "string" ? dbName : name,
    fields: new Map(known.map((field) => [field.name, field.type])),
    relations: new Map(known.filter(({ kind }) => kind === "object").map((field) => [field.name, field.type])),
    encrypted,
    indexes: new Map(indexes),
  };
}

/** The models from which one with encrypted fields can be reached by relations. */
export function modelsInReach(models: Models): ReadonlySet<string> {
  const reached = new Set([...models.values()].filter(({ encrypted }) => encrypted.size > 0).map(({ name }) => name));
  for (let size = -1; size !== reached.size; ) {
    size = reached.size;
    for (const { name, relations } of models.values()) if ([...relations.values()].some((target) => reached.has(target))) reached.add(name);
  }
  return reached;
}

/** @throws `invalid-argument` for a model that the schema lacks */
export function modelCalled(models: Models, name: string): Model {
  const model = models.get(name);
  if (model === undefined) throw invalidArgument(`the schema has no model ${name}`);
  return model;
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !isDate(value);
}

/** The value, or an empty record in place of what is none. */
export function recordOr(value: unknown): Readonly<Record<string, unknown>> {
  return isRecord(value) ? value : {};
}

/** A record with other values under the same names, none of which can be that of a prototype. */
export function mappedRecord(record: Readonly<Record<string, unknown>>, map: (name: string, value: unknown) => unknown): object {
  return Object.fromEntries(
    Object.entries(record).map(([name, value]) => {
      if (name === "__proto__")
        throw invalidArgument("an argument has the key __proto__", "Check request bodies before they become arguments.");
      return [name, map(name, value)];
    }),
  );
}
