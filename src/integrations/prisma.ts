import { Prisma } from "@prisma/client/extension";
import type { Types } from "@prisma/client/runtime/client";
import { invalidArgument } from "../core/base/errors.ts";
import { refuseUnknown } from "../core/base/options.ts";
import { ADAPTER_OPTIONS, type AdapterOptions } from "./encrypted-column.ts";
import { rewrittenArguments } from "./prisma/arguments.ts";
import { unknownName } from "./prisma/filters.ts";
import { type EncryptedModels, type Model, type Models, modelCalled, modelsInReach, modelsOf, recordOr } from "./prisma/models.ts";
import { decryptedResult } from "./prisma/results.ts";
import { ruleOf } from "./prisma/rules.ts";
import { namesInSql } from "./sql-text.ts";

export type {
  AdapterOptions,
  CipherSource,
  ColumnPlace,
  EncryptedColumn,
  IndexedColumn,
  IndexingCipher,
  TokenCipher,
} from "./encrypted-column.ts";
export type { EncryptedModels } from "./prisma/models.ts";

/**
 * An extension for `$extends` that encrypts what is written into the named fields, also in nested writes, and decrypts what is read
 * of them, also by way of relations. NULL stays NULL.
 *
 * A field with an index is compared by it: equality and `in` are rewritten, and each write fills it. Where a model with encrypted
 * fields can be reached, the operations and arguments that docs/recipes/prisma.md lists are known. Anything else is refused with
 * `invalid-argument` before it is sent. The client that was not extended runs queries where tokens stay tokens.
 *
 * @throws `invalid-argument`, when the client is extended, for a model or field that is not in its schema; at once for unknown options
 * @example
 * ```ts
 * import type { FieldCipher } from "envelock/fields";
 * import { encryptedFields } from "envelock/prisma";
 *
 * // client.$extends(userFields(email))
 * export const userFields = (email: FieldCipher<string>) => encryptedFields({ User: { email: { cipher: email, indexColumn: "emailIndex" } } });
 * ```
 * @see docs/recipes/prisma.md
 */
export function encryptedFields(models: EncryptedModels, options: AdapterOptions = {}): Extension {
  refuseUnknown(options, ADAPTER_OPTIONS, "encryptedFields");
  return Prisma.defineExtension((client) => {
    const known = modelsOf(client, models);
    const inReach = modelsInReach(known);
    return client.$extends({
      name: "envelock",
      query: {
        async $allOperations(call) {
          const { model: name, operation, args, query } = call;
          const send = (sent: object): PromiseLike<unknown> => Reflect.apply(query, undefined, [sent]);
          if (name === undefined) {
            checkRaw(known, operation, args);
            return await send(args);
          }
          if (!inReach.has(name)) return await send(args);
          const model = modelCalled(known, name);
          const rule = ruleOf(operation);
          if (rule === undefined || Object.keys(rule.takes).length === 0) throw unknownName(operation, `the operations of ${name}`);
          const { args: sent, drops } = rewrittenArguments(known, model, rule, args);
          const result = await send(sent);
          return GIVES_NO_RECORDS.has(operation)
            ? result
            : decryptedResult(known, modelOfResult(known, model, call), result, drops, options);
        },
      },
    });
  });
}

/** What `$extends` takes. It leaves every type of the client as it is. */
export type Extension = (client: unknown) => { $extends: { extArgs: Types.Extensions.DefaultArgs } };

/**
 * The model of the records that an operation gives: `findUnique(…).posts()` gives those of another model than the one it was called
 * on. Prisma says so in parameters that are not documented.
 *
 * @throws `invalid-argument` where they are not there
 */
function modelOfResult(models: Models, model: Model, call: unknown): Model {
  const { __internalParams: internal } = recordOr(call);
  const { dataPath } = recordOr(internal);
  if (!Array.isArray(dataPath))
    throw invalidArgument("this Prisma client does not say whose records it gives: its version is not supported");
  const relations = dataPath.filter((_, at) => at % 2 === 1); // select, posts, select, author
  return relations.reduce<Model>((at, relation) => modelCalled(models, at.relations.get(`${relation}`) ?? `${at.name}.${relation}`), model);
}

/** @throws `invalid-argument` for SQL that names the table of a model with encrypted fields, or that cannot be seen */
function checkRaw(models: Models, operation: string, args: unknown): void {
  const rule = ruleOf(operation);
  const { strings } = recordOr(args);
  const parts: readonly unknown[] = Array.isArray(strings) ? strings : Array.isArray(args) ? args.slice(0, 1) : [];
  const text = parts.filter((part) => typeof part === "string").join(" ? ");
  if (rule === undefined || !RAW.has(operation) || text === "") throw unknownName(operation, "a client with encrypted fields");
  for (const { encrypted, name, table } of models.values()) {
    if (encrypted.size === 0 || !namesInSql(text, table, false)) continue;
    throw invalidArgument(
      `the SQL names ${table}, the table of ${name}, which has encrypted fields`,
      "Use the client that was not extended: there tokens stay tokens.",
    );
  }
}

const RAW: ReadonlySet<string> = new Set(["$executeRaw", "$executeRawUnsafe", "$queryRaw", "$queryRawUnsafe"]);
const GIVES_NO_RECORDS: ReadonlySet<string> = new Set(["aggregate", "count", "createMany", "deleteMany", "groupBy", "updateMany"]);
