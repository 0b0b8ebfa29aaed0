export { type ConformanceCase, conformance } from "./conformance.ts";
export {
  type FaultPlan,
  type FaultyMethod,
  type FaultyProviderOptions,
  faultyProvider,
  type ProviderFault,
  scriptedFaults,
  seededFaults,
} from "./faulty-provider.ts";
export type { BackendFailure, CallLimits, ConformanceHarness, HeldCall, SilentFailure, WrongAnswer } from "./harness.ts";
