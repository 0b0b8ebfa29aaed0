export type { Clock } from "../../src/core/base/clock.ts";
export { type AzureKey, type AzureKeyOptions, azureKey } from "./azure-key.ts";
export { type AzureSecretKeyOptions, azureSecretKey } from "./azure-secret-key.ts";
export { type AzureCapacity, type AzureCapacityOptions, azureCapacity } from "./capacity.ts";
export { diagnoseAzureKey } from "./doctor/diagnose.ts";
export type { AzureCheck, AzureDiagnosisOptions, AzureFinding } from "./doctor/finding.ts";
export { type KeyVaultDelivery, type KeyVaultEvent, parseKeyVaultEvent } from "./key-vault-event.ts";
export { type ManagedHsmRandomOptions, managedHsmRandom } from "./managed-hsm-random.ts";
export type { AzureClientOptions, AzureConnectionOptions, AzureCredential, AzureToken, AzureTokenOptions } from "./options.ts";
