import type { CallOptions } from "../../core/base/call-options.ts";
import { EnvelockError, malformed } from "../../core/base/errors.ts";
import type { DataKeyStore, RowPlace, StoredDataKey } from "../../core/contracts/data-key-store.ts";
import { Failures } from "../../fields/jobs/failures.ts";
import { failureOf, type KeyRowFailure } from "../../fields/jobs/key-rows.ts";
import { contextOfScope } from "../../fields/scope.ts";
import { isOfLife } from "../record/life.ts";
import type { TenantRecord } from "../record/tenant-record.ts";

/** The result of a pass that destroys the data keys of a tenant. */
export interface ShreddedKeys {
  /** Data keys that were destroyed. */
  readonly shredded: number;
  /**
   * Rows of this tenant, and rows without a readable scope, that cannot be read. They open nothing as they are. Delete them by hand, or
   * repair them and shred again.
   */
  readonly unreadable: number;
  /** Data keys that can be read and could not be destroyed. */
  readonly failed: number;
  /** The first hundred rows of both kinds. */
  readonly failures: readonly KeyRowFailure[];
}

/**
 * Destroys the data keys of one life of a tenant, in all of its scopes. Goes over the store again until a pass destroys none, since other
 * processes may have added keys meanwhile. A row that cannot be read or changed is stepped over and listed. Needs no key and calls none.
 *
 * @throws what a scan of the store throws; `unavailable` if keys keep coming in
 */
export async function shredDataKeys(store: DataKeyStore, record: TenantRecord, options: CallOptions = {}): Promise<ShreddedKeys> {
  let shredded = 0;
  for (let pass = 0; pass < MOST_PASSES; pass++) {
    const found = await shredOnce(store, record, options);
    shredded += found.shredded;
    if (found.shredded === 0) return { ...found, shredded };
  }
  throw new EnvelockError("unavailable", `data keys of tenant ${record.id} keep coming in`, {
    hint: "Wait until every process has seen that the tenant is leaving, then shred again.",
    whose: "vendor",
  });
}

async function shredOnce(store: DataKeyStore, record: TenantRecord, options: CallOptions): Promise<ShreddedKeys> {
  const failures = new Failures<RowPlace>();
  let [shredded, unreadable] = [0, 0];
  for (let after: RowPlace | undefined; ; ) {
    const rows = await store.scan({ after, limit: PAGE }, options);
    for (const row of rows) {
      if (!mayBeOf(row, record) || row.state === "shredded") continue;
      if (isReadable(row)) {
        try {
          if (await shredRow(store, row, options)) shredded++;
        } catch (error) {
          options.signal?.throwIfAborted();
          failures.add(row, storeFailure(error));
        }
      } else {
        unreadable++;
        failures.add(row, malformed("the row of a stored data key cannot be read, and so not be destroyed"));
      }
    }
    const last = rows.at(-1);
    if (last === undefined || rows.length < PAGE) {
      const listed = failures.first.map(({ place, error, rows: alike }) => failureOf(place, error, alike));
      return { shredded, unreadable, failed: failures.count - unreadable, failures: listed };
    }
    after = last;
  }
}

/** A row that changed meanwhile is met by the next pass. */
async function shredRow(store: DataKeyStore, row: StoredDataKey, options: CallOptions): Promise<boolean> {
  const gone: StoredDataKey = { ...row, state: "shredded", record: null, revision: row.revision + 1 };
  return await store.compareAndSwap(gone, row.revision, options);
}

function storeFailure(error: unknown): EnvelockError {
  if (error instanceof EnvelockError) return error;
  return new EnvelockError("provider-failure", "the data-key store failed", { cause: error });
}

/** Whether the row can be changed. Only the record of the data key has to go, so the rest of the row is not judged. */
function isReadable({ scope, state }: StoredDataKey): boolean {
  return contextOfScope(scope) !== undefined && (state === "active" || state === "retired");
}

/** Whether a row belongs to this life of the tenant, and not to an earlier or a later one. A row without a readable scope may. */
function mayBeOf({ scope }: StoredDataKey, record: TenantRecord): boolean {
  const context = contextOfScope(scope);
  return context === undefined || isOfLife(context, record);
}

const PAGE = 500;
const MOST_PASSES = 20;
