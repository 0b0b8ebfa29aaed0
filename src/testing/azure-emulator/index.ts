export type { Clock } from "../../core/base/clock.ts";
export type { Meanwhile, RawAnswer } from "../emulator/fault-plan.ts";
export type { HeldRequest } from "../emulator/loopback-server.ts";
export { Answer, type AnswerBody, forbidden, keyNotFound, throttled } from "./answer.ts";
export {
  AzureEmulator,
  type CertificateSpec,
  type EmulatorConnection,
  type KeySpec,
  type VersionChange,
} from "./azure-emulator.ts";
export type { KeyUsage } from "./certificate-store.ts";
export type { EmulatorOptions } from "./emulator-options.ts";
export type { Fault, FaultName } from "./faults.ts";
export type { Curve, KeyType } from "./key-material.ts";
export type { KeyOperation } from "./key-store.ts";
export type { LoggedRequest } from "./logged-request.ts";
export type { EmulatedToken, Principal, PrincipalOptions } from "./principals.ts";
export type { Right } from "./rights.ts";
export type { SecretAttributes } from "./secret-store.ts";
export type { Shield } from "./service.ts";
export type { TransactionLimits } from "./transaction-limits.ts";
export type { Flavour } from "./vault.ts";
