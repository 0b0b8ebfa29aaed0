export type { Clock } from "../../core/base/clock.ts";
export type { Meanwhile, RawAnswer } from "../emulator/fault-plan.ts";
export type { Grants, PrincipalTraits } from "../emulator/google-principals.ts";
export type { HeldRequest } from "../emulator/loopback-server.ts";
export { GcsAnswer } from "./answer.ts";
export type { Fault, GcsReason } from "./faults.ts";
export { type GcsBucketTraits, GcsEmulator, type GcsEmulatorConnection, type GcsEmulatorOptions } from "./gcs-emulator.ts";
export type { LoggedRequest } from "./gcs-service.ts";
