import {
  type Attributes,
  type Counter,
  type Gauge,
  type Histogram,
  type Meter,
  metrics,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from "@opentelemetry/api";
import type { BreakerState, KeyringEvent } from "../core/telemetry/events.ts";
import type { SpanEvent, SpanName, Telemetry } from "../core/telemetry/observer.ts";

export interface OpenTelemetryOptions {
  /** Default: of the globally registered provider. */
  readonly tracer?: Tracer;
  /** Default: of the globally registered provider. */
  readonly meter?: Meter;
  /** Puts key ids on spans. Never on metrics, where each would make a series of its own. Default false. */
  readonly keyIds?: boolean;
  /** Which keys of the key context go on spans, such as `tenant`. Default none. */
  readonly contextKeys?: readonly string[];
  /** Puts the id and the generation of the keyring's option `tenant` on spans. Never on metrics. Default false. */
  readonly tenants?: boolean;
}

/**
 * Spans and metrics through `@opentelemetry/api`. Attributes are few and of few values (operation, provider name, outcome), unless
 * more is asked for.
 *
 * @see docs/operations.md
 * @example
 * ```ts
 * import { type KeyProvider, Keyring } from "envelock";
 * import { openTelemetry } from "envelock/open-telemetry";
 *
 * export const traced = (key: KeyProvider) => new Keyring({ wrapWith: [key], telemetry: openTelemetry({ contextKeys: ["tenant"] }) });
 * ```
 */
export function openTelemetry(options: OpenTelemetryOptions = {}): Telemetry {
  const { tracer = trace.getTracer(SCOPE), meter = metrics.getMeter(SCOPE), keyIds = false, contextKeys = [], tenants = false } = options;
  const instruments = instrumentsOf(meter);

  const shown = (event: SpanEvent): Attributes => ({
    ...attributesOf(event),
    ...(keyIds && { "envelock.key_ids": [...keyVersionsOf(event)] }),
    ...contextAttributes(event, contextKeys),
    ...(tenants && tenantAttributes(event)),
  });

  return {
    span<T>(name: SpanName, run: (finish: (event: SpanEvent) => void) => Promise<T>): Promise<T> {
      return tracer.startActiveSpan(name, { kind: PROVIDER_SPANS.has(name) ? SpanKind.CLIENT : SpanKind.INTERNAL }, async (span) => {
        const finish = (event: SpanEvent): void => {
          span.setAttributes(shown(event));
          if (event.outcome !== "ok") span.setStatus({ code: SpanStatusCode.ERROR, message: event.outcome });
        };
        try {
          return await run(finish);
        } finally {
          span.end();
        }
      });
    },
    record: (event) => record(instruments, event),
  };
}

interface Instruments {
  readonly operations: Counter;
  readonly operationDuration: Histogram;
  readonly bytes: Counter;
  readonly dataKeyAge: Histogram;
  readonly providerCalls: Counter;
  readonly providerCallDuration: Histogram;
  readonly retries: Counter;
  readonly breakerState: Gauge;
  readonly breakerChanges: Counter;
  readonly cacheRequests: Counter;
  readonly cacheEvictions: Counter;
  readonly refreshes: Counter;
}

function instrumentsOf(meter: Meter): Instruments {
  return {
    operations: meter.createCounter("envelock.operations", { description: "Calls of a keyring, by outcome" }),
    operationDuration: meter.createHistogram("envelock.operation.duration", { unit: "s" }),
    bytes: meter.createCounter("envelock.bytes", { unit: "By", description: "Plaintext encrypted and decrypted" }),
    dataKeyAge: meter.createHistogram("envelock.data_key.age", { unit: "s", description: "Age of the data key at each use" }),
    providerCalls: meter.createCounter("envelock.provider.calls", { description: "Attempts at providers, by outcome" }),
    providerCallDuration: meter.createHistogram("envelock.provider.call.duration", { unit: "s" }),
    retries: meter.createCounter("envelock.retries", { description: "Further attempts, by the code of the failure before" }),
    breakerState: meter.createGauge("envelock.breaker.state", { description: "0 closed, 1 half-open, 2 open" }),
    breakerChanges: meter.createCounter("envelock.breaker.changes", { description: "Changes of breakers, by the new state" }),
    cacheRequests: meter.createCounter("envelock.cache.requests", { description: "Data keys looked for, by result" }),
    cacheEvictions: meter.createCounter("envelock.cache.evictions", { description: "Data keys wiped, by reason" }),
    refreshes: meter.createCounter("envelock.data_key.refreshes", { description: "Fetches ahead of expiry, by outcome" }),
  };
}

function record(to: Instruments, event: KeyringEvent): void {
  switch (event.type) {
    case "operation":
      to.operations.add(1, attributesOf(event));
      to.operationDuration.record(event.durationMs / 1000, attributesOf(event));
      if (event.bytes > 0) to.bytes.add(event.bytes, { "envelock.operation": event.operation });
      if (event.dataKey !== undefined) to.dataKeyAge.record(event.dataKeyAgeMs / 1000, { "envelock.data_key": event.dataKey });
      break;
    case "provider-call":
      to.providerCalls.add(1, attributesOf(event));
      to.providerCallDuration.record(event.durationMs / 1000, attributesOf(event));
      break;
    case "retry":
      to.retries.add(1, { "envelock.provider": event.provider, "envelock.call": event.call, "envelock.outcome": event.code });
      break;
    case "breaker":
      to.breakerState.record(BREAKER_STATES[event.state], { "envelock.provider": event.provider });
      to.breakerChanges.add(1, { "envelock.provider": event.provider, "envelock.state": event.state });
      break;
    case "cache":
      to.cacheRequests.add(1, { "envelock.result": event.result });
      break;
    case "eviction":
      to.cacheEvictions.add(1, { "envelock.provider": event.provider, "envelock.reason": event.reason });
      break;
    case "refresh":
      to.refreshes.add(1, { "envelock.outcome": event.outcome });
      break;
  }
}

/** What may stand on a metric: every value is one of a few. */
function attributesOf(event: SpanEvent): Attributes {
  if (event.type === "operation") {
    return {
      "envelock.operation": event.operation,
      "envelock.outcome": event.outcome,
      "envelock.engine": event.engine,
      ...(event.dataKey !== undefined && { "envelock.data_key": event.dataKey }),
    };
  }
  return { "envelock.provider": event.provider, "envelock.call": event.call, "envelock.outcome": event.outcome };
}

function keyVersionsOf(event: SpanEvent): readonly string[] {
  if (event.type === "operation") return event.keys.map(({ keyId }) => keyId);
  return event.keyId === undefined ? [] : [event.keyId];
}

function tenantAttributes({ tenant, generation }: SpanEvent): Attributes {
  return {
    ...(tenant !== undefined && { "envelock.tenant": tenant }),
    ...(generation !== undefined && { "envelock.generation": generation }),
  };
}

function contextAttributes({ keyContext }: SpanEvent, keys: readonly string[]): Attributes {
  const shown: Attributes = {};
  for (const key of keys) {
    const value = keyContext[key];
    if (value !== undefined) shown[`envelock.context.${key}`] = value;
  }
  return shown;
}

const SCOPE = "envelock";
const PROVIDER_SPANS: ReadonlySet<SpanName> = new Set<SpanName>([
  "envelock.wrap",
  "envelock.unwrap",
  "envelock.current",
  "envelock.random",
]);
const BREAKER_STATES: Readonly<Record<BreakerState, number>> = { closed: 0, "half-open": 1, open: 2 };
