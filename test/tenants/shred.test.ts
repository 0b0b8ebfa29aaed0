import { describe, expect, test } from "vitest";
import { EnvelockError } from "../../src/core/base/errors.ts";
import type { DataKeyStore, StoredDataKey } from "../../src/core/contracts/data-key-store.ts";
import { memoryStore } from "../../src/fields/stores/memory.ts";
import { refusalCode } from "../support/refusal.ts";
import { type Vendor, vendor } from "./bench.ts";

describe("shred steps over a row that it cannot destroy, and goes on", () => {
  test("a row that cannot be read is counted and named; every other data key of the tenant is gone, and so is the tenant", async () => {
    const faulty = faultyStore();
    const bench = vendor({ dataKeyStore: faulty.store });
    for (const id of ["acme", "other"]) await filled(bench, id);
    const [row] = await rowsOf(bench, "acme");
    faulty.spoil(row, "unreadable");
    await bench.tenants.offboard("acme");
    const report = await bench.tenants.shred("acme");
    expect(report).toMatchObject({ shredded: SCOPES - 1, unreadable: 1, failed: 0, record: { state: "shredded" } });
    expect(report.failures).toMatchObject([{ scope: { tenant: "acme" }, version: 1, error: { code: "malformed-envelope" } }]);
    expect((await rowsOf(bench, "acme")).map(({ state }) => state).sort()).toEqual([...Array(SCOPES - 1).fill("shredded"), "unreadable"]);
    expect((await rowsOf(bench, "other")).every(({ state }) => state === "active")).toBe(true);
    expect(await refusalCode(() => bench.another().dataKeys("acme"))).toBe("key-shredded");

    faulty.spoil(row, "sound"); // mended by hand
    expect(await bench.tenants.shred("acme")).toMatchObject({ shredded: 1, unreadable: 0, record: { state: "shredded" } });
    expect((await rowsOf(bench, "acme")).every(({ state }) => state === "shredded")).toBe(true);
  });

  test("a data key that the store does not let go holds back the state, and nothing else; run again, it ends", async () => {
    const faulty = faultyStore();
    const bench = vendor({ dataKeyStore: faulty.store });
    await filled(bench, "acme");
    const [, row] = await rowsOf(bench, "acme");
    faulty.spoil(row, "fixed");
    await bench.tenants.offboard("acme");
    const report = await bench.tenants.shred("acme");
    expect(report).toMatchObject({ shredded: SCOPES - 1, unreadable: 0, failed: 1, record: { state: "offboarding" } });
    expect(report.failures).toMatchObject([{ error: { code: "provider-failure" } }]);
    faulty.spoil(row, "sound");
    expect(await bench.tenants.shred("acme")).toMatchObject({ shredded: 1, failed: 0, failures: [], record: { state: "shredded" } });
  });

  test("rows that the store does not let go for one reason are one failure, which says how many", async () => {
    const away = new EnvelockError("unavailable", "the store takes no changes");
    const store = memoryStore();
    let isAway = false;
    const compareAndSwap: DataKeyStore["compareAndSwap"] = async (...change) => {
      if (isAway) throw away;
      return await store.compareAndSwap(...change);
    };
    const bench = vendor({ dataKeyStore: { ...store, compareAndSwap } });
    await filled(bench, "acme");
    isAway = true;
    await bench.tenants.offboard("acme");
    const { failed, failures } = await bench.tenants.shred("acme");
    expect(failed).toBe(SCOPES);
    expect(failures).toMatchObject([{ error: { code: "unavailable" }, rows: SCOPES }]);
  });

  test("a row without a readable scope is named, and holds up no move of any tenant", async () => {
    const faulty = faultyStore();
    const bench = vendor({ dataKeyStore: faulty.store });
    for (const id of ["acme", "other"]) await filled(bench, id);
    faulty.lose((await rowsOf(bench, "other"))[0]);
    bench.service.addKey("vaults/acme/keys/second");
    await bench.tenants.stage("acme", { kind: "fake", key: "vaults/acme/keys/second" });
    await bench.tenants.verify("acme");
    expect(await bench.clock.finish(bench.tenants.move("acme"))).toMatchObject({ step: "retired", failed: 0, rewrapped: SCOPES });
    await bench.tenants.offboard("acme");
    expect(await bench.tenants.shred("acme")).toMatchObject({
      shredded: SCOPES,
      unreadable: 1,
      failures: [{ scope: undefined }],
      record: { state: "shredded" },
    });
  });

  test("a row of another tenant that cannot be read holds up no move", async () => {
    const faulty = faultyStore();
    const bench = vendor({ dataKeyStore: faulty.store });
    for (const id of ["acme", "other"]) await filled(bench, id);
    faulty.spoil((await rowsOf(bench, "other"))[0], "unreadable");
    bench.service.addKey("vaults/acme/keys/second");
    await bench.tenants.stage("acme", { kind: "fake", key: "vaults/acme/keys/second" });
    await bench.tenants.verify("acme");
    expect(await bench.clock.finish(bench.tenants.move("acme"))).toMatchObject({ step: "retired", failed: 0, failures: [] });
  });
});

const SCOPES = 5;

async function filled(bench: Vendor, id: string): Promise<void> {
  await bench.onboard(id);
  const dataKeys = await bench.tenants.dataKeys(id);
  for (let at = 0; at < SCOPES; at++) await dataKeys.field({ table: "users", column: "email", scope: { project: `${at}` } });
}

async function rowsOf({ dataKeyStore }: Vendor, id: string): Promise<readonly StoredDataKey[]> {
  return (await dataKeyStore.scan({ limit: 1000 })).filter(({ scope }) =>
    atob(scope.replaceAll("-", "+").replaceAll("_", "/")).includes(id),
  );
}

/** A memory store with rows that are reported as unreadable, or that it does not change. */
function faultyStore(): {
  readonly store: DataKeyStore;
  spoil(row: StoredDataKey | undefined, how: "unreadable" | "fixed" | "sound"): void;
  /** Puts nonsense in place of the scope of a row. */
  lose(row: StoredDataKey | undefined): void;
} {
  const sound = memoryStore();
  const spoilt = new Map<string, "unreadable" | "fixed" | "lost">();
  const seen = (row: StoredDataKey): StoredDataKey => {
    const how = spoilt.get(row.kid);
    if (how === "lost") return { ...row, scope: "!!!" };
    return how === "unreadable" ? { ...row, kid: "", state: "unreadable", record: null, revision: 0 } : row;
  };
  return {
    store: {
      ...sound,
      async scan(page, options) {
        return (await sound.scan(page, options))
          .map(seen)
          .sort((a, b) => (a.scope < b.scope ? -1 : a.scope > b.scope ? 1 : a.version - b.version));
      },
      async compareAndSwap(row, expected, options) {
        if (spoilt.get(row.kid) === "fixed") throw new Error("permission denied for this row");
        return await sound.compareAndSwap(row, expected, options);
      },
    },
    spoil(row, how) {
      if (row === undefined) throw new Error("no row");
      if (how === "sound") spoilt.delete(row.kid);
      else spoilt.set(row.kid, how);
    },
    lose(row) {
      if (row === undefined) throw new Error("no row");
      spoilt.set(row.kid, "lost");
    },
  };
}
