import { describe, expect, test } from "vitest";
import { AuditQueue } from "../../src/tenants/audit/audit-queue.ts";
import type { TenantAuditEvent } from "../../src/tenants/audit/events.ts";
import { revocationBoundOf, SERVICE_LAGS } from "../../src/tenants/health/revocation-bound.ts";
import { deferred } from "../support/deferred.ts";
import { refusal, refusalCode } from "../support/refusal.ts";
import { vendor } from "./bench.ts";

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
  outcome: "ok",
} as const;
