import type { TenantPage, TenantRow, TenantStore } from "../../core/contracts/tenant-store.ts";

/**
 * Makes a store in this process: for tests, and for tenants that do not outlive the process.
 *
 * @example
 * ```ts
 * import { memoryTenantStore } from "envelock/tenants";
 *
 * export const forTests = memoryTenantStore();
 * ```
 */
export function memoryTenantStore(): TenantStore {
  const rows = new Map<string, TenantRow>();
  return {
    async get(place, options) {
      options?.signal?.throwIfAborted();
      const row = rows.get(nameOf(place));
      return row && { ...row };
    },
    async list(page, options) {
      options?.signal?.throwIfAborted();
      return tenantPageOf([...rows.values()], page).map((row) => ({ ...row }));
    },
    async insertIfAbsent(row, options) {
      options?.signal?.throwIfAborted();
      if (rows.has(nameOf(row))) return false;
      rows.set(nameOf(row), copyOfRow(row));
      return true;
    },
    async compareAndSwap(row, expectedRevision, options) {
      options?.signal?.throwIfAborted();
      if (rows.get(nameOf(row))?.revision !== expectedRevision) return false;
      rows.set(nameOf(row), copyOfRow(row));
      return true;
    },
  };
}

/** A page of rows that stand in any order. */
export function tenantPageOf(rows: readonly TenantRow[], { kind, after = "", limit }: TenantPage): readonly TenantRow[] {
  const behind = rows.filter((row) => row.kind === kind && row.id > after);
  return behind.sort((a, b) => (a.id < b.id ? -1 : 1)).slice(0, limit);
}

function copyOfRow({ kind, id, revision, document }: TenantRow): TenantRow {
  return { kind, id, revision, document };
}

function nameOf({ kind, id }: Pick<TenantRow, "kind" | "id">): string {
  return `${kind} ${id}`;
}
