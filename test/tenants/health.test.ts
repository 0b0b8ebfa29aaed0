import { runInNewContext } from "node:vm";
import { describe, expect, test } from "vitest";
import type { Keyring } from "../../src/core/keyring/keyring.ts";
import { AuditQueue } from "../../src/tenants/audit/audit-queue.ts";
import type { TenantAuditEvent } from "../../src/tenants/audit/events.ts";
import { revocationBoundOf, SERVICE_LAGS } from "../../src/tenants/health/revocation-bound.ts";
import { memoryTenantStore } from "../../src/tenants/stores/memory.ts";
import type { TenantsOptions } from "../../src/tenants/tenants-options.ts";
import type { FakeKeyMode } from "../../src/testing/tenants/index.ts";
import { deferred } from "../support/deferred.ts";
import { refusal, refusalCode } from "../support/refusal.ts";
import { type Vendor, vendor } from "./bench.ts";

const EVENT: TenantAuditEvent = { type: "cache", result: "hit" };

describe("canaries", () => {
  test("unwrap a stored data key: one call each, and none for the platform's key", async () => {
    const { tenants, onboard, service, platform } = vendor();
    const name = await onboard("acme");
    await tenants.invite("small");
    await tenants.activate("small");
    const calls = service.calls(name);
    expect(await tenants.checkHealth("acme")).toMatchObject([{ key: 1, outcome: "ok" }]);
    expect(service.calls(name)).toBe(calls + 1);
    expect(await tenants.checkHealth("small")).toEqual([]);
    expect(platform.calls).toEqual([]);
  });

  test("that are refused together with one refusal in traffic revoke at once", async () => {
    const { tenants, onboard, service, clock, events } = vendor();
    service.setMode(await onboard("acme"), "denied");
    const keyring = await tenants.keyring("acme");
    expect(await refusalCode(() => keyring.encryptText("x"))).toBe("access-denied");
    await clock.advance(0);
    expect((await tenants.show("acme")).state).toBe("revoked");
    expect(events.find(({ type }) => type === "tenant.revoked")).toMatchObject({
      actor: "envelock",
      outcome: "access-denied",
      before: "active",
    });
    expect(events.find(({ type }) => type === "tenant.canary")).toMatchObject({ outcome: "access-denied", key: 1 });
  });

  test("of old keys count for nothing: those may be taken away", async () => {
    const { tenants, onboard, service, clock } = vendor();
    const name = await onboard("acme");
    const envelope = await (await tenants.keyring("acme")).encryptText("x");
    service.addKey("vaults/acme/keys/second");
    await tenants.stage("acme", { kind: "fake", key: "vaults/acme/keys/second" });
    await tenants.verify("acme");
    await clock.finish(tenants.move("acme"));
    service.setMode(name, "deleted");
    const keyring = await tenants.keyring("acme");
    for (let turn = 0; turn < 5; turn++) expect(await refusalCode(() => keyring.decryptText(envelope))).toBe("key-not-found");
    await clock.advance(0);
    expect((await tenants.show("acme")).state).toBe("active");
  });

  test("after a revocation come once a minute for five minutes, then every five, then hourly, and restore if the policy says so", async () => {
    const { tenants, onboard, service, clock, events } = vendor();
    const name = await onboard("acme");
    await tenants.setPolicy("acme", { autoRestore: true });
    const end = new AbortController();
    const watching = tenants.watchHealth({ signal: end.signal });
    service.setMode(name, "denied");
    await tenants.revoke("acme");
    const canaries = (): number => events.filter(({ type }) => type === "tenant.canary").length;
    const begun = canaries();
    await clock.advance(300_000);
    expect(canaries() - begun).toBeGreaterThanOrEqual(4);
    expect(canaries() - begun).toBeLessThanOrEqual(6);
    const inFive = canaries();
    await clock.advance(3_600_000);
    expect(canaries() - inFive).toBeGreaterThanOrEqual(10);
    expect(canaries() - inFive).toBeLessThanOrEqual(13);
    await clock.advance(86_400_000);
    const inADay = canaries();
    await clock.advance(4 * 3_600_000);
    expect(canaries() - inADay).toBeLessThanOrEqual(5);
    service.setMode(name, "healthy");
    await clock.advance(3_700_000);
    expect((await tenants.show("acme")).state).toBe("active");
    end.abort();
    await clock.finish(watching);
  });

  test("count the traffic of other processes, which one of them notes in the store once in six hours", async () => {
    const store = memoryTenantStore();
    const stamps: string[] = [];
    const bench = vendor({
      store: {
        ...store,
        async insertIfAbsent(row, options) {
          if (row.id.startsWith("used:")) stamps.push(row.id);
          return await store.insertIfAbsent(row, options);
        },
        async compareAndSwap(row, revision, options) {
          if (row.id.startsWith("used:")) stamps.push(row.id);
          return await store.compareAndSwap(row, revision, options);
        },
      },
    });
    const { tenants, clock, events } = bench;
    for (const id of ["busy", "quiet"]) await bench.onboard(id);
    await tenants.invite("small");
    await tenants.activate("small");
    const serving = [tenants, bench.another()];
    const use = async (): Promise<void> => {
      for (const each of serving) for (const id of ["busy", "small"]) await (await each.keyring(id)).encryptText("x");
    };
    await use();
    const end = new AbortController();
    const watching = bench.another().watchHealth({ signal: end.signal });
    await clock.advance(3_600_000);
    events.length = 0; // the watch has learnt of the traffic with the second canary
    await clock.advance(3_600_000);
    const canaries = (id: string): number => events.filter((event) => event.type === "tenant.canary" && event.tenant === id).length;
    expect(canaries("busy")).toBeGreaterThanOrEqual(10);
    expect(canaries("quiet")).toBeLessThanOrEqual(2);
    expect(stamps).toEqual(["used:busy"]); // a tenant under the platform's key has no canaries
    await clock.advance(6 * 3_600_000);
    await use();
    await clock.advance(60_000);
    expect(stamps).toEqual(["used:busy", "used:busy"]);
    end.abort();
    await clock.finish(watching);
  });

  test("keep to a budget over all tenants", async () => {
    const { tenants, onboard, clock, events } = vendor();
    for (let at = 0; at < 20; at++) await onboard(`t${at}`);
    const end = new AbortController();
    const watching = tenants.watchHealth({ signal: end.signal, perSecond: 2 });
    await clock.advance(5000);
    const sent = events.filter(({ type }) => type === "tenant.canary").length;
    expect(sent).toBeGreaterThanOrEqual(9);
    expect(sent).toBeLessThanOrEqual(11);
    end.abort();
    await clock.finish(watching);
  });
});

describe("restore", () => {
  test("is refused while the key refuses, and leaves the tenant as it is", async () => {
    const { tenants, onboard, service } = vendor();
    const name = await onboard("acme");
    service.setMode(name, "disabled");
    await tenants.revoke("acme");
    expect(await refusal(() => tenants.restore("acme"))).toMatchObject({ code: "key-disabled", whose: "tenant", tenant: "acme" });
    expect((await tenants.show("acme")).state).toBe("revoked");
    service.setMode(name, "healthy");
    expect((await tenants.restore("acme")).state).toBe("active");
    await (await tenants.keyring("acme")).encryptText("x");
  });
});

test("a tenant whose canary is gone is restored once a verification has kept another", async () => {
  const { tenants, onboard, store, service, another } = vendor();
  const name = await onboard("acme");
  await tenants.revoke("acme");
  service.setMode(name, "denied");
  let isLost = true;
  const get: typeof store.get = async (place, options) => (isLost && place.kind === "canary" ? undefined : await store.get(place, options));
  const restarted = another({ store: { ...store, get } });
  const error = await refusal(() => restarted.restore("acme"));
  expect(error).toMatchObject({ code: "invalid-argument", hint: expect.stringContaining("verify") });
  expect((await restarted.show("acme")).state).toBe("revoked");
  service.setMode(name, "healthy");
  isLost = false;
  await restarted.verify("acme");
  expect((await restarted.restore("acme")).state).toBe("active");
});

describe("the bound of a revocation", () => {
  const times = { cacheMs: 60_000, reuseMs: 300_000, attemptMs: 10_000 };

  test("is the lag of the slowest key service, what is kept, and one call", () => {
    expect(revocationBoundOf([{ kind: "aws-kms" }], times)).toEqual({ revocationBoundMs: 315_000, serviceLagMs: 5000, ...times });
    expect(revocationBoundOf([{ kind: "aws-kms" }, { kind: "azure-key-vault" }], times).serviceLagMs).toBe(60_000);
    expect(revocationBoundOf([{ kind: "unheard-of" }], times).serviceLagMs).toBe(600_000);
    expect(revocationBoundOf([], times).revocationBoundMs).toBe(310_000);
  });

  test("has a usual lag within the longest for each service", () => {
    for (const { usualMs, longestMs, lever } of Object.values(SERVICE_LAGS)) {
      expect(usualMs).toBeLessThanOrEqual(longestMs);
      expect(lever).not.toBe("");
    }
  });

  test("follows the policy of the tenant", async () => {
    const { tenants, onboard } = vendor({ reuse: { maxAgeMs: 20_000 } });
    await onboard("acme");
    await tenants.setPolicy("acme", { cacheMaxAgeMs: 30_000 });
    expect(await tenants.healthOf("acme")).toMatchObject({
      cacheMs: 30_000,
      reuseMs: 20_000,
      attemptMs: 10_000,
      revocationBoundMs: 640_000,
    });
  });
});

describe("the report", () => {
  test("has state, since when, epoch, generation and the keys in use, without what they are called", async () => {
    const { tenants, onboard, clock, service } = vendor();
    const name = await onboard("acme");
    const began = clock.unixMs() - 600_000;
    expect(await tenants.healthOf("acme")).toMatchObject({
      tenant: "acme",
      state: "active",
      sinceMs: began,
      epoch: 1,
      generation: 1,
      keys: [{ number: 1, kind: "fake", role: "wrap", verifiedAtMs: began, notAfterMs: null, expiry: "unknown" }],
    });
    service.addKey("vaults/acme/keys/second");
    await tenants.stage("acme", { kind: "fake", key: "vaults/acme/keys/second" });
    await tenants.verify("acme");
    await clock.finish(tenants.move("acme"));
    const moved = await tenants.healthOf("acme");
    expect(moved).toMatchObject({ state: "active", sinceMs: began, generation: 3 });
    expect(moved.keys.map(({ number, role }) => `${number} ${role}`)).toEqual(["1 unwrap", "2 wrap"]);
    await tenants.suspend("acme");
    expect(await tenants.healthOf("acme")).toMatchObject({ state: "suspended", sinceMs: clock.unixMs() });
    await tenants.offboard("acme");
    await tenants.shred("acme");
    await tenants.invite("acme");
    const again = await tenants.healthOf("acme");
    expect(again).toMatchObject({ state: "invited", epoch: 2, keys: [] });
    expect(JSON.stringify([moved, again])).not.toContain(name);
  });

  test.each<readonly [FakeKeyMode, { readonly state: string; readonly outcome: string; readonly whose: string }]>([
    ["denied", { state: "revoked", outcome: "access-denied", whose: "tenant" }],
    ["disabled", { state: "revoked", outcome: "key-disabled", whose: "tenant" }],
    ["deleted", { state: "revoked", outcome: "key-not-found", whose: "tenant" }],
    ["unreachable", { state: "degraded", outcome: "unavailable", whose: "service" }],
  ])("says how a key that is %s has ended, and whose that is", async (mode, expected) => {
    const { tenants, onboard, service, clock } = vendor();
    const name = await onboard("acme");
    const keyring = await tenants.keyring("acme");
    expect(await tenants.healthOf("acme")).toMatchObject({ outcome: undefined, whose: undefined, refusals: 0, failures: 0, codes: {} });
    service.setMode(name, mode);
    for (let turn = 0; turn < 3; turn++) await refusalCode(() => keyring.encryptText("x"));
    await clock.advance(0);
    const report = await tenants.healthOf("acme");
    expect(report).toMatchObject(expected);
    expect(expected.whose === "tenant" ? report.refusals : report.failures).toBeGreaterThanOrEqual(2);
    service.setMode(name, "healthy");
    if (expected.state === "revoked") await tenants.restore("acme");
    else await clock.finish((await tenants.keyring("acme")).encryptText("x"));
    await clock.advance(0);
    expect(await tenants.healthOf("acme")).toMatchObject({ state: "active", outcome: "ok", whose: undefined, refusals: 0, failures: 0 });
  });

  test("names the vendor where it has stopped the tenant, and the tenant where its key is awaited", async () => {
    const { tenants, onboard } = vendor();
    await tenants.invite("new");
    expect((await tenants.healthOf("new")).whose).toBe("tenant");
    await onboard("acme");
    await tenants.revoke("acme");
    expect(await tenants.healthOf("acme")).toMatchObject({ whose: "tenant", outcome: undefined });
    for (const stop of ["suspend", "offboard", "shred"] as const) {
      await tenants[stop]("acme");
      expect((await tenants.healthOf("acme")).whose).toBe("vendor");
    }
  });

  test("has the median and the slowest of the last calls, and counts failures by code", async () => {
    const { tenants, onboard, service, clock } = vendor({ resilience: { retry: false, breaker: { failures: 100 } } });
    const name = await onboard("acme");
    const keyring = await tenants.keyring("acme");
    expect(await tenants.healthOf("acme")).toMatchObject({ p50Ms: undefined, p99Ms: undefined });
    for (let turn = 0; turn < 5; turn++) await keyring.encryptText("x");
    service.setMode(name, "slow");
    await clock.finish(keyring.encryptText("x"));
    expect(await tenants.healthOf("acme")).toMatchObject({ p50Ms: 0, p99Ms: 800, codes: {} });
    for (const [mode, times] of [
      ["throttled", 2],
      ["unreachable", 1],
    ] as const) {
      service.setMode(name, mode);
      for (let turn = 0; turn < times; turn++) await refusalCode(() => clock.finish(keyring.encryptText("x")));
    }
    expect((await tenants.healthOf("acme")).codes).toEqual({ "rate-limited": 2, unavailable: 1 });
    service.setMode(name, "healthy");
    for (let turn = 0; turn < 64; turn++) await keyring.encryptText("x");
    expect(await tenants.healthOf("acme")).toMatchObject({ p99Ms: 0 }); // the slow call is not among the last 64
  });

  test.each<readonly [string, Partial<TenantsOptions>, (bench: Vendor) => Promise<unknown>]>([
    ["the cache", {}, async ({ tenants }) => await opened(await tenants.keyring("acme"))],
    ["a reused key", { reuse: { maxAgeMs: 200_000 } }, async ({ tenants }) => await (await tenants.keyring("acme")).encryptText("x")],
    ["data keys", {}, async ({ tenants }) => await (await tenants.dataKeys("acme")).field({ table: "users", column: "email" })],
  ])("has the age of the oldest data key of %s, and none once it is wiped", async (_what, options, use) => {
    const bench = vendor(options);
    const { tenants, clock } = bench;
    for (const id of ["acme", "other"]) await bench.onboard(id);
    const ageMs = async (id = "acme"): Promise<number | undefined> => (await tenants.healthOf(id)).oldestDataKeyMs;
    expect(await ageMs()).toBe(undefined);
    await use(bench);
    expect(await ageMs()).toBe(0);
    await clock.advance(20_000);
    await use(bench);
    expect(await ageMs()).toBe(20_000);
    expect(await ageMs("other")).toBe(undefined);
    const { cacheMs, reuseMs } = await tenants.healthOf("acme");
    for (let turn = 0; turn < 60; turn++) {
      await clock.advance(10_000);
      expect((await ageMs()) ?? 0).toBeLessThanOrEqual(Math.max(cacheMs, reuseMs)); // as the bound of a revocation promises
    }
    await use(bench);
    await tenants.suspend("acme");
    expect(await ageMs()).toBe(undefined);
  });

  test("counts the data keys that a keyring of before a move still keeps", async () => {
    const { tenants, onboard, clock, service } = vendor();
    await onboard("acme");
    const before = await tenants.keyring("acme");
    await opened(before);
    service.addKey("vaults/acme/keys/second");
    await tenants.stage("acme", { kind: "fake", key: "vaults/acme/keys/second" });
    await tenants.verify("acme");
    await tenants.move("acme", { wait: false });
    expect((await tenants.healthOf("acme")).oldestDataKeyMs).toBeUndefined(); // the change of keys wiped it
    await opened(before);
    await clock.advance(1000);
    expect((await tenants.healthOf("acme")).oldestDataKeyMs).toBe(1000);
  });
});

/** Leaves a data key in the cache. */
async function opened(keyring: Keyring): Promise<void> {
  await keyring.decryptText(await keyring.encryptText("x"));
}

describe("the audit queue", () => {
  test("tells a sink at once, in order, and waits for its promises for each tenant apart", async () => {
    const slow = deferred();
    const told: string[] = [];
    const queue = new AuditQueue((event) => {
      told.push(event.type);
      return event.type === "tenant.suspended" ? slow.promise : undefined;
    }, 2);
    const suspended: TenantAuditEvent = { ...CHANGE, type: "tenant.suspended" };
    queue.emit("a", suspended);
    queue.emit("a", EVENT);
    queue.emit("b", { ...CHANGE, type: "tenant.revoked" });
    expect(told).toEqual(["tenant.suspended", "tenant.revoked"]);
    slow.resolve();
    await new Promise((resolve) => setImmediate(resolve));
    expect(told).toEqual(["tenant.suspended", "tenant.revoked", "cache"]);
  });

  test("drops and counts beyond its bound, and never throws", async () => {
    const never = deferred();
    const queue = new AuditQueue(() => never.promise, 3);
    for (let at = 0; at < 10; at++) queue.emit("a", EVENT);
    queue.emit("b", EVENT);
    expect([queue.dropped("a"), queue.dropped("b"), queue.dropped()]).toEqual([6, 0, 6]);
    const failing = new AuditQueue(() => {
      throw new Error("the log is full");
    }, 1);
    failing.emit("a", EVENT);
    const rejecting = new AuditQueue(async () => await Promise.reject(new Error("the log is full")), 8);
    rejecting.emit("a", EVENT);
    rejecting.emit("a", EVENT);
    await new Promise((resolve) => setImmediate(resolve));
    expect(rejecting.dropped()).toBe(0);
  });

  test("waits for a promise of another realm, also one that rejects", async () => {
    const rejects: ((error: Error) => void)[] = [];
    const queue = new AuditQueue(() => runInNewContext("new Promise((_, reject) => rejects.push(reject))", { rejects }), 1);
    for (let at = 0; at < 3; at++) queue.emit("a", EVENT);
    expect(queue.dropped("a")).toBe(1);
    await new Promise((resolve) => setImmediate(resolve));
    for (const reject of rejects) reject(new Error("the log is full"));
    await new Promise((resolve) => setImmediate(resolve));
    expect(rejects.length).toBe(2);
  });

  test("a sink that hangs holds back no call", async () => {
    const { tenants, onboard } = vendor({ onEvent: () => deferred().promise, maxQueuedEvents: 2 });
    await onboard("acme");
    const keyring = await tenants.keyring("acme");
    for (let turn = 0; turn < 5; turn++) await keyring.decryptText(await keyring.encryptText("x"));
    expect(tenants.status.droppedEvents).toBeGreaterThan(0);
  });
});

const CHANGE = {
  tenant: "a",
  epoch: 1,
  generation: 1,
  revision: 2,
  atMs: 0,
  state: "suspended",
  before: "active",
  actor: "ops",
  reason: undefined,
  keys: [],
  labels: {},
  outcome: "ok",
} as const;
