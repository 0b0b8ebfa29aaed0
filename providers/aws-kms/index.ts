export type { Finding } from "../../src/core/contracts/finding.ts";
export type { HttpOptions } from "../http/http-service.ts";
export { type AwsKmsKeyOptions, awsKmsKey } from "./aws-kms-key.ts";
export { type AwsKmsRandomOptions, awsKmsRandom } from "./aws-kms-random.ts";
export type { AwsCredentialSource, AwsCredentials, AwsLogin } from "./credentials.ts";
export { type AwsKmsDecrypter, type AwsKmsDecrypterOptions, awsKmsDecrypter } from "./decrypter.ts";
export { type AwsKmsCheck, type DiagnoseAwsKmsKeyOptions, diagnoseAwsKmsKey } from "./doctor/diagnose.ts";
export { type AssumeRoleOptions, assumeRole, type WebIdentityOptions, webIdentity } from "./logins.ts";
export {
  type ContainerCredentialsOptions,
  containerCredentials,
  type InstanceCredentialsOptions,
  instanceCredentials,
} from "./metadata-logins.ts";
export type { AwsConnectionOptions } from "./options.ts";
export type { AwsReplica } from "./regions.ts";
export { type AwsTenantKeysOptions, awsTenantKeys } from "./tenant-keys.ts";
