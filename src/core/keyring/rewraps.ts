import type { KeyRecord } from "../format/key-record.ts";
import type { DataKeySource } from "../key-source/data-key-source.ts";
import type { Operation } from "../resilience/operation.ts";
import type { Operations } from "./operations.ts";

// The rewrap of a key record, which an envelope's header holds too.

/** Replaces the recipients with those of `wrapWith`. @throws as `Keyring.rewrap` */
export async function rewrappedRecord(
  operations: Operations,
  record: KeyRecord,
  operation: Operation,
  source: DataKeySource = operations.source,
): Promise<KeyRecord> {
  operations.requireWrapWith();
  operation.start();
  const key = await source.unwrap(record, operation);
  try {
    return { ...record, recipients: await source.wrap(key.dataKey, operation) };
  } finally {
    key.release();
  }
}

/** Whether `rewrappedRecord` would change the recipients. */
export async function isStaleRecord(operations: Operations, { recipients }: KeyRecord, operation: Operation): Promise<boolean> {
  operations.requireWrapWith();
  return await operations.source.isStale(recipients, operation);
}
