import { describe, expect, test } from "vitest";
import { generateKeysetKey, localKeyPair } from "../../providers/local/index.ts";
import type { StoredDataKey } from "../../src/core/contracts/data-key-store.ts";
import type { DataKey } from "../../src/core/data-key/data-key.ts";
import { Keyring } from "../../src/core/keyring/keyring.ts";
import { memoryStore } from "../../src/fields/stores/memory.ts";
import { refusal, refusalCode } from "../support/refusal.ts";
import { EMAIL, type World, world } from "./set-up.ts";

// The KEK is a key pair: its public half wraps, and anybody may have it. What the attacker has is that half, and the store.

describe("a data key that a writer of the store plants", () => {
  test("format.md [M-102] is not taken by a running process, which goes on with what it had and says so", async () => {
    const { open, clock, store, plant } = await attacked();
    const failures: unknown[] = [];
    const dataKeys = open({ onFailure: (error) => failures.push(error) });
    const email = await dataKeys.field(EMAIL);
    const before = email.encrypt("x");
    const planted = await plant(2, { createdAtMs: 0 });
    await clock.advance(600_000);
    const token = email.encrypt("y");
    expect([email.isCurrent(before), email.isCurrent(token), email.decrypt(token)]).toEqual([true, true, "y"]);
    expect(failures).toContainEqual(expect.objectContaining({ code: "authentication-failed", hint: expect.stringContaining("remove") }));
    // nor does it open what the attacker encrypts
    const forged = planted.encryptToken(new TextEncoder().encode("forged"), { table: "users", column: "email" });
    expect(await refusalCode(() => email.decrypt(forged))).toBe("authentication-failed");
    expect(await refusalCode(() => email.decryptAsync(forged))).toBe("authentication-failed");
    expect(await refusalCode(() => dataKeys.rotate())).toBe("authentication-failed");
    expect(await store.list("")).toHaveLength(2);
  });

  test("is refused by a process that starts, which names the row; without it all is well", async () => {
    const { open, store, plant } = await attacked();
    const token = (await open().field(EMAIL)).encrypt("x");
    const rows = await store.list("");
    const planted = await plant(2);
    const error = await refusal(() => open().field(EMAIL));
    expect([error.code, error.message]).toEqual(["authentication-failed", expect.stringContaining(planted.kid)]);
    const without = open({ store: { ...store, list: async () => rows } });
    expect((await without.field(EMAIL)).decrypt(token)).toBe("x");
  });

  test("is not fetched by its kid, though the list does not show it", async () => {
    const { open, store, plant } = await attacked();
    const rows = await open()
      .field(EMAIL)
      .then(() => store.list(""));
    const planted = await plant(2);
    const email = await open({ store: { ...store, list: async () => rows } }).field(EMAIL);
    const forged = planted.encryptToken(new TextEncoder().encode("forged"), { table: "users", column: "email" });
    expect(await refusalCode(() => email.decryptAsync(forged))).toBe("authentication-failed");
  });

  test("takes no proof of another version, row or scope", async () => {
    const { open, store, plant } = await attacked();
    const dataKeys = open();
    await dataKeys.field(EMAIL);
    await dataKeys.rotate();
    const [, second] = await store.list("");
    await plant(3, { proof: second?.proof ?? null });
    expect(await refusalCode(() => open().field(EMAIL))).toBe("authentication-failed");
    expect(await refusalCode(() => dataKeys.rotate())).toBe("authentication-failed");
  });

  test("is not taken when it takes the place of the newest version, or of the first", async () => {
    const { open, clock, store, plant } = await attacked();
    const seen = open({ announceMs: 0 });
    const email = await seen.field(EMAIL);
    await seen.rotate();
    const token = email.encrypt("x");
    const honest = await store.list("");
    const planted = await plant(4); // a row to copy the record from
    const [evil] = (await store.list("")).filter(({ kid }) => kid === planted.kid);
    if (evil === undefined) throw new Error("no row");
    for (const version of [1, 2]) {
      const shown = honest.map((row) => (row.version === version ? { ...row, kid: evil.kid, record: evil.record } : row));
      const failing = { ...store, list: async () => shown };
      if (version === 2) expect(await refusalCode(() => open({ store: failing }).field(EMAIL))).toBe("authentication-failed");
      // format.md [M-103]: a whole new chain fools only those that have seen none
      const running = open({ store: failing, announceMs: 0 });
      expect(await refusalCode(() => running.field(EMAIL)), `${version}`).toBe("authentication-failed");
    }
    await clock.advance(60_000);
    expect(email.decrypt(token)).toBe("x");
  });

  test("format.md [M-103] in place of a first version that was seen is refused, also once the scope was evicted", async () => {
    const { open, clock, store, plant } = await attacked();
    const shown: { rows?: readonly StoredDataKey[] } = {};
    const dataKeys = open({
      store: { ...store, list: async (scope) => (scope === "" ? shown.rows : undefined) ?? store.list(scope) },
      maxScopes: 1,
    });
    await dataKeys.field(EMAIL);
    await clock.advance(20_000);
    await dataKeys.field({ ...EMAIL, scope: { tenant: "other" } }); // evicts
    const planted = await plant(2);
    shown.rows = (await store.list("")).filter(({ kid }) => kid === planted.kid).map((row) => ({ ...row, version: 1, proof: null }));
    expect(await refusalCode(() => dataKeys.field(EMAIL))).toBe("authentication-failed");
  });
});

describe("a proof", () => {
  test("format.md [M-101] is written by each rotation, and survives a rewrap", async () => {
    const { open, rows, store } = world();
    const dataKeys = open();
    const email = await dataKeys.field(EMAIL);
    for (let version = 2; version <= 4; version++) await dataKeys.rotate(undefined, { immediately: true });
    const token = email.encrypt("x");
    expect((await rows()).map(({ proof }) => proof?.length)).toEqual([undefined, 35, 35, 35]);
    const [first] = await rows();
    if (first?.record != null) await store.compareAndSwap({ ...first, record: first.record, revision: first.revision + 1 }, first.revision);
    expect((await open().field(EMAIL)).decrypt(token)).toBe("x");
  });

  test("format.md [M-105] covers the date: a version cannot be made to look announced", async () => {
    const { open, clock, store } = world();
    const running = open();
    const email = await running.field(EMAIL);
    const token = email.encrypt("x");
    await running.rotate();
    const list: typeof store.list = async (scope) =>
      (await store.list(scope)).map((row) => (row.version === 2 ? { ...row, createdAtMs: row.createdAtMs - 600_000 } : row));
    expect(await refusalCode(() => open({ store: { ...store, list } }).field(EMAIL))).toBe("authentication-failed");
    await clock.advance(30_000);
    expect(email.encrypt("y").slice(0, 22)).toBe(token.slice(0, 22)); // not yet
  });

  test("is not needed by a version that the caller vouches for, and whose successors it proves", async () => {
    const { open, store } = world();
    const dataKeys = open();
    await dataKeys.field(EMAIL);
    const { kid } = await dataKeys.rotate();
    await dataKeys.rotate();
    const list: typeof store.list = async (scope) =>
      (await store.list(scope)).filter(({ version }) => version > 1).map((row) => (row.version === 2 ? { ...row, proof: null } : row));
    const lacking = { ...store, list };
    expect(await refusalCode(() => open({ store: lacking }).field(EMAIL))).toBe("authentication-failed");
    const email = await open({ store: lacking, vouchedKids: [kid], announceMs: 0 }).field(EMAIL);
    expect(email.isCurrent(email.encrypt("x"))).toBe(true);
  });

  test("that a store forgets is missed", async () => {
    const { open, store } = world();
    const dataKeys = open();
    await dataKeys.field(EMAIL);
    await dataKeys.rotate();
    const list: typeof store.list = async (scope) => (await store.list(scope)).map((row) => ({ ...row, proof: null }));
    expect(await refusalCode(() => open({ store: { ...store, list } }).field(EMAIL))).toBe("authentication-failed");
  });
});

interface Attacked extends World {
  /** Adds a row as the attacker can. @returns the data key in it, which the attacker knows */
  plant(version: number, differences?: Partial<StoredDataKey>): Promise<DataKey>;
}

async function attacked(): Promise<Attacked> {
  const pair = await generateKeysetKey({ type: "x25519", keyId: "kek", created: "2026-01-01T00:00:00Z" });
  if (!("publicKey" in pair) || pair.secret === undefined) throw new Error("no key pair");
  const { publicKey, secret } = pair;
  const base = world(memoryStore());
  const open: World["open"] = (options = {}) =>
    base.open({
      keyring: new Keyring({ wrapWith: [localKeyPair({ keyId: "kek", publicKey, privateKey: secret })], clock: base.clock }),
      ...options,
    });
  const plant: Attacked["plant"] = async (version, differences = {}) => {
    const evil = new Keyring(localKeyPair({ keyId: "kek", publicKey }));
    const { dataKey, keyRecord: record } = await evil.createDataKey();
    const createdAtMs = base.clock.unixMs() - 86_400_000;
    const row = { scope: "", version, kid: dataKey.kid, state: "active", record, proof: null, createdAtMs, revision: 1 } as const;
    if (!(await base.store.insertIfAbsent({ ...row, ...differences }))) throw new Error("there is such a row already");
    return dataKey;
  };
  return { ...base, open, plant };
}
