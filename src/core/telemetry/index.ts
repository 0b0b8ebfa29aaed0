export type {
  BreakerEvent,
  BreakerState,
  CacheEvent,
  DataKeyOrigin,
  EvictionEvent,
  EvictionReason,
  KeyringEvent,
  KeyVersion,
  OperationEvent,
  OperationName,
  Outcome,
  ProviderCall,
  ProviderCallEvent,
  RefreshEvent,
  RetryEvent,
  TenantEvent,
} from "./events.ts";
export type { SpanEvent, SpanName, Telemetry } from "./observer.ts";
