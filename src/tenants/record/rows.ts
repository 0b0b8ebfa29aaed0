import type { CallOptions } from "../../core/base/call-options.ts";
import { EnvelockError } from "../../core/base/errors.ts";
import type { TenantPage, TenantPlace, TenantRow, TenantStore } from "../../core/contracts/tenant-store.ts";

/**
 * Reads a row. A store is not trusted to answer with the one that was asked for.
 *
 * @throws `provider-failure` for another row; what the store throws
 */
export async function readRow(store: TenantStore, { kind, id }: TenantPlace, options?: CallOptions): Promise<TenantRow | undefined> {
  const row = await store.get({ kind, id }, options);
  if (row !== undefined && (row.kind !== kind || row.id !== id))
    throw new EnvelockError("provider-failure", `the store answered with another row than that of ${kind} ${id}`, {
      hint: "`get` compares kind and id to the letter.",
    });
  return row;
}

/**
 * Reads a page of rows. A list that gives rows twice, or from the beginning again, would never end.
 *
 * @throws `provider-failure` for rows out of order and of another kind; what the store throws
 */
export async function readPage(store: TenantStore, page: TenantPage, options?: CallOptions): Promise<readonly TenantRow[]> {
  const rows = await store.list(page, options);
  let last = page.after;
  for (const { kind, id } of rows) {
    if (kind !== page.kind || (last !== undefined && id <= last))
      throw new EnvelockError("provider-failure", "the store listed tenants out of order, or other rows among them", {
        hint: "`list` gives the rows of one kind, ordered by the bytes of their ids, from behind `after`.",
      });
    last = id;
  }
  return rows;
}
