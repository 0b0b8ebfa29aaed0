export type { StoreConformanceHarness } from "./bench.ts";
export { type StoreConformanceCase, storeConformance } from "./conformance.ts";
export type { JobStoreConformanceHarness } from "./jobs/bench.ts";
export { jobStoreConformance } from "./jobs/conformance.ts";
export type { TenantStoreConformanceHarness } from "./tenants/bench.ts";
export { tenantStoreConformance } from "./tenants/conformance.ts";
