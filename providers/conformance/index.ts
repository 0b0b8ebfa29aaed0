export { type ConformanceCase, conformance } from "./conformance.ts";
export {
  type Fault,
  type FaultPlan,
  type FaultyMethod,
  type FaultyProviderOptions,
  faultyProvider,
  scriptedFaults,
  seededFaults,
} from "./faulty-provider.ts";
export type { BackendFailure, CallLimits, ConformanceHarness, HeldCall, SilentFailure } from "./harness.ts";
