import { describe, expect, test } from "vitest";
import { type Context, KeyContext } from "../../src/core/base/context.ts";
import { scopeText } from "../../src/fields/scope.ts";
import { contextOfLife, isOfLife, lifeOfContext } from "../../src/tenants/record/life.ts";
import { refusal } from "../support/refusal.ts";
import { type Vendor, vendor } from "./bench.ts";

/** The key context of a data key, and the epoch of `acme` that it belongs to; 0 for none. */
const CASES: readonly (readonly [what: string, context: Context, epoch: number])[] = [
  ["the tenant alone", { tenant: "acme" }, 1],
  ["the tenant with a scope", { tenant: "acme", project: "p" }, 1],
  ["the second epoch", { tenant: "acme", "tenant-epoch": "2" }, 2],
  ["the second epoch with a scope", { project: "p", tenant: "acme", "tenant-epoch": "2" }, 2],
  ["a later epoch", { tenant: "acme", "tenant-epoch": "3" }, 3],
  ["an epoch of two digits", { tenant: "acme", "tenant-epoch": "12" }, 12],
  ["the first epoch, spelt out", { tenant: "acme", "tenant-epoch": "1" }, 0],
  ["epoch 0", { tenant: "acme", "tenant-epoch": "0" }, 0],
  ["a negative epoch", { tenant: "acme", "tenant-epoch": "-2" }, 0],
  ["a leading zero", { tenant: "acme", "tenant-epoch": "02" }, 0],
  ["a space", { tenant: "acme", "tenant-epoch": " 2" }, 0],
  ["a fraction", { tenant: "acme", "tenant-epoch": "2.0" }, 0],
  ["an exponent", { tenant: "acme", "tenant-epoch": "2e0" }, 0],
  ["an epoch in hexadecimal", { tenant: "acme", "tenant-epoch": "0x2" }, 0],
  ["an epoch beyond every integer", { tenant: "acme", "tenant-epoch": "9007199254740993" }, 0],
  ["no epoch at all", { tenant: "acme", "tenant-epoch": "" }, 0],
  ["another tenant", { tenant: "acme2" }, 0],
  ["the tenant in capitals", { tenant: "ACME" }, 0],
  ["an epoch without a tenant", { "tenant-epoch": "2" }, 0],
  ["no tenant", { project: "acme" }, 0],
  ["nothing", {}, 0],
];

test.each(CASES)("%s: the life of a key context", (_what, context, epoch) => {
  const life = lifeOfContext(context);
  expect(life?.id === "acme" ? life.epoch : 0).toBe(epoch);
  for (const each of [1, 2, 3, 12]) expect(isOfLife(context, { id: "acme", epoch: each })).toBe(each === epoch);
  if (life !== undefined) expect(context).toMatchObject(contextOfLife(life));
});

describe.each([1, 2])("in epoch %i", (epoch) => {
  test("jobs, counts and shred take the rows of this life, and leave every other", async () => {
    const bench = await inEpoch(epoch);
    for (const [at, [, context]] of CASES.entries()) await addRow(bench, context, at);
    const { tenants } = bench;

    const own = CASES.filter(([, , of]) => of === epoch).length;
    for (const [what, context, of] of CASES) {
      const answer = await tenants.keyringOf(context);
      expect("skip" in answer, what).toBe(of !== epoch);
    }
    expect((await tenants.healthOf("acme", { countRecords: true })).records?.unreadable).toBe(own);

    await tenants.offboard("acme");
    expect(await tenants.shred("acme")).toMatchObject({ shredded: own, unreadable: 0, record: { state: "shredded" } });
    const gone = (await bench.dataKeyStore.scan({ limit: 100 })).filter(({ state }) => state === "shredded").map(({ scope }) => scope);
    const expected = CASES.filter(([, , of]) => of === epoch).map(([, context]) => scopeText(new KeyContext(context)));
    expect(gone.filter((scope) => expected.includes(scope)).sort()).toEqual(expected.sort());
    expect(gone).toHaveLength(own);
  });

  test("no data key is made under the context of another life, which a shred would leave", async () => {
    const { tenants, service } = await inEpoch(epoch);
    const [keyring, dataKeys] = [await tenants.keyring("acme"), await tenants.dataKeys("acme")];
    const calls = service.calls();
    for (const text of ["1", "3", "02"]) {
      const other = { "tenant-epoch": text };
      const refused = { code: "invalid-argument" };
      expect(await refusal(() => keyring.createDataKey({ keyContext: other }))).toMatchObject(refused);
      expect(await refusal(() => dataKeys.field({ table: "users", column: "email", scope: other }))).toMatchObject(refused);
    }
    expect(service.calls()).toBe(calls);
  });
});

test("the refusals of an earlier life do not count for the next one", async () => {
  const bench = vendor({ grantSpreadMs: 0 });
  const { tenants, service } = bench;
  const name = await bench.onboard("acme");
  const keyring = await tenants.keyring("acme");
  service.setMode(name, "denied");
  for (let turn = 0; turn < 2; turn++) await refusal(() => keyring.encryptText("x"));
  expect((await tenants.healthOf("acme")).refusals).toBeGreaterThan(0);
  await bench.clock.advance(0);
  await tenants.offboard("acme");
  await tenants.shred("acme");
  await tenants.invite("acme");
  expect((await tenants.healthOf("acme")).refusals).toBe(0);
});

async function inEpoch(epoch: number): Promise<Vendor> {
  const bench = vendor();
  await bench.onboard("acme");
  for (let life = 1; life < epoch; life++) {
    await bench.tenants.offboard("acme");
    await bench.tenants.shred("acme");
    await bench.onboard("acme");
  }
  return bench;
}

async function addRow({ dataKeyStore }: Vendor, context: Context, at: number): Promise<void> {
  await dataKeyStore.insertIfAbsent({
    scope: scopeText(new KeyContext(context)),
    version: 1,
    kid: at.toString(16).padStart(32, "0"),
    state: "active",
    record: new Uint8Array(8),
    proof: null,
    createdAtMs: 0,
    revision: 1,
  });
}
