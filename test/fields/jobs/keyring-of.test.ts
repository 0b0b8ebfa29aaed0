import { describe, expect, test } from "vitest";
import type { Context } from "../../../src/core/base/context.ts";
import { EnvelockError } from "../../../src/core/base/errors.ts";
import type { DataKeyStore } from "../../../src/core/contracts/data-key-store.ts";
import type { KeyProvider } from "../../../src/core/contracts/key-provider.ts";
import { Keyring } from "../../../src/core/keyring/keyring.ts";
import { DataKeys } from "../../../src/fields/data-keys.ts";
import type { Checkpoint } from "../../../src/fields/jobs/checkpoint.ts";
import { memoryStore } from "../../../src/fields/stores/memory.ts";
import { deferred } from "../../support/deferred.ts";
import { kek, type WatchedProvider, watched } from "../../support/keks.ts";
import { refusalCode } from "../../support/refusal.ts";
import { untyped } from "../../support/untyped.ts";
import { EMAIL } from "../set-up.ts";

const VERSIONS = 3;

/** Tenants with keys of their own in one table: three versions each, under the KEK `<name>-old`. */
async function tenantsOf(names: readonly string[], store: DataKeyStore = memoryStore()): Promise<Tenants> {
  const oldKeys = new Map(names.map((name) => [name, watched(kek(`${name}-old`))]));
  for (const [tenant, key] of oldKeys) {
    const dataKeys = new DataKeys({ keyring: new Keyring({ wrapWith: [key], context: { tenant } }), store });
    for (let version = 1; version <= VERSIONS; version++) await dataKeys.rotate(undefined, { immediately: true });
    await dataKeys.close();
    key.calls.length = 0;
  }
  const oldOf = (tenant: string): WatchedProvider => oldKeys.get(tenant) ?? watched(kek());
  return {
    store,
    oldOf,
    vendor: new DataKeys({ keyring: new Keyring(kek("platform")), store }),
    keyringOf: ({ tenant = "" }, old = oldOf(tenant)) =>
      new Keyring({ wrapWith: [kek(`${tenant}-new`)], unwrapWith: [old], context: { tenant } }),
  };
}

interface Tenants {
  readonly store: DataKeyStore;
  /** The data keys of the vendor, whose own keyring opens no tenant's rows. */
  readonly vendor: DataKeys;
  oldOf(tenant: string): WatchedProvider;
  /** Makes the keyring that moves a tenant from its old KEK to its new one. */
  keyringOf(scope: Context, old?: KeyProvider): Keyring;
}

function tenantIn({ tenant = "" }: Context): string {
  return tenant;
}

function denied(inner: KeyProvider): WatchedProvider {
  const refuse = async (): Promise<never> => {
    throw new EnvelockError("access-denied", "taken away");
  };
  return watched(inner, { unwrap: refuse });
}

describe("keyringOf", () => {
  test("gives each scope its own keyring, and the report counts by scope", async () => {
    const { vendor, keyringOf, oldOf } = await tenantsOf(["a", "b"]);
    const report = await vendor.rewrapAll({ keyringOf });
    expect(report).toMatchObject({ rows: 6, stale: 6, rewrapped: 6, failed: 0, skipped: 0, foreign: 0 });
    expect(report.retirable.map(({ keyId }) => keyId)).toEqual(["a-old", "b-old"]);
    expect(report.scopes).toEqual(
      ["a", "b"].map((tenant) => ({
        scope: { tenant },
        purpose: "fields",
        rows: VERSIONS,
        done: VERSIONS,
        failed: 0,
        error: undefined,
        skipped: undefined,
        keyVersions: [{ provider: "local", keyId: `${tenant}-new` }],
      })),
    );
    expect(oldOf("a").calls).toEqual(Array(VERSIONS).fill("unwrap"));
    const moved = { keyringOf: (scope: Context) => keyringOf(scope, kek("gone")) };
    expect(await vendor.verifyAll(moved)).toMatchObject({ opened: 6, failed: 0, scopes: [{ done: VERSIONS }, { done: VERSIONS }] });
    expect(await vendor.proveAll(moved)).toMatchObject({ proven: 0, failed: 0, scopes: [{ done: 0 }, { done: 0 }] });
  });

  test("without it nothing is counted by scope", async () => {
    const { vendor } = await tenantsOf(["a"]);
    expect(await vendor.verifyAll()).toMatchObject({ rows: 3, failed: 3, skipped: 0, scopes: [] });
  });

  test("is asked once for each scope of a page, also for the keys of blind indexes, with the scope as DataKeys takes it", async () => {
    const { vendor, keyringOf, store, oldOf } = await tenantsOf(["a", "b"]);
    const dataKeys = new DataKeys({ keyring: new Keyring({ wrapWith: [oldOf("a")], context: { tenant: "a" } }), store });
    await dataKeys.field({ ...EMAIL, blindIndex: { bits: 16 } });
    const asked: Context[] = [];
    const report = await vendor.verifyAll({
      keyringOf: (scope) => {
        asked.push(scope);
        return keyringOf(scope);
      },
    });
    expect(report).toMatchObject({ rows: 7, opened: 7 });
    expect(asked.map(({ tenant }) => tenant).sort()).toEqual(["a", "a", "b"]);
    expect(asked.every((scope) => Object.keys(scope).length === 1)).toBe(true);
    expect(report.scopes.map(({ scope, purpose, rows }) => [tenantIn(scope), purpose, rows]).sort()).toEqual([
      ["a", "blind-indexes", 1],
      ["a", "fields", 3],
      ["b", "fields", 3],
    ]);
  });

  test("a tenant whose key is taken away is listed and stepped over, after one call in each pass", async () => {
    const { vendor, keyringOf, oldOf } = await tenantsOf(["a", "b", "c"]);
    const gone = denied(oldOf("b"));
    const report = await vendor.rewrapAll({ keyringOf: (scope) => keyringOf(scope, tenantIn(scope) === "b" ? gone : undefined) });
    expect(report).toMatchObject({ rows: 9, stale: 6 + 1, rewrapped: 6, failed: VERSIONS });
    expect(report.failures).toMatchObject([{ scope: { tenant: "b" }, version: 1, error: { code: "access-denied" }, rows: VERSIONS }]);
    expect(report.retirable.map(({ keyId }) => keyId)).toEqual(["a-old", "c-old"]); // b's rows still name b-old
    expect(report.scopes[1]).toMatchObject({
      scope: { tenant: "b" },
      done: 0,
      failed: VERSIONS,
      error: { code: "access-denied" },
      keyVersions: [{ keyId: "b-old" }],
    });
    expect(gone.calls).toEqual(["unwrap", "unwrap"]);
    expect(await vendor.rewrapAll({ keyringOf })).toMatchObject({ rewrapped: VERSIONS, failed: 0, retirable: [{ keyId: "b-old" }] });
  });

  test("a tenant that is refused before any call is listed and stepped over, and one that is skipped is left alone", async () => {
    const { vendor, keyringOf, oldOf, store } = await tenantsOf(["a", "b", "c"]);
    const before = await store.scan({ limit: 100 });
    const report = await vendor.rewrapAll({
      async keyringOf(scope) {
        if (tenantIn(scope) === "a") throw new EnvelockError("access-denied", "the tenant is suspended", { whose: "tenant" });
        return tenantIn(scope) === "b" ? { skip: "being moved" } : keyringOf(scope);
      },
    });
    expect(report).toMatchObject({ rows: 9, rewrapped: 3, failed: 3, skipped: 3, retirable: [{ keyId: "c-old" }] });
    expect(report.scopes).toMatchObject([
      { scope: { tenant: "a" }, failed: 3, error: { whose: "tenant" }, skipped: undefined, keyVersions: [{ keyId: "a-old" }] },
      { scope: { tenant: "b" }, failed: 0, error: undefined, skipped: "being moved", keyVersions: [{ keyId: "b-old" }] },
      { scope: { tenant: "c" }, failed: 0, done: 3, skipped: undefined, keyVersions: [{ keyId: "c-new" }] },
    ]);
    expect([...oldOf("a").calls, ...oldOf("b").calls]).toEqual([]);
    expect((await store.scan({ limit: 6 })).map(({ record }) => record)).toEqual(before.slice(0, 6).map(({ record }) => record));
  });

  test("a keyring of another tenant opens nothing, and no provider is called", async () => {
    const { vendor, keyringOf, oldOf } = await tenantsOf(["a", "b"]);
    const report = await vendor.verifyAll({ keyringOf: () => keyringOf({ tenant: "a" }, oldOf("b")) });
    expect(report).toMatchObject({ failed: 2 * VERSIONS, scopes: [{ error: { code: "no-matching-provider" } }, { failed: VERSIONS }] });
    expect(report.scopes[1]?.error).toMatchObject({ code: "invalid-argument", message: expect.stringContaining('"tenant"') });
    expect(oldOf("b").calls).toEqual([]);
  });

  test("a key service that hangs holds one worker, and not the rows of other tenants", async () => {
    const { vendor, keyringOf, oldOf } = await tenantsOf(["a", "b", "c", "d"]);
    const othersDone = deferred();
    let calls = 0;
    const counting = (inner: KeyProvider): KeyProvider => ({
      ...inner,
      owns: (keyId) => inner.owns(keyId),
      async unwrap(recipient, options) {
        const key = await inner.unwrap(recipient, options);
        calls++;
        if (calls === 3 * VERSIONS) othersDone.resolve();
        return key;
      },
    });
    const hanging = watched(oldOf("a"), {
      async unwrap() {
        await othersDone.promise;
        throw new EnvelockError("timeout", "no answer", { retryable: false });
      },
    });
    const report = await vendor.verifyAll({
      concurrency: 2,
      keyringOf: (scope) => keyringOf(scope, tenantIn(scope) === "a" ? hanging : counting(oldOf(tenantIn(scope)))),
    });
    expect(report).toMatchObject({ opened: 9, failed: 3 });
  });

  test("another rejection is the caller's mistake, and ends the job", async () => {
    const { vendor } = await tenantsOf(["a"]);
    const mistake = new TypeError("no such map");
    await expect(vendor.verifyAll({ keyringOf: () => Promise.reject(mistake) })).rejects.toBe(mistake);
  });

  test("what is no function is refused at once, and what is no keyring for its scope", async () => {
    const { vendor } = await tenantsOf(["a"]);
    const keyringOf: () => Keyring = untyped(7);
    for (const job of [vendor.rewrapAll({ keyringOf }), vendor.verifyAll({ keyringOf }), vendor.proveAll({ keyringOf })]) {
      expect(await refusalCode(() => job)).toBe("invalid-argument");
    }
    const report = await vendor.verifyAll({ keyringOf: () => untyped(undefined) });
    expect(report.scopes).toMatchObject([{ failed: 3, error: { code: "invalid-argument" } }]);
  });
});

describe("a checkpoint of a job with keyringOf", () => {
  test("is set behind the rows of a tenant whose key fails, and those are met again", async () => {
    const names = Array.from({ length: 100 }, (_, at) => `t${at}`);
    const { vendor, keyringOf, store } = await tenantsOf(names);
    const [first] = await store.scan({ limit: 1 });
    let saved: string | undefined;
    const checkpoint: Checkpoint = {
      load: async () => saved,
      async save(state) {
        saved = state;
        if (state !== undefined) throw new Error("killed");
      },
    };
    const failing = { keyringOf: (scope: Context) => keyringOf(scope, tenantIn(scope) === "t0" ? denied(kek("t0-old")) : undefined) };
    await expect(vendor.rewrapAll({ ...failing, checkpoint })).rejects.toThrow("killed");
    expect(saved).toContain('"rows":256');

    const keep = async (state: string | undefined): Promise<void> => {
      saved = state;
    };
    const pages: (string | undefined)[] = [];
    const watching: DataKeyStore = {
      ...store,
      async scan(page, options) {
        pages.push(page.after?.scope);
        return await store.scan(page, options);
      },
    };
    const again = new DataKeys({ keyring: new Keyring(kek("platform")), store: watching });
    const report = await again.rewrapAll({
      ...failing,
      checkpoint: { load: async () => saved, save: keep },
    });
    expect(pages[0]).not.toBeUndefined();
    expect(pages[0] === first?.scope).toBe(false);
    expect(report).toMatchObject({ rows: 300, rewrapped: 297, failed: 3 });
    expect(report.failures).toMatchObject([{ scope: { tenant: "t0" }, rows: VERSIONS }]);
    expect(report.retirable).toHaveLength(99);
    expect(saved).toBeUndefined(); // so that the next run begins at the first row
    expect(await vendor.rewrapAll({ keyringOf })).toMatchObject({ rewrapped: 3, failed: 0 });
  });
});
