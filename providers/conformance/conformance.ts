import { invalidArgument } from "../../src/core/base/errors.ts";
import { answerCases } from "./answer-cases.ts";
import { backendCases } from "./backend-cases.ts";
import { type Case, withBench } from "./checks.ts";
import type { ConformanceHarness } from "./harness.ts";
import { lifecycleCases } from "./lifecycle-cases.ts";
import { refusalCases } from "./refusal-cases.ts";
import { versionCases } from "./version-cases.ts";
import { wrappingCases } from "./wrapping-cases.ts";

/** One rule of the contract. `run` resolves if the provider keeps it, else rejects with an error that says what was broken. */
export interface ConformanceCase {
  readonly name: string;
  run(): Promise<void>;
}

/**
 * Lists the contract of a provider as cases for any test runner: `for (const { name, run } of conformance(harness)) test(name, run);`
 *
 * Each case opens its own providers and closes them. Run the cases in any order, but one at a time: they share the harness's backend. Cases
 * that need more than the harness has are not in the list, so print or count the names where that matters.
 *
 * @throws `invalid-argument` if one member of the harness lacks another that it needs
 * @see providers/README.md
 * @example
 * ```ts
 * import { test } from "node:test";
 * import { conformance } from "envelock/providers/conformance";
 * import { localKey } from "envelock/providers/local";
 *
 * const [one, two] = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)];
 * const cases = conformance({
 *   bindsContext: true,
 *   open: () => localKey({ keyId: "orders-1", key: one }),
 *   openOther: () => localKey({ keyId: "orders-2", key: two }),
 * });
 * for (const { name, run } of cases) test(name, run);
 * ```
 */
export function conformance(harness: ConformanceHarness): readonly ConformanceCase[] {
  checkHarness(harness);
  const cases: readonly Case[] = [
    ...wrappingCases(harness),
    ...refusalCases(harness),
    ...versionCases(harness),
    ...backendCases(harness),
    ...answerCases(harness),
    ...lifecycleCases(harness),
  ];
  return cases.map(({ name, run }) => ({ name, run: () => withBench(harness, run) }));
}

function checkHarness({ rotate, expire, calls, maxCalls, ignoreContext, bindsContext }: ConformanceHarness): void {
  if (ignoreContext !== undefined && !bindsContext) throw invalidArgument("a harness with `ignoreContext` needs `bindsContext`");
  if (expire !== undefined && rotate === undefined) throw invalidArgument("a harness with `expire` needs `rotate`");
  if (maxCalls !== undefined && calls === undefined) throw invalidArgument("a harness with `maxCalls` needs `calls`");
}
