import type { CallOptions } from "../../core/base/call-options.ts";
import { EnvelockError } from "../../core/base/errors.ts";
import type { DataKeyStore, RowPlace, StoredDataKey } from "../../core/contracts/data-key-store.ts";
import { contextOfScope } from "../../fields/scope.ts";
import { contextOf, EPOCH } from "../access/residents.ts";
import type { TenantRecord } from "../record/tenant-record.ts";

/**
 * Destroys the data keys of one life of a tenant, in all of its scopes. Goes over the store again until a pass finds none, since other
 * processes may have added keys meanwhile. Needs no key and calls none.
 *
 * @returns how many data keys were destroyed
 * @throws what the store throws; `unavailable` if keys keep coming in
 */
export async function shredDataKeys(store: DataKeyStore, record: TenantRecord, options: CallOptions = {}): Promise<number> {
  let shredded = 0;
  for (let pass = 0; pass < MOST_PASSES; pass++) {
    const found = await shredOnce(store, record, options);
    shredded += found;
    if (found === 0) return shredded;
  }
  throw new EnvelockError("unavailable", `data keys of tenant ${record.id} keep coming in`, {
    hint: "Wait until every process has seen that the tenant is leaving, then shred again.",
    whose: "vendor",
  });
}

async function shredOnce(store: DataKeyStore, record: TenantRecord, options: CallOptions): Promise<number> {
  let shredded = 0;
  for (let after: RowPlace | undefined; ; ) {
    const rows = await store.scan({ after, limit: PAGE }, options);
    for (const row of rows) if (isOf(row, record) && row.state !== "shredded") shredded += await shredRow(store, row, options);
    const last = rows.at(-1);
    if (last === undefined || rows.length < PAGE) return shredded;
    after = last;
  }
}

async function shredRow(store: DataKeyStore, row: StoredDataKey, options: CallOptions): Promise<number> {
  if (row.state === "unreadable") {
    const place = `scope ${row.scope}, version ${row.version}`;
    throw new EnvelockError("provider-failure", `the store holds a data key of this tenant that cannot be read or shredded: ${place}`, {
      hint: "Delete that row by hand, then shred again.",
    });
  }
  const gone: StoredDataKey = { ...row, state: "shredded", record: null, revision: row.revision + 1 };
  return (await store.compareAndSwap(gone, row.revision, options)) ? 1 : 0; // a row that changed meanwhile is met by the next pass
}

/** Whether a row belongs to this life of the tenant, and not to an earlier or a later one. */
function isOf({ scope }: StoredDataKey, record: TenantRecord): boolean {
  const context = contextOfScope(scope);
  if (context === undefined) return false;
  const { tenant, [EPOCH]: epoch } = context;
  const own = contextOf(record);
  return tenant === record.id && epoch === own[EPOCH];
}

const PAGE = 500;
const MOST_PASSES = 20;
