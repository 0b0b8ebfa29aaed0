export type { Finding } from "../../src/core/contracts/finding.ts";
export type { HttpOptions } from "../http/http-service.ts";
export { diagnoseGcpKey, type GcpKmsCheck } from "./doctor/diagnose.ts";
export { type GcpKmsKeyOptions, gcpKmsKey } from "./gcp-kms-key.ts";
export { type GcpKmsRandomOptions, gcpKmsRandom } from "./gcp-kms-random.ts";
export type { GcpLogin, GcpToken, GcpTokenSource } from "./login.ts";
export { type ImpersonatedOptions, impersonated, metadataServer, type ServiceAccountKeyOptions, serviceAccountKey } from "./logins.ts";
export type { GcpConnectionOptions } from "./options.ts";
export { type GcpTenantKeysOptions, gcpTenantKeys } from "./tenant-keys.ts";
