import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { EnvelockError } from "../../src/core/base/errors.ts";
import type { TenantStore } from "../../src/core/contracts/tenant-store.ts";
import { memoryStore } from "../../src/fields/stores/memory.ts";
import { SERVICE_LAGS } from "../../src/tenants/health/revocation-bound.ts";
import type { Tenants } from "../../src/tenants/tenants.ts";
import { FakeKeyService } from "../../src/testing/tenants/index.ts";
import { refusal, refusalCode } from "../support/refusal.ts";
import { type Vendor, vendor } from "./bench.ts";

// What happened to others with keys of tenants. Each incident is a test.

test("C2 a process-wide age: two tenants in one cache each have their own bound", async () => {
  const { tenants, onboard, service, clock } = vendor();
  const names = { none: await onboard("none"), long: await onboard("long") };
  await tenants.setPolicy("none", { cacheMaxAgeMs: 0 });
  await tenants.setPolicy("long", { cacheMaxAgeMs: 1_800_000 });
  for (const [id, ms, hits] of [
    ["none", 0, false],
    ["long", 1_799_000, true],
    ["long", 2000, false],
  ] as const) {
    const keyring = await tenants.keyring(id);
    const envelope = envelopes.get(id) ?? (await keyring.encrypt(new Uint8Array([1])));
    if (!envelopes.has(id)) await keyring.decrypt(envelope);
    envelopes.set(id, envelope);
    await clock.advance(ms);
    const calls = service.calls(names[id]);
    await keyring.decrypt(envelope);
    expect(service.calls(names[id]) - calls).toBe(hits ? 0 : 1);
  }
});
const envelopes = new Map<string, Uint8Array>();

describe("C3 search still served after the right was taken", () => {
  test.each([
    "denied",
    "disabled",
    "deleted",
  ] as const)("a key that is %s closes under traffic within the bound, and for good", async (mode) => {
    const bench = vendor();
    const { tenants, service, clock } = bench;
    const name = await bench.onboard("acme");
    await bench.onboard("other");
    const { revocationBoundMs, serviceLagMs } = await tenants.healthOf("acme");
    const [own, other] = [await underTraffic(bench, "acme"), await underTraffic(bench, "other")];
    service.setMode(name, mode); // as soon as the service itself heeds it
    const begunAt = clock.monotonicMs();
    while (await own.isOpen()) {
      expect(clock.monotonicMs() - begunAt).toBeLessThanOrEqual(revocationBoundMs - serviceLagMs);
      expect(await other.isOpen()).toBe(true);
      await clock.advance(10_000);
    }
    for (let turn = 0; turn < 10; turn++) {
      await clock.advance(10_000);
      expect([await own.isOpen(), await other.isOpen()]).toEqual([false, true]);
    }
    expect(await refusalCode(() => own.write())).toBe("access-denied");
    expect((await tenants.show("acme")).state).toBe("revoked");
    expect((await tenants.show("other")).state).toBe("active");
  });

  test.each([
    ["by default", null],
    ["with a short age", 10_000],
  ] as const)("a cipher in use, which asks for nothing, closes within the bound too, %s", async (_when, cacheMaxAgeMs) => {
    const { tenants, onboard, service, clock } = vendor();
    const name = await onboard("acme");
    await tenants.setPolicy("acme", { cacheMaxAgeMs });
    const cipher = await (await tenants.dataKeys("acme")).field({ table: "users", column: "email", blindIndex: {} });
    const token = cipher.encrypt("a@b.example");
    const { revocationBoundMs, serviceLagMs } = await tenants.healthOf("acme");
    service.setMode(name, "disabled");
    const begunAt = clock.monotonicMs();
    const isOpen = (): boolean => {
      try {
        return cipher.decrypt(token) === "a@b.example" && cipher.blindIndex("a@b.example").length > 0;
      } catch {
        return false;
      }
    };
    while (isOpen()) {
      await clock.advance(500);
      expect(clock.monotonicMs() - begunAt).toBeLessThanOrEqual(revocationBoundMs - serviceLagMs);
    }
    for (let turn = 0; turn < 20; turn++) {
      await clock.advance(5000);
      expect(isOpen()).toBe(false);
    }
  });

  test("the first refusal wipes what is in memory, also what other versions of the key had opened", async () => {
    const { tenants, onboard, service } = vendor();
    const name = await onboard("acme");
    const keyring = await tenants.keyring("acme");
    const envelope = await keyring.encryptText("x");
    await keyring.decryptText(envelope);
    service.addKey(name); // a new version
    service.setMode(name, "denied");
    expect(await refusalCode(() => keyring.encryptText("y"))).toBe("access-denied");
    expect(await refusalCode(() => keyring.decryptText(envelope))).toBe("access-denied");
  });

  test("what wipes one tenant's data keys wipes nothing of another's: a refusal, a suspension, a change of keys, an eviction", async () => {
    const bench = vendor();
    const { service, clock } = bench;
    const name = await bench.onboard("acme");
    const other = await bench.onboard("other");
    await bench.onboard("third");
    const tenants = bench.another({ maxResident: 2 });
    const keyring = await tenants.keyring("other");
    const envelope = await keyring.encryptText("x");
    await keyring.decryptText(envelope);
    const calls = service.calls(other);
    const reads = async (): Promise<void> => {
      expect(await (await tenants.keyring("other")).decryptText(envelope)).toBe("x");
      expect(service.calls(other)).toBe(calls);
    };
    service.setMode(name, "denied");
    const refused = await tenants.keyring("acme");
    for (let turn = 0; turn < 2; turn++) expect(await refusalCode(() => refused.encryptText("y"))).toBe("access-denied");
    await clock.advance(0);
    await reads();
    service.setMode(name, "healthy");
    await bench.tenants.restore("acme");
    await reads();
    await tenants.keyring("acme");
    await tenants.suspend("acme");
    await reads();
    await tenants.restore("acme");
    const evicted = await tenants.keyring("acme");
    await clock.advance(20_000);
    await reads();
    await tenants.keyring("third");
    expect(await refusalCode(() => evicted.encryptText("y"))).toBe("closed");
    await reads();
  });

  test("an outage closes nothing that is in memory, and degrades the tenant until the service is back", async () => {
    const { tenants, onboard, service, clock } = vendor();
    const name = await onboard("acme");
    const keyring = await tenants.keyring("acme");
    const cached = await keyring.encryptText("x");
    await keyring.decryptText(cached);
    service.setMode(name, "unreachable");
    for (let turn = 0; turn < 3; turn++) expect(await refusalCode(() => keyring.encryptText("y"))).toBe("unavailable");
    expect(await keyring.decryptText(cached)).toBe("x");
    await clock.advance(0);
    expect((await tenants.show("acme")).state).toBe("degraded");
    expect((await tenants.healthOf("acme")).whose).toBe("service");
    service.setMode(name, "healthy");
    await keyring.encryptText("y");
    await clock.advance(0);
    expect((await tenants.show("acme")).state).toBe("active");
  });

  test("throttling is no refusal", async () => {
    const { tenants, onboard, service, clock } = vendor();
    service.setMode(await onboard("acme"), "throttled");
    const keyring = await tenants.keyring("acme");
    for (let turn = 0; turn < 9; turn++)
      expect(await clock.finish(refusal(() => keyring.encryptText("y")))).toMatchObject({
        code: "rate-limited",
        whose: "tenant",
        tenant: "acme",
      });
    await clock.advance(0);
    expect((await tenants.show("acme")).state).toBe("active");
  });

  test("one refusal of a grant that may still spread wipes, and revokes nothing", async () => {
    const { tenants, service, clock } = vendor();
    service.addKey("vaults/acme/keys/saas");
    await tenants.invite("acme");
    await tenants.stage("acme", { kind: "fake", key: "vaults/acme/keys/saas" });
    await tenants.verify("acme");
    await tenants.activate("acme");
    const keyring = await tenants.keyring("acme");
    service.setMode("vaults/acme/keys/saas", "denied");
    for (let turn = 0; turn < 5; turn++) expect(await refusalCode(() => keyring.encryptText("y"))).toBe("access-denied");
    await clock.advance(0);
    expect((await tenants.show("acme")).state).toBe("active");
  });
});

test("C4 a tenant that stays unlocked until a restart: it is let go when idle, and on demand", async () => {
  const { another, onboard, clock } = vendor();
  for (const id of ["acme", "busy"]) await onboard(id);
  const tenants = another({ maxResident: 1 });
  const idle = await tenants.keyring("acme");
  await clock.advance(20_000);
  await tenants.keyring("busy");
  expect(await refusalCode(() => idle.encryptText("x"))).toBe("closed");
  const keyring = await tenants.keyring("busy");
  await tenants.suspend("busy");
  expect(await refusalCode(() => keyring.encryptText("x"))).toBe("access-denied");
});

test("C5 the age of a data key runs from its unwrap, not from its last use", async () => {
  const { tenants, onboard, service, clock } = vendor();
  const name = await onboard("acme");
  const keyring = await tenants.keyring("acme");
  const envelope = await keyring.encryptText("x");
  await keyring.decryptText(envelope);
  const calls = service.calls(name);
  for (let turn = 0; turn < 29; turn++) {
    await clock.advance(10_000);
    await keyring.decryptText(envelope);
  }
  expect(service.calls(name)).toBe(calls);
  await clock.advance(10_000);
  await keyring.decryptText(envelope);
  expect(service.calls(name)).toBe(calls + 1);
});

test("C6 offboarding destroys only the key that the vendor created, and no data key of another tenant", async () => {
  const { tenants, service, onboard, dataKeyStore } = vendor();
  const theirs = await onboard("theirs");
  service.addKey("vaults/vendor/keys/for-ours");
  await tenants.invite("ours");
  await tenants.stage("ours", { kind: "fake", key: "vaults/vendor/keys/for-ours", createdByUs: true });
  await tenants.verify("ours");
  await tenants.activate("ours");
  const kept = await onboard("kept");
  const tokens = new Map<string, string>();
  for (const id of ["theirs", "ours", "kept"]) {
    const dataKeys = await tenants.dataKeys(id);
    for (const scope of [{}, { project: "p" }]) {
      const field = await dataKeys.field({ table: "users", column: "email", scope, blindIndex: {} });
      tokens.set(id, field.encrypt("a@b.example"));
    }
  }
  expect(await refusalCode(() => tenants.shred("theirs"))).toBe("invalid-argument");
  for (const id of ["theirs", "ours"]) {
    await tenants.offboard(id);
    expect((await tenants.shred(id)).shredded).toBe(4);
    expect((await tenants.shred(id)).shredded).toBe(0);
  }
  expect([service.modeOf(theirs), service.modeOf("vaults/vendor/keys/for-ours"), service.modeOf(kept)]).toEqual([
    "healthy",
    "deleted",
    "healthy",
  ]);
  const live = (await dataKeyStore.scan({ limit: 100 })).filter(({ state }) => state !== "shredded");
  expect(live.length).toBe(4);
  const field = await (await tenants.dataKeys("kept")).field({ table: "users", column: "email", scope: { project: "p" } });
  expect(field.decrypt(tokens.get("kept") ?? "")).toBe("a@b.example");
});

test("C6 a key that another tenant shares, or has claimed since, is left in its service, and the report names it", async () => {
  const { tenants, service, store } = vendor();
  const created = { kind: "fake", key: "vaults/vendor/keys/for-ours", createdByUs: true };
  service.addKey(created.key);
  await tenants.invite("ours");
  expect(await refusal(() => tenants.stage("ours", { ...created, shareable: true }))).toMatchObject({
    code: "invalid-argument",
    hint: expect.stringContaining("destroyed"),
  });
  await tenants.stage("ours", created);
  await tenants.verify("ours");
  await tenants.activate("ours");
  await tenants.offboard("ours");
  await plant(store, "ours", '"shareable":false', '"shareable":true'); // as an older release wrote it
  expect(await tenants.shred("ours")).toMatchObject({ keysLeft: [1], record: { state: "shredded" } });
  expect(service.modeOf(created.key)).toBe("healthy");

  service.addKey("vaults/vendor/keys/second");
  await tenants.invite("late");
  await tenants.stage("late", { ...created, key: "vaults/vendor/keys/second" });
  await tenants.verify("late");
  await tenants.activate("late");
  await tenants.offboard("late");
  const claims = await store.list({ kind: "claim", limit: 10 });
  for (const row of claims.filter(({ document }) => document.includes('"late"'))) {
    const taken = { ...row, document: row.document.replace('"late"', '"other"'), revision: row.revision + 1 };
    await store.compareAndSwap(taken, row.revision);
  }
  expect(await tenants.shred("late")).toMatchObject({ keysLeft: [1], record: { state: "shredded" } });
  expect(service.modeOf("vaults/vendor/keys/second")).toBe("healthy");
});

test.each([
  ["C7 one tenant's key named in another's description", false],
  ["C8 the same after a cache hit", true],
])("%s: refused, and no key is called", async (_name, isCached) => {
  const { tenants, onboard, service, store } = vendor();
  const name = await onboard("a");
  await onboard("b");
  const keyring = await tenants.keyring("a");
  const envelope = await keyring.encryptText("x");
  if (isCached) await keyring.decryptText(envelope);
  const calls = service.calls();
  for (const key of [name, name.toUpperCase()])
    expect(await refusal(() => tenants.stage("b", { kind: "fake", key }))).toMatchObject({
      code: "access-denied",
      detail: "key-taken",
      whose: "tenant",
    });
  await plant(store, "b", "vaults/b/keys/saas", name); // past the library
  const other = await restarted(tenants, { store, service });
  expect(await refusal(() => other.keyring("b"))).toMatchObject({ code: "access-denied", detail: "key-taken" });
  expect((await other.verify("b")).findings[0]).toMatchObject({ check: "description", level: "failed", whose: "tenant" });
  expect(service.calls()).toBe(calls);
});

test("C9 disabled, denied and gone are told apart, each with its next step", async () => {
  const { tenants, onboard, service } = vendor();
  const seen: EnvelockError[] = [];
  for (const mode of ["disabled", "denied", "deleted"] as const) {
    const name = await onboard(mode);
    const keyring = await tenants.keyring(mode);
    service.setMode(name, mode);
    seen.push(await refusal(() => keyring.encryptText("x")));
  }
  expect(seen.map(({ code }) => code)).toEqual(["key-disabled", "access-denied", "key-not-found"]);
  expect(new Set(seen.map(({ hint }) => hint)).size).toBe(3);
  expect(seen.map(({ whose, tenant }) => `${whose} ${tenant}`)).toEqual(["tenant disabled", "tenant denied", "tenant deleted"]);
});

test("C10 the fastest lever of each service is named: at Google the IAM binding, not the version", () => {
  expect(SERVICE_LAGS["gcp-kms"]?.lever).toContain("remove the IAM binding");
  const page = readFileSync(join(import.meta.dirname, "../../docs/tenants.md"), "utf8");
  for (const { lever } of Object.values(SERVICE_LAGS)) expect(page).toContain(lever);
});

test("C11 what the key service's doctor warns of comes through, and does not stop the tenant", async () => {
  const service = new FakeKeyService();
  const check = { check: "policy", status: "warning", message: "the key policy names no administrator", advice: "Name one." } as const;
  const { tenants } = vendor({ open: { ...service.opener, diagnose: async () => [check] } });
  service.addKey("vaults/acme/keys/saas");
  await tenants.invite("acme");
  await tenants.stage("acme", { kind: "fake", key: "vaults/acme/keys/saas" });
  const { level, findings } = await tenants.verify("acme");
  expect(level).toBe("warning");
  expect(findings).toContainEqual({ check: "policy", level: "warning", whose: "tenant", detail: check.message, hint: "Name one." });
  expect((await tenants.activate("acme")).state).toBe("active");
});

test("C12 a key behind a firewall is found at the onboarding, with the addresses that the vendor calls from", async () => {
  const { tenants, service } = vendor({ addresses: ["192.0.2.7"] });
  service.addKey("vaults/acme/keys/saas", "unreachable");
  await tenants.invite("acme");
  await tenants.stage("acme", { kind: "fake", key: "vaults/acme/keys/saas" });
  const { level, findings, record } = await tenants.verify("acme");
  expect(level).toBe("failed");
  expect(findings.find(({ check }) => check === "round-trip")?.hint).toContain("192.0.2.7");
  expect(record.verification).toMatchObject({ level: "failed", failed: ["key", "round-trip"] });
  expect(await refusalCode(() => tenants.activate("acme"))).toBe("invalid-argument");
});

test("C14 a version that is disabled is noticed without traffic", async () => {
  const { tenants, onboard, service, clock } = vendor();
  const name = await onboard("acme");
  const end = new AbortController();
  const watching = tenants.watchHealth({ signal: end.signal });
  await clock.advance(60_000);
  const calls = service.calls(name);
  await clock.advance(7_200_000);
  expect(service.calls(name)).toBeGreaterThan(calls);
  service.setMode(name, "disabled");
  await clock.advance(5 * 3_600_000);
  expect((await tenants.show("acme")).state).toBe("revoked");
  end.abort();
  await clock.finish(watching);
});

test("C15 what cannot be read is listed, never dropped", async () => {
  const { tenants, onboard, store } = vendor();
  await onboard("acme");
  await plant(store, "acme", '"state":"active"', '"state":"lost"');
  const listed: string[] = [];
  for await (const record of tenants.list()) listed.push("error" in record ? record.error.code : record.state);
  expect(listed).toEqual(["provider-failure"]);
});

test("C17 granting again is not enough where the refusal disabled the version: the hint says so", async () => {
  const { tenants, service } = vendor();
  service.addKey("vaults/acme/keys/saas", "disabled");
  await tenants.invite("acme");
  await tenants.stage("acme", { kind: "fake", key: "vaults/acme/keys/saas" });
  const { findings } = await tenants.verify("acme");
  expect(findings.find(({ check }) => check === "round-trip")?.hint).toMatch(/[Ee]nable/);
});

interface Traffic {
  /** Whether the tenant's data can be read now: from memory, and in the key table. */
  isOpen(): Promise<boolean>;
  write(): Promise<unknown>;
}

async function underTraffic({ tenants }: Vendor, id: string): Promise<Traffic> {
  const envelope = await (await tenants.keyring(id)).encryptText("x");
  return {
    async isOpen() {
      try {
        return (await (await tenants.keyring(id)).decryptText(envelope)) === "x";
      } catch {
        return false;
      }
    },
    write: async () => await (await tenants.keyring(id)).encryptText("y"),
  };
}

/** Changes the document of a tenant past the library. */
async function plant(store: TenantStore, id: string, from: string, to: string): Promise<void> {
  const row = await store.get({ kind: "tenant", id });
  if (row === undefined) throw new Error("no such tenant");
  const document = row.document.replace(from, to);
  await store.compareAndSwap({ ...row, document, revision: row.revision + 1 }, row.revision);
}

async function restarted(
  old: Tenants,
  { store, service }: { readonly store: TenantStore; readonly service: FakeKeyService },
): Promise<Tenants> {
  await old.close();
  return vendor({ store, open: service.opener, dataKeyStore: memoryStore() }).tenants;
}

describe("C1 a rewrap at full speed and a hot tenant on one path", () => {
  test("a move of one tenant takes a fifth of the places at most, and requests of others wait for none of them", async () => {
    const bench = vendor({ limits: { total: 10 } });
    const { tenants, service, clock } = bench;
    const [a, b] = [await bench.onboard("a"), await bench.onboard("b")];
    const dataKeys = await tenants.dataKeys("a");
    for (let at = 0; at < 40; at++) await dataKeys.field({ table: "t", column: "c", scope: { at: `${at}` } });
    const alone = await latencyOf(bench, "b", b);
    service.addKey("vaults/a/keys/second");
    await tenants.stage("a", { kind: "fake", key: "vaults/a/keys/second" });
    await clock.advance(10_000);
    await tenants.verify("a");
    const { waitMs } = await tenants.move("a", { wait: false });
    await clock.advance(waitMs);
    await tenants.move("a", { wait: false });
    await clock.advance(waitMs);
    for (const name of [a, "vaults/a/keys/second"]) service.setMode(name, "slow");
    const calls = service.calls(a);
    const moving = tenants.move("a", { concurrency: 64 });
    await clock.advance(0);
    expect(service.calls(a) - calls).toBe(1); // in flight: a fifth of its own eight
    expect(await latencyOf(bench, "b", b)).toBe(alone);
    expect((await clock.finish(moving)).step).toBe("retired");
  });

  test("a hot tenant delays a quiet one by its own call alone", async () => {
    const bench = vendor({ limits: { total: 8, perTenant: 8 } });
    const { tenants, service, clock } = bench;
    const [hot, quiet] = [await bench.onboard("hot"), await bench.onboard("quiet")];
    const alone = await latencyOf(bench, "quiet", quiet);
    service.setMode(hot, "slow");
    const keyring = await tenants.keyring("hot");
    const burst = Array.from({ length: 60 }, () => keyring.encrypt(new Uint8Array(1)));
    await clock.advance(0);
    const latency = await latencyOf(bench, "quiet", quiet);
    expect(latency).toBeLessThanOrEqual(2 * alone);
    await clock.finish(Promise.all(burst));
  });

  test("a tenant whose key hangs, throttles or is unreachable delays no other", async () => {
    for (const mode of ["hanging", "throttled", "unreachable"] as const) {
      const bench = vendor({ resilience: {} });
      const { tenants, service, clock } = bench;
      const [ill, well] = [await bench.onboard("ill"), await bench.onboard("well")];
      const alone = await latencyOf(bench, "well", well);
      service.setMode(ill, mode);
      const keyring = await tenants.keyring("ill");
      const failing = Array.from({ length: 50 }, () => keyring.encrypt(new Uint8Array(1)).catch(() => undefined));
      await clock.advance(0);
      expect(await latencyOf(bench, "well", well)).toBe(alone);
      await clock.finish(Promise.all(failing));
    }
  });
});

/** The time that one encryption of a tenant takes while its key service takes 800 ms. */
async function latencyOf({ tenants, service, clock }: Vendor, id: string, name: string): Promise<number> {
  service.setMode(name, "slow");
  const begunAt = clock.monotonicMs();
  let endedAt = Number.NaN;
  const done = (await tenants.keyring(id)).encrypt(new Uint8Array(1)).then(() => {
    endedAt = clock.monotonicMs();
  });
  while (Number.isNaN(endedAt)) await clock.advance(100);
  await done;
  service.setMode(name, "healthy");
  return endedAt - begunAt;
}
