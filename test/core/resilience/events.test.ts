import { describe, expect, test } from "vitest";
import { engine } from "#engine";
import type { ProviderFault } from "../../../providers/conformance/index.ts";
import { Keyring } from "../../../src/core/keyring/keyring.ts";
import type { KeyringOptions } from "../../../src/core/keyring/keyring-options.ts";
import type { KeyringEvent } from "../../../src/core/telemetry/events.ts";
import { noise } from "../../support/arbitraries.ts";
import { fakeClock } from "../../support/fake-clock.ts";
import { kek } from "../../support/keks.ts";
import { refusalCode } from "../../support/refusal.ts";
import { timed } from "./backends.ts";

describe("events", () => {
  test("tell which key version wrapped and unwrapped, how it ended and how long it took", async () => {
    const { keyring, clock, events } = listening((call) => (call === 1 ? { kind: "delay", delayMs: 70 } : undefined));
    const envelope = await keyring.encrypt(noise(300), { context: { row: "secret row" } });
    await clock.finish(keyring.decrypt(envelope, { context: { row: "secret row" } }));
    const keys = [{ provider: "local", keyId: "k1" }];
    const keyContext = { tenant: "acme" };
    expect(events.map(plain)).toEqual([
      { type: "provider-call", call: "wrap", provider: "local", keyId: "k1", outcome: "ok", durationMs: 0, attempt: 1, keyContext },
      {
        type: "operation",
        operation: "encrypt",
        outcome: "ok",
        durationMs: 0,
        bytes: 300,
        dataKey: "new",
        dataKeyAgeMs: 0,
        keys,
        keyContext,
        engine: engine.info().name,
      },
      { type: "provider-call", call: "unwrap", provider: "local", keyId: "k1", outcome: "ok", durationMs: 70, attempt: 1, keyContext },
      {
        type: "operation",
        operation: "decrypt",
        outcome: "ok",
        durationMs: 70,
        bytes: 300,
        dataKey: "unwrapped",
        dataKeyAgeMs: 0,
        keys,
        keyContext,
        engine: engine.info().name,
      },
    ]);
    expect(JSON.stringify(events)).not.toContain("secret row");
  });

  test("of a provider's call name the key context of the one data key", async () => {
    const { keyring, events } = listening(() => undefined);
    await keyring.createDataKey({ keyContext: { purpose: "columns" } });
    expect(JSON.parse(JSON.stringify(events[0]))).toMatchObject({
      type: "provider-call",
      keyContext: { tenant: "acme", purpose: "columns" },
    });
  });

  test("of every kind name the keyring's tenant and its generation, and are without them otherwise", async () => {
    const plan = (call: number): ProviderFault | undefined => (call === 1 ? { kind: "fail", code: "unavailable" } : undefined);
    for (const tenant of [{ id: "acme", generation: 3 }, undefined]) {
      const { keyring, clock, events } = listening(plan, { cache: {}, breaker: { failures: 1, openMs: 1 }, ...(tenant && { tenant }) });
      const envelope = await keyring.encrypt(noise(1));
      await clock.finish(keyring.decrypt(envelope));
      keyring.forget();
      const kinds = ["breaker", "cache", "eviction", "operation", "provider-call", "retry"];
      expect([...new Set(events.map(({ type }) => type))].sort()).toEqual(kinds);
      for (const event of events) expect([event.tenant, event.generation]).toEqual([tenant?.id, tenant?.generation]);
    }
  });

  test("name a failure by its code, and an abort as such", async () => {
    const { keyring, clock, events } = listening(() => ({ kind: "hang" }), { retry: false });
    const controller = new AbortController();
    const aborted = keyring.encrypt(noise(1), { signal: controller.signal }).catch((error: unknown) => error);
    await clock.advance(5);
    controller.abort("left");
    await aborted;
    await refusalCode(() => clock.finish(keyring.encrypt(noise(1))));
    await refusalCode(() => keyring.decrypt(noise(40)));
    expect(events).toMatchObject([
      { type: "provider-call", outcome: "aborted", durationMs: 5, keyId: undefined },
      { type: "operation", outcome: "aborted", bytes: 0, keys: [], dataKey: undefined },
      { type: "provider-call", outcome: "timeout", durationMs: 10_000 },
      { type: "operation", outcome: "timeout", bytes: 0 },
      { type: "operation", operation: "decrypt", outcome: "malformed-envelope", bytes: 0 },
    ]);
  });

  test("count the attempts", async () => {
    const { keyring, clock, events } = listening((call) => (call < 2 ? { kind: "throttle" } : undefined));
    await clock.finish(keyring.encrypt(noise(1)));
    expect(events.filter(({ type }) => type === "provider-call")).toMatchObject([
      { attempt: 1, outcome: "rate-limited" },
      { attempt: 2, outcome: "rate-limited" },
      { attempt: 3, outcome: "ok" },
    ]);
  });

  test("tell a broken contract as provider-failure", async () => {
    const { keyring, events } = listening((_, method) => (method === "unwrap" ? { kind: "wrong-length", bytes: 16 } : undefined));
    const envelope = await keyring.encrypt(noise(1));
    expect(await refusalCode(() => keyring.decrypt(envelope))).toBe("provider-failure");
    expect(events.at(-2)).toMatchObject({ type: "provider-call", call: "unwrap", outcome: "provider-failure" });
  });

  test.each([
    "encrypt",
    "rewrap",
    "needs-rewrap",
    "create-data-key",
    "unwrap-data-key",
    "decrypt",
  ])("there is one for each %s", async (name) => {
    const { keyring, events } = listening(() => undefined);
    const envelope = await keyring.encrypt(noise(1));
    const detached = await keyring.encryptDetached(noise(1));
    await keyring.rewrap(envelope);
    await keyring.rewrapHeader(detached.header);
    await keyring.needsRewrap(envelope);
    const { keyRecord } = await keyring.createDataKey();
    await keyring.keyRecordNeedsRewrap(keyRecord);
    await keyring.rewrapKeyRecord(keyRecord);
    await keyring.unwrapDataKey(keyRecord);
    await keyring.decrypt(envelope);
    await keyring.decryptDetached(detached);
    const counts: Readonly<Record<string, number>> = { encrypt: 2, rewrap: 3, "needs-rewrap": 2, decrypt: 2 };
    expect(events.filter((event) => event.type === "operation" && event.operation === name)).toHaveLength(counts[name] ?? 1);
  });

  test("a listener that throws changes nothing", async () => {
    const keyring = new Keyring({
      wrapWith: [kek()],
      onEvent: () => {
        throw new Error("of the listener");
      },
    });
    expect(await keyring.decrypt(await keyring.encrypt(noise(9)))).toEqual(noise(9));
  });

  test("without a listener the clock is not read, and no timer set, for a key in this process", async () => {
    const clock = fakeClock();
    let reads = 0;
    const counting = {
      ...clock,
      now: () => {
        reads++;
        return clock.monotonicMs();
      },
      after: (...given: Parameters<typeof clock.after>) => {
        reads++;
        return clock.after(...given);
      },
    };
    const keyring = new Keyring({ wrapWith: [kek()], clock: counting });
    await keyring.decrypt(await keyring.encrypt(noise(9)));
    expect(reads).toBe(0);
  });
});

function listening(plan: (call: number, method: string) => ProviderFault | undefined, options: Partial<KeyringOptions> = {}) {
  const clock = fakeClock();
  const events: KeyringEvent[] = [];
  const { provider } = timed(clock, plan);
  const onEvent = (event: KeyringEvent): unknown => events.push(event);
  return { keyring: new Keyring({ wrapWith: [provider], clock, context: { tenant: "acme" }, onEvent, ...options }), clock, events };
}

/** As JSON would have it: the key context has no prototype. */
function plain(event: KeyringEvent): unknown {
  return JSON.parse(JSON.stringify(event));
}
