import { EnvelockError } from "../core/base/errors.ts";
import { type OptionNames, refuseUnknown } from "../core/base/options.ts";
import type { TenantRow, TenantStore } from "../core/contracts/tenant-store.ts";
import { memoryTenantStore, tenantPageOf } from "../tenants/stores/memory.ts";
import { fileOfRows, rowsInFile } from "./document-row.ts";
import { type FileStoreOptions, lockedFile } from "./locked-file.ts";
import { storableTenantRow, tenantRow } from "./tenant-row.ts";

/**
 * Keeps tenants in one JSON file, for a single machine and some thousand tenants at most: each change rewrites the whole file, as
 * `fileStore` does. Only the owner may read the file (mode 600).
 *
 * @param path in a folder that exists; the file is created with the first tenant
 * @throws calls throw `access-denied`, `key-not-found` if there is no such folder, `unavailable` if another process holds the lock,
 *   `provider-failure` if the file is no store of tenants
 * @example
 * ```ts
 * import { fileTenantStore } from "envelock/stores/file";
 *
 * export const store = fileTenantStore("tenants.json");
 * ```
 */
export function fileTenantStore(path: string, options: FileStoreOptions = {}): TenantStore {
  refuseUnknown(options, OPTIONS, "fileTenantStore");
  const file = lockedFile(path, options);
  const changing = (signal: AbortSignal | undefined, change: (store: TenantStore) => Promise<boolean>): Promise<boolean> =>
    file.change(signal, async (text) => {
      const rows = rowsOf(text, path);
      const store = await storeOf(rows);
      return (await change(store)) ? fileOfRows(FORMAT, await everyRow(store, rows)) : undefined;
    });
  return {
    get: ({ kind, id }, given) =>
      file.read(given?.signal, async (text) => rowsOf(text, path).find((row) => row.kind === kind && row.id === id)),
    list: (page, given) => file.read(given?.signal, async (text) => tenantPageOf(rowsOf(text, path), page)),
    insertIfAbsent: async (row, given) => {
      storableTenantRow(row);
      return await changing(given?.signal, (store) => store.insertIfAbsent(row));
    },
    compareAndSwap: async (row, expectedRevision, given) => {
      storableTenantRow(row);
      return await changing(given?.signal, (store) => store.compareAndSwap(row, expectedRevision));
    },
  };
}

/** Applies the rules of the memory store and makes their results last. */
async function storeOf(rows: readonly TenantRow[]): Promise<TenantStore> {
  const store = memoryTenantStore();
  for (const row of rows) {
    if (!(await store.insertIfAbsent(row))) throw new EnvelockError("provider-failure", "the file holds a tenant twice");
  }
  return store;
}

async function everyRow(store: TenantStore, rows: readonly TenantRow[]): Promise<readonly TenantRow[]> {
  const limit = rows.length + 1;
  return (await Promise.all((["tenant", "claim", "canary"] as const).map((kind) => store.list({ kind, limit })))).flat();
}

function rowsOf(text: string | undefined, path: string): readonly TenantRow[] {
  return rowsInFile(text, FORMAT, `${path} is no file of tenants`).map(tenantRow);
}

const OPTIONS: OptionNames<FileStoreOptions> = { maxLockWaitMs: true };
const FORMAT = "envelock-tenants/1";
