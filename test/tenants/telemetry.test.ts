import { context } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { AggregationTemporality, InMemoryMetricExporter, MeterProvider, PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics";
import { BasicTracerProvider, InMemorySpanExporter, type ReadableSpan, SimpleSpanProcessor } from "@opentelemetry/sdk-trace-base";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type OpenTelemetryOptions, openTelemetry } from "../../src/integrations/open-telemetry.ts";
import { vendor } from "./bench.ts";

beforeAll(() => {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
});
afterAll(() => context.disable());

const ACME = "id-of-acme";
const SMALL = "id-of-small";
/** What says which tenant a call was for, or what it was about. */
const PRIVATE = {
  ids: [ACME, SMALL],
  keys: ["key-of-acme", "key-to-move-to"],
  contexts: ["project-of-acme", "row-of-acme", "tenant-epoch", "users", "email"],
  people: ["person-who-asks", "reason-of-it"],
  texts: ["text-of-acme"],
};

test("names no tenant, scope or key in any span, metric, label or status, unless asked for", async () => {
  const told = await everythingToldOf({});
  for (const hidden of Object.values(PRIVATE).flat()) expect(told.spans + told.metrics).not.toContain(hidden);
  for (const shown of ["envelock.encrypt", "envelock.unwrap", "envelock.cache.requests", "envelock.breaker.state", "access-denied"])
    expect(told.spans + told.metrics).toContain(shown);
});

test("names a tenant with its generation on spans, and never on metrics, when it is asked for", async () => {
  const told = await everythingToldOf({ tenants: true });
  for (const id of PRIVATE.ids) expect(told.spans).toContain(`"envelock.tenant":"${id}"`);
  expect(told.spans).toContain('"envelock.generation":3');
  for (const hidden of [...PRIVATE.keys, ...PRIVATE.contexts, ...PRIVATE.people, ...PRIVATE.texts])
    expect(told.spans).not.toContain(hidden);
  for (const hidden of Object.values(PRIVATE).flat()) expect(told.metrics).not.toContain(hidden);
});

test("names keys and contexts on spans, each when it is asked for", async () => {
  const told = await everythingToldOf({ keyIds: true, contextKeys: ["project"] });
  for (const shown of ["key-of-acme", "key-to-move-to", "project-of-acme"]) expect(told.spans).toContain(shown);
  for (const hidden of [...PRIVATE.people, ...PRIVATE.texts, "row-of-acme"]) expect(told.spans).not.toContain(hidden);
  for (const hidden of Object.values(PRIVATE).flat()) expect(told.metrics).not.toContain(hidden);
});

/** Does with tenants all that makes spans and metrics, failures included. @returns what the SDK was told, as text */
async function everythingToldOf(options: OpenTelemetryOptions): Promise<{ readonly spans: string; readonly metrics: string }> {
  const spans = new InMemorySpanExporter();
  const tracer = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(spans)] }).getTracer("test");
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 2 ** 30 });
  const meter = new MeterProvider({ readers: [reader] }).getMeter("test");
  const bench = vendor({ telemetry: openTelemetry({ tracer, meter, ...options }), resilience: { breaker: { failures: 2 } } });
  const { tenants, service, clock } = bench;
  const by = { actor: "person-who-asks", reason: "reason-of-it" };
  const quietly = async (work: () => Promise<unknown>): Promise<void> => void (await clock.finish(work().catch(() => undefined)));

  const key = await bench.onboard(ACME, "vaults/key-of-acme/keys/saas");
  await tenants.invite(SMALL, by);
  await tenants.activate(SMALL, by);
  for (const id of [ACME, SMALL]) {
    const keyring = await tenants.keyring(id);
    const envelope = await keyring.encryptText("text-of-acme", { context: { row: "row-of-acme" } });
    for (let turn = 0; turn < 2; turn++) await keyring.decryptText(envelope, { context: { row: "row-of-acme" } });
    await keyring.rewrap(envelope);
    const other = await tenants.keyring(id === ACME ? SMALL : ACME);
    await quietly(() => other.decryptText(envelope));
    const dataKeys = await tenants.dataKeys(id);
    const field = await dataKeys.field({ table: "users", column: "email", scope: { project: "project-of-acme" }, blindIndex: {} });
    const token = field.encrypt("text-of-acme", { row: "row-of-acme" });
    field.decrypt(token, { row: "row-of-acme" });
    field.blindIndex("text-of-acme");
  }
  service.addKey("vaults/key-to-move-to/keys/saas");
  await tenants.stage(ACME, { kind: "fake", key: "vaults/key-to-move-to/keys/saas" }, by);
  await tenants.verify(ACME, by);
  await clock.finish(tenants.move(ACME, by));
  await tenants.checkHealth(ACME);
  for (const mode of ["throttled", "unreachable", "healthy", "denied"] as const) {
    for (const name of [key, "vaults/key-to-move-to/keys/saas"]) service.setMode(name, mode);
    for (let turn = 0; turn < 4; turn++)
      await quietly(async () => await (await tenants.keyring(ACME)).encryptText("text-of-acme", { context: { row: "row-of-acme" } }));
    await clock.advance(60_000);
  }
  await tenants.suspend(SMALL, by);
  await quietly(async () => await (await tenants.keyring(SMALL)).encryptText("text-of-acme"));
  await tenants.close();
  const { resourceMetrics } = await reader.collect();
  return { spans: JSON.stringify(spans.getFinishedSpans().map(shownOf)), metrics: JSON.stringify(resourceMetrics) };
}

/** All of a span that an exporter may send. */
function shownOf({ name, kind, attributes, events, links, status, resource, instrumentationScope }: ReadableSpan): unknown {
  return { name, kind, attributes, events, links, status, resource: resource.attributes, instrumentationScope };
}
