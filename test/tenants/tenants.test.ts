import { describe, expect, test } from "vitest";
import type { TenantStore } from "../../src/core/contracts/tenant-store.ts";
import { inspect } from "../../src/core/keyring/inspect.ts";
import { memoryTenantStore, type TenantNotice } from "../../src/tenants/index.ts";
import { deferred } from "../support/deferred.ts";
import { refusal, refusalCode } from "../support/refusal.ts";
import { revoked, untyped } from "../support/untyped.ts";
import { vendor } from "./bench.ts";

describe("a tenant under a key of its own", () => {
  test("gets a keyring that is bound to it, under its key alone", async () => {
    const { tenants, onboard, platform } = vendor();
    await onboard("acme");
    const keyring = await tenants.keyring("acme");
    expect(keyring.context).toEqual({ tenant: "acme" });
    const envelope = await keyring.encryptText("for acme");
    const seen = inspect(envelope);
    expect("recipients" in seen && seen.recipients.map(({ keyId }) => keyId)).toEqual(["fake:vaults/acme/keys/saas#1"]);
    expect(await keyring.decryptText(envelope)).toBe("for acme");
    expect(platform.calls).toEqual([]);
    expect(await tenants.keyring("acme")).toBe(keyring);
  });

  test("gets data keys in scopes of its own", async () => {
    const { tenants, onboard, dataKeyStore } = vendor();
    await onboard("acme");
    const email = await (await tenants.dataKeys("acme")).field({ table: "users", column: "email" });
    expect(email.decrypt(email.encrypt("a@b.example"))).toBe("a@b.example");
    expect((await dataKeyStore.scan({ limit: 10 })).length).toBe(1);
  });
});

test("a tenant without a key of its own is under the platform's", async () => {
  const { tenants, platform } = vendor();
  await tenants.invite("small");
  await tenants.activate("small");
  const keyring = await tenants.keyring("small");
  expect(await keyring.decryptText(await keyring.encryptText("x"))).toBe("x");
  expect(platform.calls).toEqual(["wrap", "unwrap"]);
});

describe("a state forbids before any call of a key", () => {
  test.each([
    ["invited", "access-denied"],
    ["verifying", "access-denied"],
    ["suspended", "access-denied"],
    ["revoked", "access-denied"],
    ["shredded", "key-shredded"],
  ] as const)("%s answers %s", async (state, code) => {
    const { tenants, service, platform, onboard } = vendor();
    const name = await onboard("acme");
    const keyring = await tenants.keyring("acme");
    const envelope = await keyring.encryptText("x");
    if (state === "suspended") await tenants.suspend("acme");
    if (state === "revoked") await tenants.revoke("acme");
    if (state === "shredded" || state === "invited" || state === "verifying") {
      await tenants.offboard("acme");
      await tenants.shred("acme");
    }
    if (state === "invited" || state === "verifying") await tenants.invite("acme");
    if (state === "verifying") await tenants.stage("acme", { kind: "fake", key: name });
    const calls = service.calls();
    for (const work of [() => tenants.keyring("acme"), () => tenants.dataKeys("acme"), () => keyring.decryptText(envelope)]) {
      expect(await refusal(work)).toMatchObject({ code, tenant: "acme", detail: `tenant-${state}` });
    }
    expect(await refusalCode(() => keyring.encryptText("y"))).toBe(code);
    expect(service.calls()).toBe(calls);
    expect(platform.calls).toEqual([]);
  });

  test("an unknown id answers key-not-found, and a bad one invalid-argument", async () => {
    const { tenants } = vendor();
    expect(await refusal(() => tenants.keyring("nobody"))).toMatchObject({ code: "key-not-found", detail: "tenant-unknown" });
    expect(await refusalCode(() => tenants.keyring("a b"))).toBe("invalid-argument");
  });

  test("offboarding reads and does not write", async () => {
    const { tenants, onboard } = vendor();
    await onboard("acme");
    const before = await tenants.keyring("acme");
    const envelope = await before.encryptText("x");
    await tenants.offboard("acme");
    const keyring = await tenants.keyring("acme");
    expect(await keyring.decryptText(envelope)).toBe("x");
    for (const each of [keyring, before]) {
      expect(await refusal(() => each.encryptText("y"))).toMatchObject({
        code: "access-denied",
        detail: "tenant-offboarding",
        whose: "vendor",
      });
    }
  });
});

test("a suspension acts at once here, and within the refresh interval elsewhere, without a call of the key", async () => {
  const { tenants, another, onboard, service, clock } = vendor();
  const name = await onboard("acme");
  const elsewhere = another();
  const keyring = await elsewhere.keyring("acme");
  const cipher = await (await elsewhere.dataKeys("acme")).field({ table: "users", column: "email" });
  const token = cipher.encrypt("a@b.example");
  const envelope = await keyring.encryptText("x");
  await keyring.decryptText(envelope);
  await tenants.suspend("acme", { actor: "ops", reason: "unpaid" });
  expect(await refusalCode(() => tenants.keyring("acme"))).toBe("access-denied");
  const calls = service.calls(name);
  await clock.advance(30_000);
  expect(await refusal(() => elsewhere.keyring("acme"))).toMatchObject({ detail: "tenant-suspended" });
  expect(await refusal(() => keyring.decryptText(envelope))).toMatchObject({ detail: "tenant-suspended" });
  expect(await refusal(() => cipher.decrypt(token))).toMatchObject({ detail: "tenant-suspended" });
  expect(service.calls(name)).toBe(calls);
  await tenants.restore("acme");
  expect((await elsewhere.keyring("acme")).context).toEqual({ tenant: "acme" });
});

describe("a notice of a change, sent over a bus of the application", () => {
  test("closes a suspended tenant elsewhere at once, without a call of the key", async () => {
    const { tenants, another, onboard, service, events } = vendor();
    const name = await onboard("acme");
    const elsewhere = another();
    const keyring = await elsewhere.keyring("acme");
    const envelope = await keyring.encryptText("x");
    await keyring.decryptText(envelope);
    await tenants.suspend("acme");
    const calls = service.calls(name);
    expect(await keyring.decryptText(envelope)).toBe("x"); // it has not heard of it yet
    const notices: TenantNotice[] = JSON.parse(JSON.stringify(events.filter((event) => "revision" in event)));
    expect(await Promise.all(notices.map((notice) => elsewhere.refresh(notice)))).toEqual([false, false, false, false, true]);
    expect(await refusal(() => keyring.decryptText(envelope))).toMatchObject({ detail: "tenant-suspended" });
    expect(service.calls(name)).toBe(calls);
  });

  test("is heeded also while a read is in flight that began before the change", async () => {
    const store = memoryTenantStore();
    const held = deferred();
    let isHeld = false;
    const get: TenantStore["get"] = async (...place) => {
      const row = await store.get(...place);
      if (isHeld) await held.promise;
      return row;
    };
    const { tenants, onboard } = vendor({ store });
    await onboard("acme");
    const { another } = vendor({ store: { ...store, get } });
    const elsewhere = another({ open: [] });
    await elsewhere.show("acme");
    isHeld = true;
    const early = elsewhere.show("acme");
    const { revision } = await tenants.suspend("acme");
    const heeded = elsewhere.refresh({ tenant: "acme", revision });
    isHeld = false;
    held.resolve();
    expect((await early).state).toBe("active");
    expect(await heeded).toBe(true);
    expect((await refusal(() => elsewhere.keyring("acme"))).detail).toBe("tenant-suspended");
  });

  test("decides nothing by itself, and a false one costs two reads at most", async () => {
    const store = memoryTenantStore();
    let reads = 0;
    const get: TenantStore["get"] = async (...place) => {
      reads++;
      return await store.get(...place);
    };
    const { tenants, onboard } = vendor({ store: { ...store, get } });
    await onboard("acme");
    const { revision } = await tenants.show("acme");
    const keyring = await tenants.keyring("acme");
    const readsFor = async (notice: object): Promise<number> => {
      const before = reads;
      await tenants.refresh(untyped<TenantNotice>(notice));
      return reads - before;
    };
    expect(await readsFor({ tenant: "acme", revision })).toBe(0);
    expect(await readsFor({ tenant: "globex", revision: 9 })).toBe(0);
    expect(await readsFor({ tenant: "acme", revision: 999, state: "revoked", epoch: 7, generation: 7 })).toBe(2);
    await keyring.encryptText("x");
    for (const bad of [null, 5, {}, [], { tenant: "acme" }, { tenant: "acme", revision: "9" }, { tenant: "a b", revision: 1 }, revoked()])
      expect(await refusalCode(() => tenants.refresh(untyped<TenantNotice>(bad)))).toBe("invalid-argument");
  });
});

test("a change to a state that stands already does nothing and tells of nothing", async () => {
  const { tenants, onboard, events } = vendor();
  await onboard("acme");
  const { revision } = await tenants.suspend("acme");
  const told = events.length;
  expect((await tenants.suspend("acme")).revision).toBe(revision);
  expect(events.length).toBe(told);
});

test("each change is one event with actor and reason, and provider calls carry tenant and generation", async () => {
  const { tenants, onboard, events } = vendor();
  await onboard("acme");
  await (await tenants.keyring("acme")).encryptText("x");
  await tenants.suspend("acme", { actor: "ops@vendor.example", reason: "unpaid" });
  const changes = events.filter(({ type }) => type.startsWith("tenant.")).map(({ type }) => type);
  expect(changes).toEqual(["tenant.invited", "tenant.key-staged", "tenant.verified", "tenant.activated", "tenant.suspended"]);
  expect(events.at(-1)).toMatchObject({
    actor: "ops@vendor.example",
    reason: "unpaid",
    before: "active",
    state: "suspended",
    generation: 1,
  });
  const calls = events.filter(({ type }) => type === "provider-call");
  expect(calls.at(-1)).toMatchObject({ call: "wrap", tenant: "acme", generation: 1, keyContext: { tenant: "acme" } });
});

test("an id that comes back opens nothing of its earlier life", async () => {
  const { tenants, onboard } = vendor();
  await onboard("acme");
  const envelope = await (await tenants.keyring("acme")).encryptText("old");
  await tenants.offboard("acme");
  await tenants.shred("acme");
  await onboard("acme");
  const keyring = await tenants.keyring("acme");
  expect(keyring.context).toEqual({ tenant: "acme", "tenant-epoch": "2" });
  expect(await refusalCode(() => keyring.decryptText(envelope))).toBe("authentication-failed");
  const fields = await (await tenants.dataKeys("acme")).field({ table: "users", column: "email" });
  expect(fields.decrypt(fields.encrypt("new"))).toBe("new");
});

test("a store that cannot be read serves what is known for a while, then the tenant is refused", async () => {
  const { another, onboard, store, clock } = vendor();
  await onboard("acme");
  let isDown = false;
  const flaky = another({
    store: {
      ...store,
      async get(place, options) {
        if (isDown) throw new Error("the database is down");
        return await store.get(place, options);
      },
    },
  });
  const keyring = await flaky.keyring("acme");
  const envelope = await keyring.encryptText("x");
  isDown = true;
  await clock.advance(59_000);
  await keyring.encryptText("y");
  await clock.advance(1000);
  for (const held of [keyring, await flaky.keyring("acme")]) {
    expect(await held.decryptText(envelope)).toBe("x");
    // a move waits for two intervals: what is wrapped later could lose its key
    expect(await refusal(() => held.encryptText("y"))).toMatchObject({ code: "unavailable", detail: "tenant-stale" });
  }
  await clock.advance(100_000);
  expect(await refusal(() => flaky.keyring("acme"))).toMatchObject({ code: "unavailable", detail: "tenant-stale", tenant: "acme" });
  expect(await refusal(() => keyring.decryptText(envelope))).toMatchObject({ code: "unavailable", detail: "tenant-stale", tenant: "acme" });
  isDown = false;
  expect(await keyring.decryptText(envelope)).toBe("x");
});

test("the least recently used keyring is evicted, never one in use, and state outlives it", async () => {
  const { tenants, another, clock } = vendor();
  for (const id of ["a", "b", "c"]) {
    await tenants.invite(id);
    await tenants.activate(id);
  }
  const small = another({ maxResident: 1 });
  const first = await small.keyring("a");
  await small.keyring("b");
  expect(await small.keyring("a")).toBe(first); // used within the last ten seconds
  await clock.advance(20_000);
  await small.keyring("c");
  expect(small.status).toEqual({ resident: 1, known: 3, droppedEvents: 0 });
  expect(await refusalCode(() => first.encryptText("x"))).toBe("closed");
  expect((await small.keyring("a")).context).toEqual({ tenant: "a" });
});

test("the end of a keyring that was replaced wipes nothing of the one that replaced it", async () => {
  const { tenants, onboard, service, clock } = vendor();
  const name = await onboard("acme");
  const before = await tenants.keyring("acme");
  const envelope = await before.encryptText("x");
  await before.decryptText(envelope);
  await tenants.setPolicy("acme", { cacheMaxAgeMs: 600_000 });
  const keyring = await tenants.keyring("acme");
  await keyring.decryptText(envelope);
  service.setMode(name, "unreachable");
  await clock.advance(60_000);
  expect(await refusalCode(() => before.decryptText(envelope))).toBe("closed");
  expect(await keyring.decryptText(envelope)).toBe("x"); // an outage closes nothing that is in memory
});

test("after close everything is closed", async () => {
  const { tenants, onboard } = vendor();
  await onboard("acme");
  const keyring = await tenants.keyring("acme");
  await tenants.close();
  expect(await refusalCode(() => tenants.keyring("acme"))).toBe("closed");
  expect(await refusalCode(() => keyring.encryptText("x"))).toBe("closed");
});

test("list and health go over all tenants, and one record that cannot be read hides no other", async () => {
  const { tenants, onboard, store } = vendor();
  await onboard("acme");
  await store.insertIfAbsent({ kind: "tenant", id: "broken", revision: 1, document: "{}" });
  await tenants.invite("zeta");
  const listed: string[] = [];
  for await (const record of tenants.list()) listed.push("error" in record ? `${record.id}: ${record.error.code}` : record.id);
  expect(listed).toEqual(["acme", "broken: provider-failure", "zeta"]);
  const reports: unknown[] = [];
  for await (const report of tenants.health()) reports.push(report);
  expect(reports).toMatchObject([
    { tenant: "acme", state: "active", generation: 1, revocationBoundMs: 910_000, keys: [{ number: 1, kind: "fake", role: "wrap" }] },
    { id: "broken", error: { code: "provider-failure" } },
    { tenant: "zeta", state: "invited", whose: "tenant" },
  ]);
  expect(JSON.stringify(reports)).not.toContain("vaults/acme");
});
