import type { Case, StoreConformanceHarness } from "./bench.ts";
import { changeCases } from "./change-cases.ts";
import { lifecycleCases } from "./lifecycle-cases.ts";
import { manyCases } from "./many-cases.ts";
import { withStores } from "./opened-stores.ts";
import { raceCases } from "./race-cases.ts";
import { rowCases } from "./row-cases.ts";
import { scanCases } from "./scan-cases.ts";

/** One rule of the contract. `run` resolves if the store keeps it, else rejects with an error that says what was broken. */
export interface StoreConformanceCase {
  readonly name: string;
  run(): Promise<void>;
}

/**
 * Lists the contract of a `DataKeyStore` as cases for any test runner:
 * `for (const { name, run } of storeConformance(harness)) test(name, run);`
 *
 * Each case makes scopes of its own, so that all may run on one table, in any order. Cases that need more than the harness has are not in
 * the list.
 *
 * @see docs/stores.md
 * @example
 * ```ts
 * import { test } from "node:test";
 * import { memoryStore } from "envelock/fields";
 * import { storeConformance } from "envelock/stores/conformance";
 *
 * for (const { name, run } of storeConformance({ open: () => memoryStore() })) test(name, run);
 * ```
 */
export function storeConformance(harness: StoreConformanceHarness): readonly StoreConformanceCase[] {
  const cases: readonly Case[] = [
    ...rowCases(),
    ...changeCases(harness),
    ...manyCases(),
    ...raceCases(),
    ...scanCases(),
    ...lifecycleCases(),
  ];
  return cases.map(({ name, run }) => ({ name, run: () => withStores(harness, (open) => run({ open })) }));
}
