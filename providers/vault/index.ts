export type { Finding } from "../../src/core/contracts/finding.ts";
export type { HttpOptions } from "../http/http-service.ts";
export { diagnoseVaultKey, type VaultCheck } from "./doctor/diagnose.ts";
export { type AppRoleOptions, appRole, type JwtLoginOptions, jwtLogin, kubernetesLogin } from "./logins.ts";
export type { VaultConnectionOptions } from "./options.ts";
export { type VaultTenantCluster, type VaultTenantKeysOptions, type VaultTenantPlace, vaultTenantKeys } from "./tenant-keys.ts";
export type { VaultLogin, VaultToken, VaultTokenSource } from "./tokens.ts";
export { type VaultRandomOptions, vaultRandom } from "./vault-random.ts";
export { type VaultTransitKeyOptions, vaultTransitKey } from "./vault-transit-key.ts";
