import type { StoreConformanceCase } from "../conformance.ts";
import { withStores } from "../opened-stores.ts";
import type { TenantStoreConformanceHarness } from "./bench.ts";
import { tenantCases } from "./cases.ts";

/**
 * Lists the contract of a `TenantStore` as cases for any test runner, as `storeConformance` does for data keys. Each case makes ids of its
 * own, so that all may run on one table, in any order.
 *
 * @see docs/tenants.md
 * @example
 * ```ts
 * import { test } from "node:test";
 * import { tenantStoreConformance } from "envelock/stores/conformance";
 * import { memoryTenantStore } from "envelock/tenants";
 *
 * const store = memoryTenantStore();
 * for (const { name, run } of tenantStoreConformance({ open: () => store })) test(name, run);
 * ```
 */
export function tenantStoreConformance(harness: TenantStoreConformanceHarness): readonly StoreConformanceCase[] {
  return tenantCases().map(({ name, run }) => ({ name, run: () => withStores(harness, (open) => run({ open })) }));
}
