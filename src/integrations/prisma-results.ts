import { decryptedColumn, sourceOf } from "./encrypted-column.ts";
import { isRecord, type Models, modelCalled } from "./prisma-models.ts";

/** What an operation gives, with plaintexts for tokens. Counts and groups hold none: they were refused before. */
export function decryptedResult(models: Models, model: string, operation: string, result: unknown): unknown {
  return NO_RECORDS.has(operation) ? result : decryptedRecords(models, model, result);
}

function decryptedRecords(models: Models, name: string, records: unknown): unknown {
  if (Array.isArray(records)) return records.map((record) => decryptedRecords(models, name, record));
  if (!isRecord(records)) return records;
  const { encrypted, relations } = modelCalled(models, name);
  const opened: Record<string, unknown> = { ...records };
  for (const [field, column] of encrypted) {
    const stored = records[field];
    if (stored !== null && stored !== undefined) opened[field] = decryptedColumn(sourceOf(column), stored, { table: name, column: field });
  }
  for (const [field, target] of relations) {
    if (records[field] !== undefined) opened[field] = decryptedRecords(models, target, records[field]);
  }
  return opened;
}

const NO_RECORDS: ReadonlySet<string> = new Set(["aggregate", "count", "createMany", "deleteMany", "groupBy", "updateMany"]);
