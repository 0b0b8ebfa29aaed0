export { type ClosingCheck, type ClosingReport, requireClosing } from "./closing-check.ts";
export {
  type AwsKeyHostOptions,
  type AzureKeyHostOptions,
  awsKeyHost,
  azureKeyHost,
  type GcpKeyHostOptions,
  gcpKeyHost,
  type VaultKeyHostOptions,
  vaultKeyHost,
} from "./emulated-keys.ts";
export type { FakeKeyMode } from "./fake-key-modes.ts";
export { FakeKeyService, type FakeKeyServiceOptions } from "./fake-key-service.ts";
export { FakeTenants, type FakeTenantsOptions } from "./fake-tenants.ts";
export type { HostedKey, TenantKeyHost } from "./key-host.ts";
export { TestClock } from "./test-clock.ts";
