import { PLATFORM_KEY } from "../life-cycle/change.ts";
import type { TenantKey, TenantRecord } from "../record/tenant-record.ts";

/** Returns the keys of its own that wrap for a tenant: those that canaries are sent to. */
export function ownKeysOf({ keys }: Pick<TenantRecord, "keys">): readonly TenantKey[] {
  return keys.filter(({ role, kind }) => role === "wrap" && kind !== PLATFORM_KEY.kind);
}
