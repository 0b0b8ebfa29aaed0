import { type AdapterOptions, decryptedColumn, sharedIndex, sourceOf } from "../encrypted-column.ts";
import type { DroppedRecords } from "./filters.ts";
import { isRecord, type Model, type Models } from "./models.ts";

/** The records of a result with plaintexts for tokens, without those that a short index found beside the wanted ones. */
export function decryptedResult(
  models: Models,
  model: Model,
  result: unknown,
  drops: readonly DroppedRecords[],
  options: AdapterOptions,
): unknown {
  const opened = decryptedRecords(models, model, result, options, undefined);
  if (drops.length === 0 || !Array.isArray(opened)) return opened;
  return opened.filter((record) =>
    drops.every(({ field, index: { cipher }, wanted }) => {
      const value = isRecord(record) ? record[field] : undefined;
      if (value === undefined) throw sharedIndex(`${model.name}.${field}`, "a query that does not give the field: the client omits it");
      return typeof value === "string" && wanted.some((each) => cipher.isSameToIndex?.(value, each) ?? false);
    }),
  );
}

function decryptedRecords(models: Models, model: Model, records: unknown, options: AdapterOptions, row: number | undefined): unknown {
  if (Array.isArray(records)) return records.map((record, at) => decryptedRecords(models, model, record, options, at + 1));
  if (!isRecord(records)) return records;
  const opened: (readonly [string, unknown])[] = [];
  for (const [field, column] of model.encrypted) {
    const stored = records[field];
    if (stored === null || stored === undefined) continue;
    const place = { table: model.name, column: field, ...(row === undefined ? {} : { row }) };
    opened.push([field, decryptedColumn(sourceOf(column), stored, place, options)]);
  }
  for (const [field, name] of model.relations) {
    const target = models.get(name);
    if (target !== undefined && records[field] !== undefined)
      opened.push([field, decryptedRecords(models, target, records[field], options, undefined)]);
  }
  return { ...records, ...Object.fromEntries(opened) };
}
