import { Prisma } from "@prisma/client/extension";
import type { Types } from "@prisma/client/runtime/client";
import { invalidArgument } from "../core/base/errors.ts";
import { indexColumnOf } from "./encrypted-column.ts";
import { rewrittenArguments } from "./prisma-arguments.ts";
import { dataModelOf, type EncryptedModels, type Models } from "./prisma-models.ts";
import { decryptedResult } from "./prisma-results.ts";

export type { CipherSource, EncryptedColumn, IndexedColumn, IndexingCipher, TokenCipher } from "./encrypted-column.ts";
export type { EncryptedModels } from "./prisma-models.ts";

/**
 * An extension for `$extends` that encrypts what is written into the named fields, also in nested writes, and decrypts what is read
 * of them, also by way of relations. NULL stays NULL.
 *
 * A field with an index is compared by it: equality and `in` are rewritten, and each write fills it. Any other use of an encrypted
 * field but a comparison with null (a filter, an order, `distinct`, `by`, `_min`) is refused with `invalid-argument` before anything
 * is sent. Raw queries are not seen.
 *
 * @throws `invalid-argument`, when the client is extended, for a model or field that is not in its schema
 * @see docs/recipes/prisma.md
 */
export function encryptedFields(models: EncryptedModels): Extension {
  return Prisma.defineExtension((client) => {
    const known = modelsOf(client, models);
    return client.$extends({
      name: "envelock",
      query: {
        $allModels: {
          async $allOperations({ model, operation, args, query }) {
            const result: unknown = await query({ ...args, ...rewrittenArguments(known, model, operation, args) });
            return decryptedResult(known, model, operation, result);
          },
        },
      },
    });
  });
}

/** What `$extends` takes. It leaves every type of the client as it is. */
export type Extension = (client: unknown) => { $extends: { extArgs: Types.Extensions.DefaultArgs } };

/** @throws `invalid-argument` */
function modelsOf(client: unknown, encrypted: EncryptedModels): Models {
  const models = dataModelOf(client, encrypted);
  for (const [name, columns] of Object.entries(encrypted)) {
    const fields = models.get(name)?.fields;
    if (fields === undefined) throw invalidArgument(`the schema has no model ${name}`);
    for (const [field, column] of Object.entries(columns)) {
      const index = indexColumnOf(column);
      for (const needed of index === undefined ? [field] : [field, index]) {
        if (fields.get(needed) !== "String") throw invalidArgument(`the schema has no field ${needed} of type String in ${name}`);
      }
    }
  }
  return models;
}
