import type { BlobConformanceHarness, Case } from "./bench.ts";
import { byteCases } from "./byte-cases.ts";
import { conditionCases } from "./condition-cases.ts";
import { headerCases } from "./header-cases.ts";
import { listCases } from "./list-cases.ts";

/** One rule of the contract. `run` resolves if the store keeps it, else rejects with an error that says what was broken. */
export interface BlobConformanceCase {
  readonly name: string;
  run(): Promise<void>;
}

/**
 * Lists the contract of a `BlobStore` as cases for any test runner:
 * `for (const { name, run } of blobConformance(harness)) test(name, run);`
 *
 * Each case makes blobs of its own under `conformance/`, so that all may run on one container, in any order.
 *
 * @see docs/blobs.md
 * @example
 * ```ts
 * import { test } from "node:test";
 * import { memoryBlobs } from "envelock/blobs";
 * import { blobConformance } from "envelock/blobs/conformance";
 *
 * const store = memoryBlobs();
 * for (const { name, run } of blobConformance({ open: () => store })) test(name, run);
 * ```
 */
export function blobConformance(harness: BlobConformanceHarness): readonly BlobConformanceCase[] {
  const cases: readonly Case[] = [...byteCases(), ...conditionCases(), ...headerCases(), ...listCases()];
  return cases.map(({ name, run }) => ({ name, run: () => run(async () => await harness.open()) }));
}
