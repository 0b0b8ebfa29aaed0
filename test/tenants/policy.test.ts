import { describe, expect, test } from "vitest";
import type { TenantPolicy } from "../../src/tenants/record/tenant-record.ts";
import { FakeKeyService } from "../../src/testing/tenants/index.ts";
import { refusal, refusalCode } from "../support/refusal.ts";
import { untyped } from "../support/untyped.ts";
import { type Vendor, vendor } from "./bench.ts";

describe("a policy", () => {
  test.each<[string, unknown, string]>([
    ["a time below 0", { cacheMaxAgeMs: -1 }, "cacheMaxAgeMs"],
    ["half a millisecond of reuse", { reuseMaxAgeMs: 0.5 }, "reuseMaxAgeMs"],
    ["no call at all", { maxConcurrent: 0 }, "maxConcurrent"],
    ["a rate that is none", { callsPerSecond: "5" }, "callsPerSecond"],
    ["no region", { regions: [] }, "regions"],
    ["a text for regions", { regions: "eu" }, "regions"],
    ["a region that is none", { regions: ["EU/1"] }, "regions"],
    ["escrow, which nothing would enforce", { escrow: "platform" }, "nothing would enforce"],
    ["a double key, which nothing would enforce", { dual: true }, "nothing would enforce"],
    ["a misspelt member", { cacheMaxAge: 5 }, "cacheMaxAgeMs"],
    ["no object", 5, "object"],
  ])("with %s is refused, by invite and by setPolicy", async (_what, policy, said) => {
    const { tenants } = vendor();
    await tenants.invite("known");
    const given = untyped<Partial<TenantPolicy>>(policy);
    for (const call of [() => tenants.invite("acme", { policy: given }), () => tenants.setPolicy("known", given)]) {
      const { code, message, hint } = await refusal(call);
      expect([code, `${message} ${hint}`]).toEqual(["invalid-argument", expect.stringContaining(said)]);
    }
  });

  test("is kept part by part, and read again from records that are older than its newer members", async () => {
    const { tenants, store, another } = vendor();
    await tenants.invite("acme", { policy: { regions: ["eu-west-1", "eu-central-1"], maxConcurrent: 2 } });
    const { policy } = await tenants.setPolicy("acme", { callsPerSecond: 5 });
    expect(policy).toEqual({
      cacheMaxAgeMs: null,
      reuseMaxAgeMs: null,
      autoRestore: false,
      maxConcurrent: 2,
      callsPerSecond: 5,
      regions: ["eu-central-1", "eu-west-1"],
    });
    const row = await store.get({ kind: "tenant", id: "acme" });
    if (row === undefined) throw new Error("no row");
    const old = { ...JSON.parse(row.document), policy: { cacheMaxAgeMs: 7, autoRestore: true } };
    await store.compareAndSwap({ ...row, document: JSON.stringify(old), revision: row.revision + 1 }, row.revision);
    expect((await another().show("acme")).policy).toMatchObject({ cacheMaxAgeMs: 7, autoRestore: true, regions: null });
  });
});

describe("regions", () => {
  test("keep a key elsewhere out when it is staged, and one that says no region", async () => {
    const { tenants, service } = vendorWithRegions();
    for (const name of ["eu", "us", "none"]) service.addKey(`vaults/${name}/keys/saas`);
    await tenants.invite("acme", { policy: { regions: ["eu"] } });
    for (const name of ["us", "none"]) {
      expect(await refusal(() => tenants.stage("acme", { kind: "fake", key: `vaults/${name}/keys/saas` }))).toMatchObject({
        code: "access-denied",
        detail: "region-not-allowed",
        whose: "tenant",
      });
    }
    expect((await tenants.stage("acme", { kind: "fake", key: "vaults/eu/keys/saas" })).staged?.number).toBe(1);
    expect(service.calls()).toBe(0);
  });

  test("are checked at each use, and a policy that the keys do not meet is refused", async () => {
    const bench = vendorWithRegions();
    const name = await bench.onboard("acme", "vaults/us/keys/saas");
    expect(await refusal(() => bench.tenants.setPolicy("acme", { regions: ["eu"] }))).toMatchObject({ detail: "region-not-allowed" });
    await plantRegions(bench, "acme", ["eu"]);
    const later = bench.another();
    const calls = bench.service.calls(name);
    expect(await refusal(() => later.keyring("acme"))).toMatchObject({ code: "access-denied", detail: "region-not-allowed" });
    await bench.clock.advance(10_000); // the pause after the first check
    expect((await later.verify("acme")).findings[0]).toMatchObject({ check: "description", level: "failed", whose: "tenant" });
    expect(bench.service.calls(name)).toBe(calls);
  });
});

describe("the reuse of data keys", () => {
  test.each([
    ["as the vendor has it", null, 1],
    ["not at all", 0, 4],
    ["for a shorter time", 1000, 2],
    ["never for longer", 900_000, 1],
  ] as const)("%s", async (_what, reuseMaxAgeMs, wraps) => {
    const bench = vendor({ reuse: { maxAgeMs: 60_000 } });
    const name = await bench.onboard("acme");
    await bench.tenants.setPolicy("acme", { reuseMaxAgeMs });
    const keyring = await bench.tenants.keyring("acme");
    const before = bench.service.calls(name);
    for (const waitMs of [0, 0, 2000, 0]) {
      await bench.clock.advance(waitMs);
      await keyring.encryptText("x");
    }
    expect(bench.service.calls(name) - before).toBe(wraps);
    const { reuseMs } = await bench.tenants.healthOf("acme");
    expect(reuseMs).toBe(reuseMaxAgeMs === null ? 60_000 : Math.min(reuseMaxAgeMs, 60_000));
  });
});

describe("budgets", () => {
  test("bound the calls of one tenant in flight, and no other's", async () => {
    const bench = vendor();
    await bench.onboard("acme");
    await bench.onboard("other");
    await bench.tenants.setPolicy("acme", { maxConcurrent: 2 });
    for (const [id, most] of [
      ["acme", 2],
      ["other", 8],
    ] as const) {
      bench.service.setMode(`vaults/${id}/keys/saas`, "slow");
      const keyring = await bench.tenants.keyring(id);
      const before = bench.service.calls(`vaults/${id}/keys/saas`);
      const writing = Promise.all(Array.from({ length: 10 }, () => keyring.encryptText("x")));
      await bench.clock.advance(1);
      expect(bench.service.calls(`vaults/${id}/keys/saas`) - before).toBe(most);
      await bench.clock.finish(writing);
    }
  });

  test("bound the rate of one tenant, and take effect at once when they change", async () => {
    const bench = vendor();
    const name = await bench.onboard("acme");
    await bench.tenants.setPolicy("acme", { callsPerSecond: 2 });
    const keyring = await bench.tenants.keyring("acme");
    const before = bench.service.calls(name);
    const writing = Promise.all(Array.from({ length: 6 }, () => keyring.encryptText("x")));
    await bench.clock.advance(100);
    expect(bench.service.calls(name) - before).toBe(2);
    await bench.clock.advance(1000);
    expect(bench.service.calls(name) - before).toBe(4);
    await bench.clock.finish(writing);
    await bench.tenants.setPolicy("acme", { callsPerSecond: null });
    const free = bench.service.calls(name);
    const more = Promise.all(Array.from({ length: 6 }, () => keyring.encryptText("x")));
    await bench.clock.advance(1);
    expect(bench.service.calls(name) - free).toBe(6);
    await bench.clock.finish(more);
    expect(await refusalCode(() => bench.tenants.setPolicy("acme", { callsPerSecond: 0 }))).toBe("invalid-argument");
  });
});

/** The second part of the name of a fake key is its region; `none` says none. */
function vendorWithRegions(): Vendor {
  const service = new FakeKeyService();
  const bench = vendor({
    open: {
      ...service.opener,
      accept(key, identity) {
        const [, region = "none"] = key.key.split("/");
        return { ...service.opener.accept(key, identity), ...(region !== "none" && { region }) };
      },
    },
  });
  return {
    ...bench,
    service,
    async onboard(id, name = `vaults/${id}/keys/saas`) {
      service.addKey(name);
      await bench.tenants.invite(id);
      await bench.tenants.stage(id, { kind: "fake", key: name });
      await bench.tenants.verify(id);
      await bench.tenants.activate(id);
      return name;
    },
  };
}

/** Writes a policy past the library. */
async function plantRegions({ store }: Vendor, id: string, regions: readonly string[]): Promise<void> {
  const row = await store.get({ kind: "tenant", id });
  if (row === undefined) throw new Error("no row");
  const record = JSON.parse(row.document);
  const document = JSON.stringify({ ...record, policy: { ...record.policy, regions } });
  await store.compareAndSwap({ ...row, document, revision: row.revision + 1 }, row.revision);
}
