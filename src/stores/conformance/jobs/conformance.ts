import type { StoreConformanceCase } from "../conformance.ts";
import { withStores } from "../opened-stores.ts";
import { type Bench, type JobStoreConformanceHarness, waitUntilFree } from "./bench.ts";
import { jobCases } from "./cases.ts";

/**
 * Lists the contract of a `JobStore` as cases for any test runner, as `storeConformance` does for data keys. Each case makes jobs of its
 * own, so that all may run on one table, in any order.
 *
 * @see docs/jobs.md
 * @example
 * ```ts
 * import { test } from "node:test";
 * import { memoryJobStore } from "envelock/jobs";
 * import { jobStoreConformance } from "envelock/stores/conformance";
 *
 * const store = memoryJobStore();
 * for (const { name, run } of jobStoreConformance({ open: () => store })) test(name, run);
 * ```
 */
export function jobStoreConformance(harness: JobStoreConformanceHarness): readonly StoreConformanceCase[] {
  const pass = harness.pass && ((ms: number) => harness.pass?.(ms));
  const bench = (open: Bench["open"]): Bench => ({ open, untilFree: (store, place) => waitUntilFree(store, place, pass) });
  return jobCases().map(({ name, run }) => ({ name, run: () => withStores(harness, (open) => run(bench(open))) }));
}
