import type { JobStore } from "../../../core/contracts/job-store.ts";
import type { StoreConformanceCase } from "../conformance.ts";
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
  return jobCases().map(({ name, run }) => ({ name, run: () => withBench(harness, run) }));
}

/** Runs a case and closes what it opened, also when it failed. */
async function withBench(harness: JobStoreConformanceHarness, run: (bench: Bench) => Promise<void>): Promise<void> {
  const opened: JobStore[] = [];
  const pass = harness.pass && ((ms: number) => harness.pass?.(ms));
  try {
    await run({
      async open() {
        const store = await harness.open();
        opened.push(store);
        return store;
      },
      untilFree: (store, place) => waitUntilFree(store, place, pass),
    });
  } finally {
    await Promise.allSettled(opened.map(async (store) => await store.close?.()));
  }
}
