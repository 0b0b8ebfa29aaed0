import { copyOf } from "../../core/base/bytes.ts";
import type { DataKeyStore, RowChange, RowPlace, ScanPage, StoredDataKey } from "../../core/contracts/data-key-store.ts";

/**
 * Makes a store in this process: for tests, and for data that does not outlive the process.
 *
 * @example
 * ```ts
 * import type { Keyring } from "envelock";
 * import { DataKeys, memoryStore } from "envelock/fields";
 *
 * export const forTests = (keyring: Keyring) => new DataKeys({ keyring, store: memoryStore() });
 * ```
 */
export function memoryStore(): DataKeyStore {
  return rowsInMemory();
}

/** The rules of a store over rows in memory, with every method of the contract that it has a way for. */
export function rowsInMemory(): RowsInMemory {
  const scopes = new Map<string, Map<number, StoredDataKey>>();
  const rowsOf = (scope: string): readonly StoredDataKey[] => [...(scopes.get(scope)?.values() ?? [])];
  const put = (row: StoredDataKey): void => {
    const rows = scopes.get(row.scope) ?? new Map<number, StoredDataKey>();
    scopes.set(row.scope, rows.set(row.version, copyOfRow(row)));
  };
  const swap = ({ row, expectedRevision }: RowChange): boolean => {
    if (scopes.get(row.scope)?.get(row.version)?.revision !== expectedRevision) return false;
    put(row);
    return true;
  };
  return {
    async byKid(scope, kid, options) {
      options?.signal?.throwIfAborted();
      const row = rowsOf(scope).find((candidate) => candidate.kid === kid);
      return row && copyOfRow(row);
    },
    async list(scope, options) {
      options?.signal?.throwIfAborted();
      return rowsOf(scope).map(copyOfRow);
    },
    async insertIfAbsent(row, options) {
      options?.signal?.throwIfAborted();
      if (rowsOf(row.scope).some(({ version, kid }) => version === row.version || kid === row.kid)) return false;
      put(row);
      return true;
    },
    async compareAndSwap(row, expectedRevision, options) {
      options?.signal?.throwIfAborted();
      return swap({ row, expectedRevision });
    },
    async compareAndSwapMany(changes, options) {
      options?.signal?.throwIfAborted();
      return changes.map(swap);
    },
    async scan(page, options) {
      options?.signal?.throwIfAborted();
      return pageOf([...scopes.keys()].flatMap(rowsOf), page).map(copyOfRow);
    },
  };
}

export type RowsInMemory = DataKeyStore & Required<Pick<DataKeyStore, "compareAndSwapMany">>;

/** A page of rows that stand in any order. */
export function pageOf(rows: readonly StoredDataKey[], { after, limit }: ScanPage): readonly StoredDataKey[] {
  const behind = rows.filter((row) => after === undefined || byPlace(row, after) > 0);
  return behind.sort(byPlace).slice(0, limit);
}

function byPlace(a: RowPlace, b: RowPlace): number {
  if (a.scope === b.scope) return a.version - b.version;
  return a.scope < b.scope ? -1 : 1;
}

function copyOfRow(row: StoredDataKey): StoredDataKey {
  return { ...row, record: row.record && copyOf(row.record), proof: row.proof && copyOf(row.proof) };
}
