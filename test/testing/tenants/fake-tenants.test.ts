import { describe, expect, test } from "vitest";
import type { TenantKeyRef } from "../../../src/core/contracts/tenant-keys.ts";
import { type FakeKeyMode, FakeKeyService, FakeTenants, type FakeTenantsOptions, TestClock } from "../../../src/testing/tenants/index.ts";
import { refusal, refusalCode } from "../../support/refusal.ts";
import { untyped } from "../../support/untyped.ts";

const ALL: Readonly<Record<string, FakeKeyMode | "platform">> = {
  healthy: "healthy",
  slow: "slow",
  throttled: "throttled",
  denied: "denied",
  disabled: "disabled",
  deleted: "deleted",
  unreachable: "unreachable",
  hanging: "hanging",
  ignoring: "context-ignored",
  expiring: "expiring",
  small: "platform",
};

test("every mode at once, each tenant with its own", async () => {
  await using fake = await FakeTenants.start({ tenants: ALL, settings: { resilience: { retry: false, attemptDeadlineMs: 2000 } } });
  const { clock } = fake;
  if (!(clock instanceof TestClock)) throw new Error("not the clock of the kit");
  const ends: Record<string, string> = {};
  for (const id of fake.ids) {
    const keyring = await fake.tenants.keyring(id);
    const work = keyring.encryptText("x").then(
      () => "ok",
      ({ code }: { code: string }) => code,
    );
    ends[id] = await clock.finish(work);
  }
  expect(ends).toEqual({
    healthy: "ok",
    slow: "ok",
    throttled: "rate-limited",
    denied: "access-denied",
    disabled: "key-disabled",
    deleted: "key-not-found",
    unreachable: "unavailable",
    hanging: "timeout",
    ignoring: "ok",
    expiring: "ok",
    small: "ok",
  });
});

describe("a revocation", () => {
  test.each(["denied", "disabled", "deleted"] as const)("closes one tenant within the bound in two processes: %s", async (mode) => {
    await using fake = await FakeTenants.start({
      tenants: { acme: "healthy", globex: "slow", old: "expiring", small: "platform", down: "unreachable" },
    });
    fake.anotherProcess();
    const { closedAfterMs, boundMs } = await fake.requireRevoked("acme", mode);
    expect(closedAfterMs).toBeLessThanOrEqual(boundMs);
    expect((await fake.tenants.show("acme")).state).toBe("revoked");
    expect((await fake.tenants.show("globex")).state).toBe("active");
  });

  test("is seen not to close where caches live for longer than they say", async () => {
    await using fake = await FakeTenants.start({ tenants: { acme: "healthy", globex: "healthy" } });
    const { healthOf } = fake.tenants;
    // a vendor that reports a bound of a tenth of what it is
    fake.tenants.healthOf = async (...args) => {
      const health = await healthOf.apply(fake.tenants, args);
      return { ...health, revocationBoundMs: health.serviceLagMs + 10 };
    };
    expect(await refusal(() => fake.requireRevoked("acme"))).toMatchObject({
      code: "provider-failure",
      message: expect.stringContaining("beyond the bound"),
    });
  });

  test("is seen to touch a neighbour that shares the key", async () => {
    const service = new FakeKeyService();
    // an opener that gives every tenant the key of the first
    const opener = {
      ...service.opener,
      open: ({ key: _, ...ref }: TenantKeyRef, identity: Parameters<typeof service.opener.open>[1]) =>
        service.opener.open({ ...ref, key: "vaults/acme/keys/saas" }, identity),
    };
    const clock = new TestClock();
    const host = { ...hostOf(service), opener };
    await using fake = await FakeTenants.start({ tenants: { acme: "healthy", globex: "healthy" }, host, clock });
    expect(await refusal(() => fake.requireRevoked("acme"))).toMatchObject({
      code: "provider-failure",
      message: expect.stringContaining("globex lost nothing"),
    });
  });

  test("comes at its time", async () => {
    await using fake = await FakeTenants.start({ tenants: { acme: "healthy" } });
    const { clock } = fake;
    if (!(clock instanceof TestClock)) throw new Error("not the clock of the kit");
    fake.revokeAt("acme", clock.unixMs() + 60_000, "disabled");
    const write = async (): Promise<unknown> => await (await fake.tenants.keyring("acme")).encryptText("x");
    await clock.advance(59_999);
    await write();
    await clock.advance(1);
    expect(await refusalCode(write)).toBe("key-disabled");
  });
});

test("a tenant that the test onboards by itself", async () => {
  await using fake = await FakeTenants.start({ tenants: { acme: "healthy" } });
  const { tenants } = fake;
  const key = await fake.describeKey("New Tenant".replace(" ", "-"));
  await tenants.invite("New-Tenant");
  await tenants.stage("New-Tenant", key);
  fake.setMode("New-Tenant", "context-ignored");
  const { level, findings } = await tenants.verify("New-Tenant");
  expect(level).toBe("failed");
  expect(findings.find(({ check }) => check === "context")).toMatchObject({ level: "failed", whose: "tenant" });
  expect(fake.callsOf("New-Tenant")).toBeGreaterThan(0);
});

test.each([
  ["an unknown option", { tenant: {} }, "FakeTenants.start has no option `tenant`", "did you mean `tenants`?"],
  ["no tenants", { tenants: undefined }, "tenants must be an object", expect.anything()],
  ["an unknown mode", { tenants: { acme: "helthy" } }, 'a key cannot be made "helthy" here', "did you mean `healthy`?"],
  ["a host that is none", { tenants: {}, host: {} }, "host must be a TenantKeyHost", undefined],
  ["a setting that Tenants does not know", { tenants: {}, settings: { refresh: 1 } }, "Tenants has no option `refresh`", expect.anything()],
] as const)("%s is refused", async (_what, options, message, hint) => {
  const error = await refusal(() => FakeTenants.start(untyped<FakeTenantsOptions>(options)));
  expect(error).toMatchObject({ code: "invalid-argument", message: expect.stringContaining(message) });
  if (hint !== undefined) expect(error.hint).toEqual(hint);
});

test("what a test asks of a tenant is checked", async () => {
  await using fake = await FakeTenants.start({ tenants: { acme: "healthy", small: "platform" } });
  for (const [call, message] of [
    [() => fake.setMode("small", "denied"), "no key of its own"],
    [() => fake.setMode("nobody", "denied"), "no key nobody"],
    [() => fake.setMode("acme", untyped("dennied")), 'cannot be made "dennied"'],
    [() => fake.revokeAt("nobody", 0), "no key nobody"],
    [() => fake.revokeAt("acme", Number.NaN), "atMs is NaN"],
    [() => fake.revokeAt("acme", 0, untyped("gone")), 'cannot be made "gone"'],
    [() => fake.callsOf("nobody"), "no key nobody"],
  ] as const)
    expect(await refusal(call)).toMatchObject({ code: "invalid-argument", message: expect.stringContaining(message) });
});

describe("FakeKeyService", () => {
  test("checks its arguments", async () => {
    const service = new FakeKeyService();
    service.addKey("vaults/acme/keys/saas");
    for (const [call, message] of [
      [() => new FakeKeyService(untyped({ slow: 1 })), "no option `slow`"],
      [() => new FakeKeyService({ slowMs: -1 }), "slowMs is -1"],
      [() => new FakeKeyService({ clock: untyped({}) }), "clock must be a Clock"],
      [() => service.addKey("Vaults/Acme"), "the name of a fake key"],
      [() => service.addKey(untyped(5)), "the name of a fake key"],
      [() => service.addKey("vaults/b/keys/saas", untyped("gone")), 'cannot be made "gone"'],
      [() => service.setMode("vaults/acme/keys/saas", untyped(undefined)), 'cannot be made "undefined"'],
      [() => service.revokeAfter("vaults/acme/keys/saas", -1), "afterMs is -1"],
      [() => service.revokeAfter("vaults/acme/keys/saas", 1, untyped("no")), 'cannot be made "no"'],
      [() => service.revokeAt("vaults/acme/keys/saas", untyped("soon")), "atMs is soon"],
      [() => service.calls("vaults/b/keys/saas"), "no key vaults/b/keys/saas"],
    ] as const)
      expect(await refusal(call)).toMatchObject({ code: "invalid-argument", message: expect.stringContaining(message) });
    expect(() => service.calls("vaults/b/keys/saas")).toThrow(); // a mode that was refused added nothing
  });

  test("names the keys of two tenants apart, whatever their ids", () => {
    const service = new FakeKeyService();
    const ids = ["acme", "ACME", "hex--41434d45", "a.b", "a-b", "a/b", "ä"];
    const names = ids.map((id) => service.describeKey(id).key.key);
    expect(new Set(names).size).toBe(ids.length);
    for (const [at, id] of ids.entries()) {
      expect(service.describeKey(id).key.key).toBe(names[at]);
      expect(service.callsOf(id)).toBe(0);
    }
  });
});

describe("TestClock", () => {
  test("runs timers in their order and gives what follows its turn", async () => {
    const clock = new TestClock();
    const told: string[] = [];
    clock.after(20, () => told.push(`b at ${clock.monotonicMs()}`), "idle");
    clock.after(10, () => void digest().then(() => told.push(`a at ${clock.monotonicMs()}`)), "idle");
    const cancel = clock.after(15, () => told.push("never"), "awaited");
    cancel();
    const begun = clock.unixMs();
    await clock.advance(30);
    expect(told).toEqual(["a at 10", "b at 20"]);
    expect([clock.monotonicMs(), clock.unixMs() - begun, clock.random()]).toEqual([30, 30, 0.5]);
    for (const ms of [-1, Number.NaN, untyped<number>("1")]) expect(await refusalCode(() => clock.advance(ms))).toBe("invalid-argument");
  });
});

async function digest(): Promise<unknown> {
  return await crypto.subtle.digest("SHA-256", new Uint8Array(8));
}

function hostOf(service: FakeKeyService): NonNullable<FakeTenantsOptions["host"]> {
  return {
    opener: service.opener,
    modes: service.modes,
    describeKey: (tenant) => service.describeKey(tenant),
    setMode: (tenant, mode) => service.setMode(tenant, mode),
    callsOf: (tenant) => service.callsOf(tenant),
  };
}
