export { type ConformanceCase, conformance } from "./conformance.ts";
export type { CallLimits, ConformanceHarness, HeldCall } from "./harness.ts";
