import { describe, expect, test } from "vitest";
import type { DataKeyStore, StoredDataKey } from "../../src/core/contracts/data-key-store.ts";
import { ScopeLedger } from "../../src/fields/scope-ledger.ts";
import { deferred } from "../support/deferred.ts";
import { watched } from "../support/keks.ts";
import { refusalCode } from "../support/refusal.ts";
import { EMAIL, type World, world } from "./set-up.ts";

const ACME = { ...EMAIL, scope: { tenant: "acme" } };

describe("a scope that was shredded", () => {
  test("stays so in this process, whatever the store shows afterwards", async () => {
    const { open, store, shown } = rollable();
    const dataKeys = open();
    const before = await dataKeys.field(ACME);
    const token = before.encrypt("x");
    const rows = await store.scan({ limit: 10 });
    await dataKeys.shred(ACME.scope);
    shown.rows = rows;
    for (const work of [
      () => dataKeys.field(ACME),
      () => dataKeys.field({ ...ACME, column: "other" }),
      () => dataKeys.rotate(ACME.scope),
      () => before.decrypt(token),
      () => before.decryptAsync(token),
    ]) {
      expect(await refusalCode(work)).toBe("key-shredded");
    }
  });

  test("stays so when another process shredded it, and the scope was evicted since", async () => {
    const { open, clock, store, shown } = rollable();
    const dataKeys = open({ maxScopes: 1 });
    await dataKeys.field(ACME);
    const rows = await store.scan({ limit: 10 });
    await open().shred(ACME.scope);
    await clock.advance(60_000);
    await dataKeys.field({ ...EMAIL, scope: { tenant: "b" } });
    shown.rows = rows;
    expect(await refusalCode(() => dataKeys.field(ACME))).toBe("key-shredded");
  });

  test.each(["list", "unwrap"] as const)("ends a load that was under way in %s", async (where) => {
    const { open, kms, store } = world();
    const token = (await open().field(ACME)).encrypt("x");
    const [entered, gate] = [deferred(), deferred()];
    let isOpen = false;
    const wait = async (): Promise<void> => {
      entered.resolve();
      if (!isOpen) await gate.promise;
    };
    const slow = watched(kms, {
      async unwrap(...call) {
        if (where === "unwrap") await wait();
        return await kms.unwrap(...call);
      },
    });
    const list: DataKeyStore["list"] = async (...call) => {
      const rows = await store.list(...call);
      if (where === "list") await wait();
      return rows;
    };
    const dataKeys = open({ store: { ...store, list } }, { wrapWith: [slow] });
    const loading = refusalCode(() => dataKeys.field(ACME));
    await entered.promise;
    isOpen = true; // for the calls of the shred itself
    expect(await dataKeys.shred(ACME.scope)).toBe(1);
    gate.resolve();
    expect(await loading).toBe("key-shredded");
    expect(await refusalCode(async () => (await dataKeys.field(ACME)).decrypt(token))).toBe("key-shredded");
  });

  test("leaves a scope that never had a key as it was", async () => {
    const dataKeys = world().open();
    expect(await dataKeys.shred(ACME.scope)).toBe(0);
    expect((await dataKeys.field(ACME)).encrypt("x")).not.toBe("");
  });
});

describe("a scope that was evicted and rolled back since", () => {
  test("decrypts what the store still has, and encrypts nothing until the rows are back", async () => {
    const { open, clock, store, shown } = rollable();
    const dataKeys = open({ maxScopes: 1, announceMs: 0 });
    const first = (await dataKeys.field(ACME)).encrypt("1");
    const old = await store.scan({ limit: 10 });
    await dataKeys.rotate(ACME.scope);
    await clock.advance(20_000);
    await dataKeys.field({ ...EMAIL, scope: { tenant: "b" } });
    shown.rows = old;
    const email = await dataKeys.field(ACME);
    expect(email.decrypt(first)).toBe("1");
    expect(await refusalCode(() => email.encrypt("x"))).toBe("provider-failure");
    expect(await refusalCode(() => dataKeys.rotate(ACME.scope))).toBe("provider-failure");
    shown.rows = undefined;
    await clock.advance(60_000);
    expect(email.isCurrent(email.encrypt("x"))).toBe(true);
  });

  test("gets no new first version when all its rows are gone", async () => {
    const { open, clock, store, shown } = rollable();
    const dataKeys = open({ maxScopes: 1 });
    await dataKeys.field(ACME);
    await clock.advance(20_000);
    await dataKeys.field({ ...EMAIL, scope: { tenant: "b" } });
    shown.rows = [];
    const before = (await store.scan({ limit: 10 })).length;
    expect(await refusalCode(async () => (await dataKeys.field(ACME)).encrypt("x"))).toBe("provider-failure");
    expect(await store.scan({ limit: 10 })).toHaveLength(before);
  });
});

describe("what is remembered of a scope", () => {
  const row = (version: number, differences: Partial<StoredDataKey> = {}): StoredDataKey => ({
    scope: "s",
    version,
    kid: `${version}`.padStart(32, "0"),
    state: "active",
    record: new Uint8Array(1),
    proof: null,
    createdAtMs: 1,
    revision: 1,
    ...differences,
  });

  test.each<[string, readonly StoredDataKey[], boolean]>([
    ["the same rows", [row(1), row(2, { revision: 2 })], false],
    ["one row more", [row(1), row(2, { revision: 2 }), row(3)], false],
    ["a row changed since", [row(1, { revision: 7 }), row(2, { revision: 2 })], false],
    ["one row less", [row(1)], true],
    ["no row", [], true],
    ["an older revision", [row(1), row(2)], true],
    ["another kid", [row(1), row(2, { revision: 2, kid: "f".repeat(32) })], true],
    ["another date", [row(1, { createdAtMs: 0 }), row(2, { revision: 2 })], true],
  ])("tells of %s", (_name, rows, isLost) => {
    const ledger = new ScopeLedger();
    expect([ledger.hasSeen("s"), ledger.isLost("s", rows)]).toEqual([false, false]);
    ledger.note("s", [row(1), row(2, { revision: 2 })]);
    expect([ledger.hasSeen("s"), ledger.firstKid("s"), ledger.isLost("s", rows)]).toEqual([true, row(1).kid, isLost]);
    expect(ledger.knownVersions("s", rows)).toBe(
      rows.length >= 2 && rows.every((r, at) => r.kid === row(at + 1).kid && r.createdAtMs === 1) ? 2 : 0,
    );
  });

  test("is one entry for each scope, however long its text", () => {
    const ledger = new ScopeLedger();
    for (let scope = 0; scope < 100; scope++) {
      ledger.note("A".repeat(1300) + scope, [row(1)]);
      ledger.note("A".repeat(1300) + scope, [row(1), row(2)]);
    }
    expect(ledger.size).toBe(100);
    ledger.markShredded(`${"A".repeat(1300)}7`);
    expect([ledger.size, ledger.isShredded(`${"A".repeat(1300)}7`), ledger.isShredded(`${"A".repeat(1300)}8`)]).toEqual([100, true, false]);
  });
});

/** A world whose store can be made to show rows of another time. */
function rollable(): World & { readonly shown: { rows: readonly StoredDataKey[] | undefined } } {
  const shown: { rows: readonly StoredDataKey[] | undefined } = { rows: undefined };
  const base = world();
  const { store } = base;
  const rolled: DataKeyStore = {
    ...store,
    list: async (scope, options) => shown.rows?.filter((row) => row.scope === scope) ?? (await store.list(scope, options)),
    byKid: async (scope, kid, options) =>
      shown.rows === undefined ? await store.byKid(scope, kid, options) : shown.rows.find((row) => row.scope === scope && row.kid === kid),
  };
  return { ...base, shown, open: (options = {}, keyring = {}) => base.open({ store: rolled, ...options }, keyring) };
}
