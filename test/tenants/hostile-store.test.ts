import { describe, expect, test } from "vitest";
import type { Clock } from "../../src/core/base/clock.ts";
import type { TenantPlace, TenantRow, TenantStore } from "../../src/core/contracts/tenant-store.ts";
import { memoryTenantStore } from "../../src/tenants/stores/memory.ts";
import { FakeKeyService } from "../../src/testing/tenants/index.ts";
import { deferred } from "../support/deferred.ts";
import { fakeClock } from "../support/fake-clock.ts";
import { refusal, refusalCode } from "../support/refusal.ts";
import { untyped } from "../support/untyped.ts";
import { vendor } from "./bench.ts";

// A store is not trusted with more than keeping rows: one that lags, answers with another row or never ends a list closes nothing that is
// open to a neighbour, and opens nothing.

describe("a store that lags behind, as a replica does", () => {
  test("is told from one that is up to date: no keyring is made of an older record, and nothing spins", async () => {
    const { store, lag } = lagging();
    const { tenants, onboard, clock } = vendor({ store });
    await onboard("acme");
    await tenants.keyring("acme");
    lag.since = await store.get({ kind: "tenant", id: "acme" });
    await tenants.setPolicy("acme", { cacheMaxAgeMs: 1000 }); // makes another keyring
    const error = await refusal(() => tenants.keyring("acme"));
    expect(error).toMatchObject({ code: "unavailable", detail: "tenant-stale", whose: "vendor", retryable: true });
    lag.since = undefined;
    await clock.advance(1000);
    await (await tenants.keyring("acme")).encryptText("x");
  });

  test("serves with the keyring that is there, for as long as one that cannot be read", async () => {
    const { store, lag } = lagging();
    const { tenants, onboard, clock } = vendor({ store });
    await onboard("acme");
    const envelope = await (await tenants.keyring("acme")).encryptText("x");
    lag.since = await store.get({ kind: "tenant", id: "acme" });
    await tenants.setPolicy("acme", { maxConcurrent: 3 }); // makes no other keyring
    await clock.advance(60_000);
    expect(await (await tenants.keyring("acme")).decryptText(envelope)).toBe("x");
    await clock.advance(90_000);
    const keyring = tenants.keyring("acme");
    expect(await refusal(() => keyring)).toMatchObject({ code: "unavailable", detail: "tenant-stale" });
  });

  test("cannot bring back a tenant that this process knows to be suspended", async () => {
    const { store, lag } = lagging();
    const { tenants, onboard, service } = vendor({ store });
    await onboard("acme");
    const keyring = await tenants.keyring("acme");
    lag.since = await store.get({ kind: "tenant", id: "acme" });
    await tenants.suspend("acme");
    const calls = service.calls();
    for (const work of [() => tenants.keyring("acme"), () => keyring.encryptText("x")])
      expect(await refusal(work)).toMatchObject({ code: "access-denied", detail: "tenant-suspended" });
    expect(service.calls()).toBe(calls);
  });
});

describe("a store that answers with another row", () => {
  test.each([
    ["a claim of the same tenant on another key", "claim"],
    ["the record of another tenant", "tenant"],
  ] as const)("%s is refused before any call of a key", async (_what, kind) => {
    const inner = memoryTenantStore();
    let answer: TenantRow | undefined;
    const store: TenantStore = {
      ...inner,
      get: async (place, options) => (answer !== undefined && place.kind === kind ? answer : await inner.get(place, options)),
    };
    const { another, onboard, service } = vendor({ store });
    await onboard("acme");
    await onboard("other");
    const rows = await inner.list({ kind, limit: 10 });
    answer = rows.find(({ document }) => document.includes(kind === "claim" ? '"other"' : "vaults/other"));
    const calls = service.calls();
    const error = await refusal(() => another().keyring("acme"));
    expect(error).toMatchObject({ code: "provider-failure", message: expect.stringContaining("another row") });
    expect(service.calls()).toBe(calls);
  });

  test("another tenant's canary tells nothing about this one", async () => {
    const inner = memoryTenantStore();
    const canaryOf = (place: TenantPlace): TenantPlace => (place.kind === "canary" ? { ...place, id: "1:other" } : place);
    const { another, onboard } = vendor({ store: inner });
    await onboard("acme");
    await onboard("other");
    const tenants = another({ store: { ...inner, get: (place, options) => inner.get(canaryOf(place), options) } });
    expect(await tenants.checkHealth("acme")).toMatchObject([{ key: 1, outcome: "provider-failure" }]);
    expect((await tenants.show("acme")).state).toBe("active");
  });

  test.each([untyped<number>("5"), Number.NaN, 0, 1.5])("a revision of %s is none", async (revision) => {
    const inner = memoryTenantStore();
    const { another, onboard } = vendor({ store: inner });
    await onboard("acme");
    const get: TenantStore["get"] = async (place, options) => {
      const row = await inner.get(place, options);
      return row && { ...row, revision };
    };
    expect(await refusal(() => another({ store: { ...inner, get } }).suspend("acme"))).toMatchObject({
      code: "provider-failure",
      message: expect.stringContaining("revision"),
    });
  });
});

test("a list that begins again, or gives rows of another kind, ends in an error and not never", async () => {
  const inner = memoryTenantStore();
  const { another, onboard } = vendor({ store: inner });
  for (const id of ["a", "b"]) await onboard(id);
  const rows = await inner.list({ kind: "tenant", limit: 10 });
  const full = Array.from({ length: 250 }, () => rows).flat();
  for (const list of [async () => full, async () => inner.list({ kind: "claim", limit: 10 })]) {
    const listing = async (): Promise<void> => {
      let left = 2000;
      for await (const _ of another({ store: { ...inner, list } }).list()) if (left-- === 0) throw new Error("it does not end");
    };
    expect(await refusal(listing)).toMatchObject({ code: "provider-failure", message: expect.stringContaining("out of order") });
  }
});

describe("restore", () => {
  test.each(["revoke", "suspend", "offboard"] as const)("does not undo a %s that came while the key was checked", async (change) => {
    const inner = memoryTenantStore();
    let meanwhile = async (): Promise<unknown> => undefined;
    const store: TenantStore = {
      ...inner,
      async get(place, options) {
        if (place.kind === "canary") await meanwhile();
        return await inner.get(place, options);
      },
    };
    const { tenants, another, onboard } = vendor({ store });
    await onboard("acme");
    const ops = another();
    await (change === "suspend" ? tenants.revoke("acme") : tenants.suspend("acme"));
    meanwhile = () => ops[change]("acme");
    expect(await refusalCode(() => tenants.restore("acme"))).toBe("invalid-argument");
    const { state } = await ops.show("acme");
    expect(state).toBe({ revoke: "revoked", suspend: "suspended", offboard: "offboarding" }[change]);
  });

  test("comes by itself only after a refusal: a tenant that asked to be revoked waits", async () => {
    const { tenants, another, onboard, clock } = vendor();
    await onboard("acme");
    await tenants.setPolicy("acme", { autoRestore: true });
    await tenants.revoke("acme");
    const end = new AbortController();
    const watching = another().watchHealth({ signal: end.signal });
    await clock.advance(7_200_000);
    expect((await tenants.show("acme")).state).toBe("revoked");
    expect((await tenants.restore("acme")).state).toBe("active");
    end.abort();
    await clock.finish(watching);
  });
});

test("a provider that never settles keeps no keyring in memory beyond the deadline of its call", async () => {
  const clock = fakeClock();
  const service = new FakeKeyService({ clock });
  let isDeaf = false;
  const open: typeof service.opener.open = (key, identity) => {
    const inner = service.opener.open(key, identity);
    return { ...inner, wrap: (dek, options) => (isDeaf ? new Promise(() => undefined) : inner.wrap(dek, options)) };
  };
  const resilience = { retry: false, attemptDeadlineMs: 5000, deadlineMs: 20_000 } as const;
  const { tenants, another } = vendor({ clock, open: { ...service.opener, open }, resilience });
  for (const id of ["deaf", "well"]) {
    service.addKey(`vaults/${id}/keys/saas`);
    await tenants.invite(id);
    await tenants.stage(id, { kind: "fake", key: `vaults/${id}/keys/saas` });
    await tenants.verify(id);
    await tenants.activate(id);
  }
  const process = another({ maxResident: 1 });
  const keyring = await process.keyring("deaf");
  isDeaf = true;
  expect(await clock.finish(refusalCode(() => keyring.encryptText("x")))).toBe("timeout");
  isDeaf = false;
  await clock.advance(20_000);
  await process.keyring("well");
  expect(process.status.resident).toBe(1);
  expect(await refusalCode(() => keyring.encryptText("x"))).toBe("closed");
});

test("what is known of a tenant may be evicted while its keys are opened, and a suspension still closes it in time", async () => {
  const inner = memoryTenantStore();
  const [reached, opening] = [deferred(), deferred()];
  let isHeld = false;
  const store: TenantStore = {
    ...inner,
    async get(place, options) {
      if (place.kind === "claim" && isHeld) {
        reached.resolve();
        await opening.promise;
      }
      return await inner.get(place, options);
    },
  };
  const { another, onboard, clock } = vendor({ store });
  for (const id of ["acme", "other"]) await onboard(id);
  const tenants = another({ maxKnown: 1 });
  isHeld = true;
  const pending = tenants.keyring("acme");
  await reached.promise;
  await tenants.show("other");
  opening.resolve();
  const keyring = await pending;
  await keyring.encryptText("x");
  await another().suspend("acme");
  await clock.advance(30_000);
  expect(await refusal(() => keyring.encryptText("x"))).toMatchObject({ code: "access-denied", detail: "tenant-suspended" });
});

describe("a clock that is set back by a day", () => {
  test("hides no revocation behind a grant that seems to be yet to come, and prolongs no wait of a move", async () => {
    const time = fakeClock();
    let backMs = 0;
    const clock: Clock = { ...time, unixMs: () => time.unixMs() - backMs };
    const service = new FakeKeyService({ clock });
    const { tenants } = vendor({ clock, open: service.opener });
    for (const name of ["first", "second"]) service.addKey(`vaults/acme/keys/${name}`);
    await tenants.invite("acme");
    await tenants.stage("acme", { kind: "fake", key: "vaults/acme/keys/first" });
    await tenants.verify("acme");
    await tenants.activate("acme");
    await time.advance(600_000);
    await tenants.stage("acme", { kind: "fake", key: "vaults/acme/keys/second" });
    await tenants.verify("acme");
    await tenants.move("acme", { wait: false });
    backMs = 86_400_000;
    expect((await tenants.move("acme", { wait: false })).waitMs).toBe(60_000);
    service.setMode("vaults/acme/keys/first", "denied");
    const keyring = await tenants.keyring("acme");
    for (let turn = 0; turn < 3; turn++) await refusal(() => keyring.encryptText("x"));
    await time.advance(0);
    expect((await tenants.show("acme")).state).toBe("revoked");
  });
});

describe("a clock that is set forward by days", () => {
  test("shortens no wait of a move that this process began", async () => {
    const time = fakeClock();
    let aheadMs = 0;
    const clock: Clock = { ...time, unixMs: () => time.unixMs() + aheadMs };
    const { tenants, onboard, service } = vendor({ clock });
    await onboard("acme");
    service.addKey("vaults/acme/keys/second");
    await time.advance(600_000);
    await tenants.stage("acme", { kind: "fake", key: "vaults/acme/keys/second" });
    await tenants.verify("acme");
    expect(await tenants.move("acme", { wait: false })).toMatchObject({ step: "dual", waitMs: 60_000 });
    aheadMs = 3 * 86_400_000;
    expect(await tenants.move("acme", { wait: false })).toMatchObject({ step: "dual", waitMs: 60_000 });
    await time.advance(60_000);
    expect(await tenants.move("acme", { wait: false })).toMatchObject({ step: "announced", waitMs: 60_000 });
    aheadMs *= 2;
    expect(await tenants.move("acme", { wait: false })).toMatchObject({ step: "announced", waitMs: 60_000 });
    await time.advance(60_000);
    expect(await tenants.move("acme", { wait: false })).toMatchObject({ step: "retired" });
  });

  test("as on a machine that was suspended: the first call reads the record anew, and no old data key serves", async () => {
    const time = fakeClock();
    let sleptMs = 0;
    const clock: Clock = { ...time, unixMs: () => time.unixMs() + sleptMs };
    const { another, onboard, service } = vendor({ clock });
    const name = await onboard("acme");
    const asleep = another();
    const keyring = await asleep.keyring("acme");
    const envelope = await keyring.encryptText("x");
    await keyring.decryptText(envelope);
    sleptMs = 2 * 86_400_000;
    const before = service.calls(name);
    await keyring.decryptText(envelope);
    expect(service.calls(name)).toBe(before + 1);
    await another().suspend("acme");
    expect(await keyring.decryptText(envelope)).toBe("x"); // within the refresh interval
    sleptMs += 3_600_000;
    const calls = service.calls(name);
    expect(await refusal(() => keyring.decryptText(envelope))).toMatchObject({ detail: "tenant-suspended" });
    expect(service.calls(name)).toBe(calls);
    sleptMs -= 7_200_000; // set back by hours: nothing becomes fresh again, and nothing lasts longer
    await another().restore("acme");
    await time.advance(30_000);
    expect(await (await asleep.keyring("acme")).decryptText(envelope)).toBe("x");
    await another().suspend("acme");
    await time.advance(30_000);
    expect(await refusal(() => asleep.keyring("acme"))).toMatchObject({ detail: "tenant-suspended" });
  });

  test("refuses a field until the record is read again, which asking for the data keys does", async () => {
    const time = fakeClock();
    let sleptMs = 0;
    const clock: Clock = { ...time, unixMs: () => time.unixMs() + sleptMs };
    const { tenants, onboard } = vendor({ clock });
    await onboard("acme");
    const cipher = await (await tenants.dataKeys("acme")).field({ table: "users", column: "email" });
    const token = cipher.encrypt("a@b.example");
    sleptMs = 600_000;
    expect(await refusalCode(() => cipher.decrypt(token))).toBe("unavailable");
    const again = await (await tenants.dataKeys("acme")).field({ table: "users", column: "email" });
    expect(again.decrypt(token)).toBe("a@b.example");
  });
});

/** A store that gives the row as it was at some time, while it is told to. */
function lagging(): { readonly store: TenantStore; readonly lag: { since: TenantRow | undefined } } {
  const inner = memoryTenantStore();
  const lag: { since: TenantRow | undefined } = { since: undefined };
  let left = 200;
  const get: TenantStore["get"] = async (place, options) => {
    if (lag.since === undefined || place.kind !== "tenant") return await inner.get(place, options);
    if (--left === 0) throw new Error("asked again and again");
    return { ...lag.since };
  };
  return { store: { ...inner, get }, lag };
}

test("a suspension of which the answer is lost closes this process too, without waiting for the refresh", async () => {
  const store = memoryTenantStore();
  let isCut = false;
  const compareAndSwap: TenantStore["compareAndSwap"] = async (...change) => {
    const isTaken = await store.compareAndSwap(...change);
    if (isCut) throw new Error("the connection was lost");
    return isTaken;
  };
  const { tenants, onboard, service } = vendor({ store: { ...store, compareAndSwap } });
  await onboard("acme");
  const keyring = await tenants.keyring("acme");
  const envelope = await keyring.encryptText("x");
  isCut = true;
  await expect(tenants.suspend("acme")).rejects.toThrow("the connection was lost");
  await new Promise((resolve) => setImmediate(resolve)); // the failure has begun a read
  const calls = service.calls();
  expect(await refusalCode(() => keyring.decryptText(envelope))).toBe("access-denied");
  expect(service.calls()).toBe(calls);
});

const DAY_MS = 86_400_000;

describe("a process with another clock that goes on with a move", () => {
  const staged = async (store: TenantStore = memoryTenantStore()) => {
    const bench = vendor({ store });
    const { clock: time } = bench;
    await bench.onboard("acme");
    bench.service.addKey("vaults/acme/keys/second");
    await bench.tenants.stage("acme", { kind: "fake", key: "vaults/acme/keys/second" });
    await bench.tenants.verify("acme");
    expect(await bench.tenants.move("acme", { wait: false })).toMatchObject({ step: "dual", waitMs: 60_000 });
    const step = async (): Promise<unknown> => (await bench.tenants.show("acme")).move?.step;
    const apart = (ms: number) => bench.another({ clock: { ...time, unixMs: () => time.unixMs() + ms } });
    return { time, step, apart };
  };

  test.each([3 * DAY_MS, -3 * DAY_MS])("waits the whole time from when it met each step, %i ms apart", async (ms) => {
    const { time, step, apart } = await staged();
    const moving = apart(ms).move("acme");
    for (const at of ["dual", "announced"]) {
      expect(await step()).toBe(at);
      await time.advance(59_999);
      expect(await step()).toBe(at);
      await time.advance(1);
    }
    expect((await time.finish(moving)).step).toBe("retired");
  });

  test("goes by the clock of the store where each step is a process of its own", async () => {
    const inner = memoryTenantStore();
    let storeMs = 1_000_000;
    const { step, apart } = await staged({ ...inner, nowMs: async () => storeMs });
    for (const at of ["dual", "announced"]) {
      expect(await apart(3 * DAY_MS).move("acme", { wait: false })).toMatchObject({ step: at, waitMs: 60_000 });
      storeMs += 45_000;
      expect(await apart(-3 * DAY_MS).move("acme", { wait: false })).toMatchObject({ step: at, waitMs: 15_000 });
      storeMs += 15_000;
    }
    expect(await apart(0).move("acme", { wait: false })).toMatchObject({ step: "retired" });
    expect(await step()).toBe("retired");
  });
});
