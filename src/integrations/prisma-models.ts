import { invalidArgument } from "../core/base/errors.ts";
import { type EncryptedColumn, indexColumnOf } from "./encrypted-column.ts";

/** Fields of text by model, as the schema names them. The type of a field is the schema's, so what it holds is text. */
export type EncryptedModels = Readonly<Record<string, Readonly<Record<string, EncryptedColumn<string>>>>>;

/** What the adapter knows of the schema, by the name of the model. */
export type Models = ReadonlyMap<string, Model>;

export interface Model {
  /** Types of the fields, by name. */
  readonly fields: ReadonlyMap<string, string>;
  /** Names of the models that fields refer to, by field. */
  readonly relations: ReadonlyMap<string, string>;
  readonly encrypted: ReadonlyMap<string, EncryptedColumn<string>>;
  /** Fields that hold the index of another. */
  readonly indexes: ReadonlySet<string>;
}

/**
 * The schema that the generated client carries. It is not part of Prisma's documented surface; without it nested writes could not be
 * told from other objects, so a client that lacks it is refused.
 *
 * @throws `invalid-argument`
 */
export function dataModelOf(client: unknown, encrypted: EncryptedModels): Models {
  const { _runtimeDataModel: schema } = recordOr(client);
  const { models } = recordOr(schema);
  if (!isRecord(models)) throw invalidArgument("this Prisma client does not carry its schema: its version is not supported");
  return new Map(Object.entries(models).map(([name, model]) => [name, modelOf(model, new Map(Object.entries(encrypted[name] ?? {})))]));
}

function modelOf(carried: unknown, encrypted: Model["encrypted"]): Model {
  const { fields } = recordOr(carried);
  const known = (Array.isArray(fields) ? fields : [])
    .map(recordOr)
    .map(({ name, type, kind }) => ({ name: `${name}`, type: `${type}`, kind }));
  return {
    fields: new Map(known.map(({ name, type }) => [name, type])),
    relations: new Map(known.filter(({ kind }) => kind === "object").map(({ name, type }) => [name, type])),
    encrypted,
    indexes: new Set([...encrypted.values()].flatMap((column) => indexColumnOf(column) ?? [])),
  };
}

/** @throws `invalid-argument` for a model that the client has and its schema has not */
export function modelCalled(models: Models, name: string): Model {
  const model = models.get(name);
  if (model === undefined) throw invalidArgument(`the schema has no model ${name}`);
  return model;
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date);
}

/** The value, or an empty record in place of what is none. */
export function recordOr(value: unknown): Readonly<Record<string, unknown>> {
  return isRecord(value) ? value : {};
}
