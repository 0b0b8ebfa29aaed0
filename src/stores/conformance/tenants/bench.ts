import type { TenantRow, TenantStore } from "../../../core/contracts/tenant-store.ts";
import { newDocument, newId } from "../document-cases.ts";

/** The harness that the cases need for a store of tenants. */
export interface TenantStoreConformanceHarness {
  /** Opens a new store object, each on the same table, file or other place of the rows. The case that asked for it closes it. */
  open(): TenantStore | Promise<TenantStore>;
}

export function newTenantRow(differences: Partial<TenantRow> = {}): TenantRow {
  return { kind: "tenant", id: newId(), revision: 1, document: newDocument(), ...differences };
}
