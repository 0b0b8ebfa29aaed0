import type { CallOptions } from "../../core/base/call-options.ts";
import { EnvelockError } from "../../core/base/errors.ts";
import type { TenantPlace, TenantRow, TenantStore } from "../../core/contracts/tenant-store.ts";

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
