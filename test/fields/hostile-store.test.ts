import { describe, expect, test } from "vitest";
import type { DataKeyStore, StoredDataKey } from "../../src/core/contracts/data-key-store.ts";
import { memoryStore } from "../../src/fields/stores/memory.ts";
import { noise } from "../support/arbitraries.ts";
import { kek } from "../support/keks.ts";
import { refusal, refusalCode } from "../support/refusal.ts";
import { untyped } from "../support/untyped.ts";
import { EMAIL, type World, world } from "./set-up.ts";

const ACME = { ...EMAIL, scope: { tenant: "acme" } };

describe("a store that lies", () => {
  test.each<[string, (row: StoredDataKey, others: Others) => Partial<StoredDataKey>, string]>([
    ["a record cut short", (row) => ({ record: row.record?.subarray(0, -1) ?? null }), "malformed-envelope"],
    ["an empty record", () => ({ record: new Uint8Array(0) }), "malformed-envelope"],
    ["a record with a byte changed", (row) => ({ record: changed(row.record) }), "authentication-failed"],
    ["the record of another version", (_, { version }) => ({ record: version.record }), "authentication-failed"],
    ["record and name of another scope", (_, { scope }) => ({ record: scope.record, kid: scope.kid }), "authentication-failed"],
    ["the row of another scope", (_, { scope }) => scope, "authentication-failed"],
    [
      "a record under a key that is not configured",
      (_, { foreign }) => ({ record: foreign.record, kid: foreign.kid }),
      "no-matching-provider",
    ],
    ["a live row without a record", () => ({ record: null }), "malformed-envelope"],
    ["a shredded row with a record", () => ({ state: "shredded" }), "malformed-envelope"],
    ["an unknown state", () => ({ state: untyped("blessed") }), "malformed-envelope"],
    ["another name", () => ({ kid: "0".repeat(32) }), "authentication-failed"],
    ["a name that is none", () => ({ kid: "x" }), "malformed-envelope"],
    ["version 0", () => ({ version: 0 }), "malformed-envelope"],
    ["no revision", () => ({ revision: untyped(undefined) }), "malformed-envelope"],
    ["no date", () => ({ createdAtMs: Number.NaN }), "malformed-envelope"],
  ])("shows %s: refused", async (_name, change, code) => {
    const honest = world();
    await honest.open().field(EMAIL);
    await honest.open().rotate();
    await honest.open().field(ACME);
    const [version, row] = await honest.rows();
    const [scope] = (await honest.store.scan({ limit: 10 })).filter((other) => other.scope !== "");
    const [foreign] = await strangersRows();
    if (version === undefined || row === undefined || scope === undefined || foreign === undefined) throw new Error("no rows");
    const store = showing(honest.store, (shown) =>
      shown.version === row.version && shown.scope === "" ? { ...shown, ...change(row, { version, scope, foreign }) } : shown,
    );
    expect(await refusalCode(() => honest.open({ store }).field(EMAIL))).toBe(code);
  });

  test("shows one version twice: refused", async () => {
    const honest = world();
    await honest.open().field(EMAIL);
    const list: DataKeyStore["list"] = async (scope) => [...(await honest.store.list(scope)), ...(await honest.store.list(scope))];
    expect(await refusalCode(() => honest.open({ store: { ...honest.store, list } }).field(EMAIL))).toBe("malformed-envelope");
  });

  test("answers for a kid with another row: refused", async () => {
    const honest = world();
    const dataKeys = honest.open();
    const email = await dataKeys.field(EMAIL);
    const token = email.encrypt("x");
    await dataKeys.rotate(undefined, { immediately: true });
    const byKid: DataKeyStore["byKid"] = async (scope) => (await honest.store.list(scope))[1];
    const other = await honest.open({ store: { ...honest.store, byKid }, maxVersions: 1 }).field(EMAIL);
    expect(await refusalCode(() => other.decryptAsync(token))).toBe("authentication-failed");
  });

  test("breaks an old version: its tokens alone are lost, and say why; who starts anew needs somebody to vouch for the next", async () => {
    const honest = world();
    const dataKeys = honest.open();
    const token = (await dataKeys.field(EMAIL)).encrypt("x");
    const { kid } = await dataKeys.rotate();
    const store = showing(honest.store, (row) => (row.version === 1 ? { ...row, record: changed(row.record) } : row));
    const error = await refusal(() => honest.open({ store, announceMs: 0 }).field(EMAIL));
    expect([error.code, error.hint]).toEqual(["authentication-failed", expect.stringContaining("vouchedKids")]);
    const email = await honest.open({ store, announceMs: 0, vouchedKids: [kid] }).field(EMAIL);
    expect(email.decrypt(email.encrypt("y"))).toBe("y");
    expect(await refusalCode(() => email.decrypt(token))).toBe("authentication-failed");
  });

  test("does not keep what it took: refused before anything is encrypted", async () => {
    const store: DataKeyStore = { ...memoryStore(), insertIfAbsent: async () => true };
    expect(await refusalCode(() => world(store).open().field(EMAIL))).toBe("provider-failure");
  });

  test("never takes a change: the call ends", async () => {
    const honest = world();
    await honest.open().field(EMAIL);
    const stuck = honest.open({ store: { ...honest.store, compareAndSwap: async () => false } });
    expect(await refusalCode(() => stuck.shred())).toBe("provider-failure");
    expect(await refusalCode(() => stuck.rotate())).toBe("provider-failure");
  });

  test("fails with a native error: that is the cause", async () => {
    const native = new Error("relation does not exist");
    const error = await refusal(() =>
      world({ ...memoryStore(), list: () => Promise.reject(native) })
        .open()
        .field(EMAIL),
    );
    expect([error.code, error.cause]).toEqual(["provider-failure", native]);
  });
});

describe("a store that is rolled back", () => {
  test("takes no new data from a running process, which still decrypts; it takes some again when the rows are back", async () => {
    const { open, clock, store, rows } = world();
    const isBack = { value: false };
    const failing = showingRows(store, (all) => (isBack.value ? all.filter(({ version }) => version === 1) : all));
    const dataKeys = open({ store: failing, announceMs: 0 });
    const email = await dataKeys.field(EMAIL);
    await dataKeys.rotate();
    const token = email.encrypt("x");
    isBack.value = true;
    await clock.advance(60_000);
    expect(await rows()).toHaveLength(2);
    const error = await refusal(() => email.encrypt("y"));
    expect([error.code, error.hint !== undefined]).toEqual(["provider-failure", true]);
    expect(email.decrypt(token)).toBe("x");
    isBack.value = false;
    await clock.advance(60_000);
    expect(email.decrypt(email.encrypt("y"))).toBe("y");
  });

  test("does not bring back what this process knows to be shredded", async () => {
    const { open, clock, store } = world();
    const email = await open().field(EMAIL);
    const token = email.encrypt("x");
    const [row] = await store.list("");
    await open().shred();
    await clock.advance(60_000);
    if (row !== undefined) await store.compareAndSwap({ ...row, revision: 3 }, 2);
    await clock.advance(600_000);
    expect(await refusalCode(() => email.decrypt(token))).toBe("key-shredded");
    expect(await refusalCode(() => email.decryptAsync(token))).toBe("key-shredded");
  });
});

describe("a store that is down", () => {
  test("is not noticed for maxStaleMs, then stops everything, then goes on", async () => {
    const { open, clock, store } = world();
    const isDown = { value: false };
    const failures: unknown[] = [];
    const list: DataKeyStore["list"] = (scope) => (isDown.value ? Promise.reject(new Error("down")) : store.list(scope));
    const email = await open({ store: { ...store, list }, onFailure: (error) => failures.push(error) }).field(EMAIL);
    const token = email.encrypt("x");
    isDown.value = true;
    await clock.advance(240_000);
    expect(email.decrypt(token)).toBe("x");
    await clock.advance(120_000);
    for (const work of [() => email.decrypt(token), () => email.encrypt("y"), () => email.decryptAsync(token)]) {
      expect(await refusal(work)).toMatchObject({ code: "unavailable", retryable: true });
    }
    expect(failures).toContainEqual(expect.objectContaining({ code: "provider-failure" }));
    isDown.value = false;
    await clock.advance(60_000);
    expect(email.decrypt(token)).toBe("x");
  });

  test("and never answers: a caller's abort ends that caller's wait", async () => {
    const { open, store } = world();
    const dataKeys = open({ store: { ...store, list: () => new Promise(() => undefined) } });
    const controller = new AbortController();
    const waiting = dataKeys.field({ ...EMAIL, signal: controller.signal });
    controller.abort(new Error("enough"));
    await expect(waiting).rejects.toThrow("enough");
  });
});

interface Others {
  readonly version: StoredDataKey;
  readonly scope: StoredDataKey;
  readonly foreign: StoredDataKey;
}

/** A store that shows each row as `change` makes it. */
function showing(store: DataKeyStore, change: (row: StoredDataKey) => StoredDataKey): DataKeyStore {
  return showingRows(store, (rows) => rows.map(change));
}

function showingRows(store: DataKeyStore, change: (rows: readonly StoredDataKey[]) => readonly StoredDataKey[]): DataKeyStore {
  return {
    ...store,
    list: async (scope) => change(await store.list(scope)),
    byKid: async (scope, kid) => change(await store.list(scope)).find((row) => row.kid === kid),
  };
}

/** Rows of the same scope under another key service. */
async function strangersRows(): Promise<readonly StoredDataKey[]> {
  const stranger: World = world();
  await stranger.open({}, { wrapWith: [kek("stranger")] }).field(EMAIL);
  return await stranger.rows();
}

function changed(record: Uint8Array | null): Uint8Array {
  const copy = Uint8Array.from(record ?? noise(1));
  copy[copy.length - 1] = (copy[copy.length - 1] ?? 0) ^ 1;
  return copy;
}
