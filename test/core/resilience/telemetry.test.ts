import { context, trace } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { AggregationTemporality, InMemoryMetricExporter, MeterProvider, PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics";
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from "@opentelemetry/sdk-trace-base";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { engine } from "#engine";
import type { ProviderFault } from "../../../providers/conformance/index.ts";
import type { KeyProvider } from "../../../src/core/contracts/key-provider.ts";
import { Keyring } from "../../../src/core/keyring/keyring.ts";
import type { KeyringOptions } from "../../../src/core/keyring/keyring-options.ts";
import { type OpenTelemetryOptions, openTelemetry } from "../../../src/integrations/open-telemetry.ts";
import { noise } from "../../support/arbitraries.ts";
import { fakeClock } from "../../support/fake-clock.ts";
import { kek } from "../../support/keks.ts";
import { refusalCode } from "../../support/refusal.ts";
import { timed } from "./backends.ts";

beforeAll(() => {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
});
afterAll(() => context.disable());

describe("spans", () => {
  test("stand around each call of a keyring, and within it around each attempt", async () => {
    const { keyring, clock, spans } = telling({}, (call) => (call === 0 ? { kind: "fail", code: "unavailable" } : undefined));
    await clock.finish(keyring.decrypt(await clock.finish(keyring.encrypt(noise(9)))));
    await keyring.rewrap(await keyring.encrypt(noise(9)));
    const names = spans().map(({ name }) => name);
    expect(new Set(names)).toEqual(new Set(["encrypt", "decrypt", "rewrap", "wrap", "unwrap"].map((name) => `envelock.${name}`)));
    const encrypt = spans().find(({ name }) => name === "envelock.encrypt");
    const wraps = spans().filter(({ parentSpanContext }) => parentSpanContext?.spanId === encrypt?.spanContext().spanId);
    expect(wraps.map(({ name, attributes, status }) => ({ name, attributes, code: status.code }))).toEqual([
      { name: "envelock.wrap", attributes: shown("wrap", "unavailable"), code: 2 },
      { name: "envelock.wrap", attributes: shown("wrap", "ok"), code: 0 },
    ]);
  });

  test("are active while the provider works, so that its own spans hang below", async () => {
    const inner = kek();
    const active: (string | undefined)[] = [];
    const provider: KeyProvider = {
      ...inner,
      async wrap(dek, options) {
        active.push(trace.getActiveSpan()?.spanContext().spanId);
        return await inner.wrap(dek, options);
      },
    };
    const { keyring, spans } = telling({}, undefined, { wrapWith: [provider] });
    await keyring.encrypt(noise(1));
    expect(active).toEqual([
      spans()
        .find(({ name }) => name === "envelock.wrap")
        ?.spanContext().spanId,
    ]);
  });

  test("and metrics show neither key ids nor contexts, unless asked for", async () => {
    const quiet = telling({});
    const open = telling({ keyIds: true, contextKeys: ["tenant"] });
    for (const { keyring } of [quiet, open]) {
      await keyring.encrypt(noise(1), { context: { row: "the-row" } });
      await refusalCode(() => keyring.decrypt(noise(3)));
    }
    const said = JSON.stringify([quiet.spans().map(({ attributes }) => attributes), await quiet.metrics()]);
    for (const hidden of ["k1", "acme", "the-row", "tenant"]) expect(said).not.toContain(hidden);
    const operations = open.spans().filter(({ name }) => name === "envelock.encrypt");
    expect(operations.map(({ attributes }) => attributes)).toMatchObject([
      { "envelock.key_ids": ["k1"], "envelock.context.tenant": "acme" },
    ]);
    expect(JSON.stringify(await open.metrics())).not.toMatch(/k1|acme/);
  });

  test("of a provider's call show the same contexts as the call's own", async () => {
    const { keyring, spans } = telling({ contextKeys: ["tenant"] });
    await keyring.encrypt(noise(1));
    expect(spans().map(({ name, attributes }) => [name, attributes["envelock.context.tenant"]])).toEqual([
      ["envelock.wrap", "acme"],
      ["envelock.encrypt", "acme"],
    ]);
  });

  test("and metrics name no tenant, unless spans are to", async () => {
    const tenant = { id: "globex", generation: 7 };
    const quiet = telling({}, undefined, { tenant });
    const open = telling({ tenants: true }, undefined, { tenant });
    for (const { keyring } of [quiet, open]) await keyring.encrypt(noise(1));
    expect(JSON.stringify([quiet.spans().map(({ attributes }) => attributes), await quiet.metrics(), await open.metrics()])).not.toContain(
      "globex",
    );
    expect(open.spans().map(({ name, attributes }) => [name, attributes["envelock.tenant"], attributes["envelock.generation"]])).toEqual([
      ["envelock.wrap", "globex", 7],
      ["envelock.encrypt", "globex", 7],
    ]);
  });

  test("end with the outcome of an abort", async () => {
    const { keyring, clock, spans } = telling({}, () => ({ kind: "hang" }));
    const controller = new AbortController();
    const call = keyring.encrypt(noise(1), { signal: controller.signal }).catch((error: unknown) => error);
    await clock.advance(1);
    controller.abort("left");
    await call;
    expect(spans().map(({ attributes }) => attributes["envelock.outcome"])).toEqual(["aborted", "aborted"]);
  });
});

test("metrics count operations, bytes, attempts, retries, cache, breaker and age", async () => {
  const plan = (call: number): ProviderFault | undefined => (call === 1 || call >= 3 ? { kind: "fail", code: "unavailable" } : undefined);
  const { keyring, clock, metrics } = telling({}, plan, { cache: { maxEntries: 1 }, breaker: { failures: 3 } });
  const envelope = await clock.finish(keyring.encrypt(noise(300)));
  await clock.finish(keyring.decrypt(envelope));
  await clock.advance(2000);
  await clock.finish(keyring.decrypt(envelope));
  keyring.forget();
  await refusalCode(() => clock.finish(keyring.decrypt(envelope)));
  const points = await metrics();
  expect(points["envelock.operations"]).toEqual(
    expect.arrayContaining([
      { attributes: operation("encrypt", "ok", "new"), value: 1 },
      { attributes: operation("decrypt", "ok", "unwrapped"), value: 1 },
      { attributes: operation("decrypt", "ok", "cached"), value: 1 },
      {
        attributes: { "envelock.operation": "decrypt", "envelock.outcome": "unavailable", "envelock.engine": engine.info().name },
        value: 1,
      },
    ]),
  );
  expect(points["envelock.bytes"]).toEqual([
    { attributes: { "envelock.operation": "encrypt" }, value: 300 },
    { attributes: { "envelock.operation": "decrypt" }, value: 600 },
  ]);
  expect(points["envelock.provider.calls"]).toEqual(
    expect.arrayContaining([
      { attributes: shown("wrap", "ok"), value: 1 },
      { attributes: shown("unwrap", "ok"), value: 1 },
    ]),
  );
  expect(points["envelock.retries"]).toMatchObject([{ attributes: shown("unwrap", "unavailable") }]);
  expect(points["envelock.cache.requests"]).toEqual([
    { attributes: { "envelock.result": "miss" }, value: 2 },
    { attributes: { "envelock.result": "hit" }, value: 1 },
  ]);
  expect(points["envelock.cache.evictions"]).toEqual([
    { attributes: { "envelock.provider": "local", "envelock.reason": "forgotten" }, value: 1 },
  ]);
  expect(points["envelock.breaker.changes"]).toEqual([
    { attributes: { "envelock.provider": "local", "envelock.state": "open" }, value: 2 },
    { attributes: { "envelock.provider": "local", "envelock.state": "half-open" }, value: 1 },
  ]);
  expect(points["envelock.breaker.state"]).toMatchObject([{ attributes: { "envelock.provider": "local" }, value: 2 }]);
  expect(points["envelock.data_key.age"]).toEqual(
    expect.arrayContaining([
      { attributes: { "envelock.data_key": "cached" }, value: expect.objectContaining({ sum: expect.closeTo(2, 6), count: 1 }) },
    ]),
  );
});

test("without a registered SDK it does nothing, and costs no error", async () => {
  const keyring = new Keyring({ wrapWith: [kek()], telemetry: openTelemetry() });
  expect(await keyring.decrypt(await keyring.encrypt(noise(9)))).toEqual(noise(9));
});

function shown(call: string, outcome: string) {
  return { "envelock.provider": "local", "envelock.call": call, "envelock.outcome": outcome };
}

function operation(name: string, outcome: string, dataKey: string) {
  return { "envelock.operation": name, "envelock.outcome": outcome, "envelock.engine": engine.info().name, "envelock.data_key": dataKey };
}

/** A keyring that is observed by the SDK, in memory. */
function telling(
  given: OpenTelemetryOptions,
  plan: (call: number) => ProviderFault | undefined = () => undefined,
  options: Partial<KeyringOptions> = {},
) {
  const clock = fakeClock();
  const spans = new InMemorySpanExporter();
  const tracer = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(spans)] }).getTracer("test");
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 2 ** 30 });
  const meter = new MeterProvider({ readers: [reader] }).getMeter("test");
  const { provider } = timed(clock, plan);
  const telemetry = openTelemetry({ tracer, meter, ...given });
  const keyring = new Keyring({ wrapWith: [provider], clock, context: { tenant: "acme" }, telemetry, ...options });
  return {
    keyring,
    clock,
    spans: () => spans.getFinishedSpans(),
    /** Name to data points, without their times. */
    async metrics() {
      const { resourceMetrics } = await reader.collect();
      const metrics = resourceMetrics.scopeMetrics.flatMap((scope) => scope.metrics);
      return Object.fromEntries(
        metrics.map(({ descriptor, dataPoints }) => [descriptor.name, dataPoints.map(({ attributes, value }) => ({ attributes, value }))]),
      );
    },
  };
}
