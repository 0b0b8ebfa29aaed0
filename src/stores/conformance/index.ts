export type { StoreConformanceHarness } from "./bench.ts";
export { type StoreConformanceCase, storeConformance } from "./conformance.ts";
