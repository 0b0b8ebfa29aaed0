export { type StoreConformanceCase, type StoreConformanceHarness, storeConformance } from "./conformance.ts";
