import { describe, expect, test } from "vitest";
import { EnvelockError } from "../../src/core/base/errors.ts";
import { FakeKeyService } from "../../src/testing/tenants/index.ts";
import { fakeClock } from "../support/fake-clock.ts";
import { refusal, refusalCode } from "../support/refusal.ts";
import { type Vendor, vendor } from "./bench.ts";

const NAME = "vaults/acme/keys/saas";

async function staged(bench: Vendor, mode: Parameters<FakeKeyService["addKey"]>[1] = "healthy"): Promise<Vendor> {
  bench.service.addKey(NAME, mode);
  await bench.tenants.invite("acme");
  await bench.tenants.stage("acme", { kind: "fake", key: NAME });
  return bench;
}

describe("the onboarding check", () => {
  test("of a sound key finds nothing, in this order", async () => {
    const { tenants } = await staged(vendor());
    const { level, key, findings, record } = await tenants.verify("acme");
    expect({ level, key }).toEqual({ level: "ok", key: 1 });
    expect(findings.map(({ check }) => check)).toEqual(["description", "key", "key-expiry", "round-trip", "context", "latency", "quota"]);
    expect(record).toMatchObject({ state: "verifying", verification: { level: "ok", key: 1, generation: 0, failed: [] } });
  });

  test.each([
    ["denied", "failed", "round-trip", "tenant"],
    ["disabled", "failed", "round-trip", "tenant"],
    ["deleted", "failed", "round-trip", "tenant"],
    ["unreachable", "failed", "round-trip", "service"],
    ["throttled", "failed", "round-trip", "service"],
    ["context-ignored", "failed", "context", "tenant"],
    ["slow", "warning", "latency", "tenant"],
    ["expiring", "warning", "key-expiry", "tenant"],
  ] as const)("of a key that is %s says %s at %s, and whose it is", async (mode, level, check, whose) => {
    const { tenants, clock } = await staged(vendor(), mode);
    const result = await clock.finish(tenants.verify("acme"));
    expect(result.level).toBe(level);
    expect(result.findings.find((finding) => finding.check === check)).toMatchObject({ level, whose, hint: expect.any(String) });
    if (level === "failed") expect(await refusalCode(() => tenants.activate("acme"))).toBe("invalid-argument");
    else expect((await tenants.activate("acme")).state).toBe("active");
  });

  test("of a key that hangs ends within 15 s", async () => {
    const { tenants, clock } = await staged(vendor(), "hanging");
    const begunAt = clock.monotonicMs();
    const { findings } = await clock.finish(tenants.verify("acme"));
    expect(clock.monotonicMs() - begunAt).toBe(15_000);
    expect(findings).toMatchObject([{ check: "time", level: "failed", whose: "service" }]);
  });

  test.each([
    ["refuses", "access-denied", 0],
    ["hangs", "timeout", 15_000],
  ] as const)("of a key that %s once the canary is wrapped is a finding too, within 15 s", async (how, code, tookMs) => {
    const clock = fakeClock();
    const service = new FakeKeyService({ clock });
    let wraps = 0;
    const open: typeof service.opener.open = (key, identity) => {
      const inner = service.opener.open(key, identity);
      const wrap: typeof inner.wrap = async (dek, options) => {
        if (++wraps < 2) return await inner.wrap(dek, options);
        if (how === "hangs") return await new Promise(() => undefined);
        throw new EnvelockError("access-denied", "no more");
      };
      return { ...inner, wrap };
    };
    const resilience = { retry: false } as const;
    const { tenants } = await staged({ ...vendor({ clock, open: { ...service.opener, open }, resilience }), service });
    const begunAt = clock.monotonicMs();
    const { level, findings, record } = await clock.finish(tenants.verify("acme"));
    expect(findings.at(-1)).toMatchObject({ check: "canary", level: "failed", detail: expect.stringContaining(code) });
    expect([level, record.verification?.failed]).toEqual(["failed", ["canary"]]);
    expect(clock.monotonicMs() - begunAt).toBeLessThanOrEqual(tookMs);
    expect(await refusalCode(() => tenants.activate("acme"))).toBe("invalid-argument");
  });

  test("is done once in ten seconds for a tenant, and makes no call in between", async () => {
    const { tenants, service, clock } = await staged(vendor());
    await tenants.verify("acme");
    const calls = service.calls();
    expect(await refusal(() => tenants.verify("acme"))).toMatchObject({ code: "rate-limited", retryAfterMs: 10_000, whose: "caller" });
    expect(service.calls()).toBe(calls);
    await clock.advance(10_000);
    await tenants.verify("acme");
  });

  test("is done once in ten seconds in all processes together", async () => {
    const { tenants, another, onboard, clock, service } = vendor();
    const name = await onboard("acme");
    await tenants.verify("acme");
    const calls = service.calls(name);
    await clock.advance(4000);
    expect(await refusal(() => another().verify("acme"))).toMatchObject({ code: "rate-limited", retryAfterMs: 6000, whose: "caller" });
    expect(service.calls(name)).toBe(calls);
    await clock.advance(6000);
    expect((await another().verify("acme")).level).toBe("ok");
  });

  test("counts for the key that it looked at, also if another is staged meanwhile", async () => {
    const { tenants, service, store, clock } = await staged(vendor());
    const slow = new Promise<void>((resolve) => setTimeout(resolve, 0));
    service.addKey("vaults/acme/keys/other");
    const verifying = tenants.verify("acme");
    await tenants.stage("acme", { kind: "fake", key: "vaults/acme/keys/other" });
    await clock.finish(slow);
    await clock.finish(verifying);
    expect((await tenants.show("acme")).staged?.verifiedAtMs).toBe(null);
    expect(await refusalCode(() => tenants.activate("acme"))).toBe("invalid-argument");
    expect((await store.get({ kind: "tenant", id: "acme" }))?.document).not.toContain('"verifiedAtMs":1');
  });

  test("persists level, failed checks and a canary, and nothing of the key", async () => {
    const { tenants, store } = await staged(vendor());
    await tenants.verify("acme");
    const canaries = await store.list({ kind: "canary", limit: 10 });
    expect(canaries.map(({ id }) => id)).toEqual(["1:acme"]);
    expect((await store.list({ kind: "tenant", limit: 10 })).length).toBe(1);
  });

  test("of a provider that throws an error of its own, or cannot be made, is a finding and no exception", async () => {
    const service = new FakeKeyService();
    for (const open of [
      () => {
        throw new Error("no client");
      },
      () => ({
        name: "fake",
        owns: () => true,
        wrap: async () => {
          throw new TypeError("oops");
        },
        unwrap: async () => new Uint8Array(32),
      }),
    ]) {
      const { tenants } = await staged(vendor({ open: { ...service.opener, open } }));
      const { level, findings } = await tenants.verify("acme");
      expect(level).toBe("failed");
      expect(JSON.stringify(findings)).not.toContain("oops");
    }
  });
});

describe("a description", () => {
  test.each([
    ["an unknown kind", { kind: "magic", key: NAME }, "invalid-argument"],
    ["the platform as a kind", { kind: "platform", key: "platform" }, "invalid-argument"],
    ["a name that the opener does not take", { kind: "fake", key: "https://evil.example/" }, "invalid-argument"],
    ["no name", { kind: "fake", key: "" }, "invalid-argument"],
    ["a secret", { kind: "fake", key: NAME, settings: { clientSecret: "x" } }, "invalid-argument"],
  ] as const)("with %s is refused before any call", async (_what, key, code) => {
    const { tenants, service, store } = vendor();
    service.addKey(NAME);
    await tenants.invite("acme");
    expect(await refusalCode(() => tenants.stage("acme", key))).toBe(code);
    expect(service.calls()).toBe(0);
    expect(await store.list({ kind: "claim", limit: 1 })).toEqual([]);
  });

  test("of a reserved key is refused when it is written, and again when it is used", async () => {
    const bench = vendor({ reserved: ({ kind, payer }) => kind === "fake" && payer === "vendor" });
    const { tenants, service } = bench;
    service.addKey("vaults/vendor/keys/platform");
    await tenants.invite("acme");
    expect(await refusal(() => tenants.stage("acme", { kind: "fake", key: "VAULTS/vendor/keys/platform" }))).toMatchObject({
      code: "access-denied",
      detail: "key-reserved",
      whose: "tenant",
      tenant: "acme",
    });
    await bench.onboard("early");
    const later = bench.another({ reserved: ({ payer }) => payer === "early" });
    expect(await refusal(() => later.keyring("early"))).toMatchObject({ detail: "key-reserved" });
    expect((await later.verify("early")).findings[0]).toMatchObject({ check: "description", level: "failed" });
  });

  test("of a key that two tenants share on purpose is taken, if both say so", async () => {
    const { tenants, service } = vendor();
    service.addKey("vaults/group/keys/shared");
    for (const id of ["a", "b", "c"]) await tenants.invite(id);
    const key = { kind: "fake", key: "vaults/group/keys/shared" };
    await tenants.stage("a", { ...key, shareable: true });
    await tenants.stage("b", { ...key, shareable: true });
    expect(await refusal(() => tenants.stage("c", key))).toMatchObject({ detail: "key-taken" });
  });

  test("of one key by many tenants at once is taken by one", async () => {
    const { tenants, service } = vendor();
    service.addKey(NAME);
    const ids = Array.from({ length: 12 }, (_, at) => `t${at}`);
    for (const id of ids) await tenants.invite(id);
    const ends = await Promise.allSettled(ids.map((id) => tenants.stage(id, { kind: "fake", key: NAME })));
    expect(ends.filter(({ status }) => status === "fulfilled").length).toBe(1);
  });

  test("with a label is told by the record, the report and events, and decides nothing", async () => {
    const { tenants, service, events } = vendor();
    service.addKey(NAME);
    await tenants.invite("acme");
    const label = "EU production – クラウド";
    expect((await tenants.stage("acme", { kind: "fake", key: NAME, label })).staged?.label).toBe(label);
    await tenants.verify("acme");
    const { keys } = await tenants.activate("acme");
    expect(keys).toMatchObject([{ number: 1, label }]);
    expect((await tenants.show("acme")).keys).toEqual(keys);
    expect((await tenants.healthOf("acme")).keys).toMatchObject([{ number: 1, label }]);
    for (const type of ["tenant.key-staged", "tenant.activated"] as const)
      expect(events.find((event) => event.type === type)).toMatchObject({ labels: { 1: label } });
    expect(await refusalCode(() => tenants.stage("acme", { kind: "fake", key: NAME, label: "another name" }))).toBe("invalid-argument"); // the key in use
    service.addKey("vaults/acme/keys/other");
    const { staged } = await tenants.stage("acme", { kind: "fake", key: "vaults/acme/keys/other" });
    expect(staged !== null && "label" in staged).toBe(false); // so that older releases read it
  });

  test.each([
    ["empty", ""],
    ["of two lines", "a\nb"],
    ["with an escape", "a\u001b[31m"],
    ["with a C1 control", "a\u0085b"],
    ["with a separator of lines", "a\u2028b"],
    ["that turns the direction of the text", "a\u202eb"],
    ["with NUL", "a\u0000"],
    ["with half a character", "\ud800"],
    ["of 101 bytes", `${"é".repeat(50)}x`],
    ["that is no text", JSON.parse("7")],
    ["that is null", JSON.parse("null")],
  ])("with a label %s is refused", async (_what, label) => {
    const { tenants, store } = vendor();
    await tenants.invite("acme");
    expect(await refusal(() => tenants.stage("acme", { kind: "fake", key: NAME, label }))).toMatchObject({
      code: "invalid-argument",
      message: expect.stringContaining("label"),
    });
    expect(await store.list({ kind: "claim", limit: 1 })).toEqual([]);
  });

  test("of a key is free again once its tenant has another or is gone", async () => {
    const { tenants, service } = vendor();
    service.addKey(NAME);
    for (const id of ["a", "b"]) await tenants.invite(id);
    await tenants.stage("a", { kind: "fake", key: NAME });
    expect(await refusalCode(() => tenants.stage("b", { kind: "fake", key: NAME }))).toBe("access-denied");
    await tenants.unstage("a");
    expect((await tenants.stage("b", { kind: "fake", key: NAME })).staged?.key).toBe(NAME);
    await tenants.offboard("b");
    await tenants.shred("b");
    expect((await tenants.stage("a", { kind: "fake", key: NAME })).staged?.key).toBe(NAME);
  });
});

test("the external id is the library's, 32 characters, and another in each epoch", async () => {
  const { tenants } = vendor();
  const first = (await tenants.invite("acme")).externalId;
  await tenants.offboard("acme");
  await tenants.shred("acme");
  const second = (await tenants.invite("acme")).externalId;
  for (const id of [first, second]) expect(id).toMatch(/^[\w-]{32}$/);
  expect(first).not.toBe(second);
});

test("an opener gets the tenant's own identity, and a change of it is refused while a key depends on it", async () => {
  const seen: unknown[] = [];
  const service = new FakeKeyService();
  const bench = vendor({
    open: {
      ...service.opener,
      open(key, identity) {
        seen.push(identity);
        return service.opener.open(key, identity);
      },
    },
  });
  service.addKey(NAME);
  const { externalId } = await bench.tenants.invite("acme", { identity: { directory: "d1" } });
  await bench.tenants.stage("acme", { kind: "fake", key: NAME }, { identity: { directory: "d2" } });
  await bench.tenants.verify("acme");
  await bench.tenants.activate("acme");
  await bench.tenants.keyring("acme");
  expect(seen.at(-1)).toEqual({ tenant: "acme", epoch: 1, externalId, settings: Object.assign(Object.create(null), { directory: "d2" }) });
  service.addKey("vaults/acme/keys/other");
  const other = { kind: "fake", key: "vaults/acme/keys/other" };
  expect(await refusalCode(() => bench.tenants.stage("acme", other, { identity: { directory: "d3" } }))).toBe("invalid-argument");
});

test("openers and options that are none are refused", async () => {
  const { store } = vendor();
  const service = new FakeKeyService();
  expect(await refusalCode(() => vendor({ open: [service.opener, service.opener] }))).toBe("invalid-argument");
  expect(await refusalCode(() => vendor({ open: { ...service.opener, kind: "platform" } }))).toBe("invalid-argument");
  expect(await refusalCode(() => vendor({ refreshMs: 10 }))).toBe("invalid-argument");
  expect(
    await refusalCode(() =>
      vendor({ platform: [], store })
        .tenants.invite("a")
        .then(() => vendor({ platform: [], store }).tenants.activate("a")),
    ),
  ).toBe("invalid-argument");
  expect(EnvelockError.is(await refusal(() => vendor().tenants.invite("a", JSON.parse('{"identiy":{}}'))))).toBe(true);
});
