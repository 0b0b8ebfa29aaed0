import { toHex } from "../../../core/base/bytes.ts";
import { check } from "../../../core/contracts/conformance-checks.ts";
import type { TenantRow, TenantStore } from "../../../core/contracts/tenant-store.ts";

/** The harness that the cases need for a store of tenants. */
export interface TenantStoreConformanceHarness {
  /** Opens a new store object, each on the same table, file or other place of the rows. The case that asked for it closes it. */
  open(): TenantStore | Promise<TenantStore>;
}

/** A case before it is bound to its harness. */
export interface Case {
  readonly name: string;
  run(bench: Bench): Promise<void>;
}

/** The tools of a case: stores that are closed when the case ends. */
export interface Bench {
  open(): Promise<TenantStore>;
}

/** Makes an id that no case has used. */
export function newId(): string {
  return toHex(crypto.getRandomValues(new Uint8Array(16)));
}

export function newTenantRow(differences: Partial<TenantRow> = {}): TenantRow {
  return { kind: "tenant", id: newId(), revision: 1, document: JSON.stringify({ nonce: newId() }), ...differences };
}

/** Returns the row after its next change. */
export function changed(row: TenantRow): TenantRow {
  return { ...row, revision: row.revision + 1, document: JSON.stringify({ nonce: newId() }) };
}

/** Inserts a row that must be new. */
export async function insert(store: TenantStore, row: TenantRow): Promise<void> {
  check((await store.insertIfAbsent(row)) === true, "insertIfAbsent must say true of a row whose place is free");
}

/** Checks that this row stands in its place and in the list exactly as given. */
export async function checkStands(store: TenantStore, row: TenantRow, what: string): Promise<void> {
  checkRow(await store.get(row), row, `get, ${what},`);
  const after = row.id.slice(0, -1); // sorts before it, and behind every id that does
  const listed = (await store.list({ kind: row.kind, after, limit: 1000 })).filter(({ id }) => id === row.id);
  check(listed.length === 1, `list, ${what}, must give the row once`);
  checkRow(listed[0], row, `list, ${what},`);
}

export function checkRow(given: TenantRow | undefined, expected: TenantRow, what: string): void {
  check(given !== undefined, `${what} must give the row`);
  for (const field of FIELDS) check(given?.[field] === expected[field], `${what} must give ${field} as it was stored`);
}

const FIELDS = ["kind", "id", "revision", "document"] as const;
