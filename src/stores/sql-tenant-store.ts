import type { TenantStore } from "../core/contracts/tenant-store.ts";
import { changesOne, type SqlAccess } from "./sql-store.ts";
import { storableTenantRow, tenantRow } from "./tenant-row.ts";

/** Makes the store of tenants over a table. `table` has the form of `quotedTable`. */
export function sqlTenantStore<Bytes>(table: string, access: SqlAccess<Bytes>): TenantStore {
  const rows = async (condition: string, values: readonly (string | number)[], signal: AbortSignal | undefined) => {
    signal?.throwIfAborted();
    return (await access.run(`select kind, id, revision, document from ${table} where ${condition}`, values)).map(tenantRow);
  };
  return {
    get: async ({ kind, id }, options) => (await rows("kind = ? and id = ?", [kind, id], options?.signal))[0],
    list: ({ kind, after = "", limit }, options) => rows("kind = ? and id > ? order by id limit ?", [kind, after, limit], options?.signal),
    async insertIfAbsent(row, options) {
      const { kind, id, revision, document } = storableTenantRow(row);
      const statement = `insert into ${table} (kind, id, revision, document) values (?, ?, ?, ?) on conflict do nothing`;
      return await changesOne(access, statement, [kind, id, revision, document], options);
    },
    async compareAndSwap(row, expectedRevision, options) {
      const { kind, id, revision, document } = storableTenantRow(row);
      const statement = `update ${table} set revision = ?, document = ? where kind = ? and id = ? and revision = ?`;
      return await changesOne(access, statement, [revision, document, kind, id, expectedRevision], options);
    },
  };
}

export const TENANTS_TABLE = "envelock_tenants";
