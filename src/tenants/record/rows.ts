import { EnvelockError } from "../../core/base/errors.ts";
import type { TenantPlace, TenantRow } from "../../core/contracts/tenant-store.ts";

/** Requires the row that was asked for: a store is not trusted to answer with it. @throws `provider-failure` */
export function rowOf({ kind, id }: TenantPlace, row: TenantRow): TenantRow {
  if (row.kind !== kind || row.id !== id)
    throw new EnvelockError("provider-failure", `the store answered with another row than that of ${kind} ${id}`, {
      hint: "`get` compares kind and id to the letter.",
    });
  return row;
}
