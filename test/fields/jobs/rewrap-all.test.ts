import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { copyOf } from "../../../src/core/base/bytes.ts";
import { EnvelockError } from "../../../src/core/base/errors.ts";
import type { DataKeyStore } from "../../../src/core/contracts/data-key-store.ts";
import type { KeyProvider } from "../../../src/core/contracts/key-provider.ts";
import { Keyring } from "../../../src/core/keyring/keyring.ts";
import { DataKeys } from "../../../src/fields/data-keys.ts";
import type { Checkpoint } from "../../../src/fields/jobs/checkpoint.ts";
import { memoryStore } from "../../../src/fields/stores/memory.ts";
import { kek, watched } from "../../support/keks.ts";
import { refusalCode } from "../../support/refusal.ts";

const EMAIL = { table: "users", column: "email" } as const;

describe("rewrapAll", () => {
  test("wraps every stale record anew, and says which KEK versions no record names any more", async () => {
    const { store, old, next, tokens } = await storeOf(10);
    const before = await store.scan({ limit: 1000 });
    const report = await keysOf(store, [next], [old]).rewrapAll();
    expect(report).toMatchObject({ rows: 10, stale: 10, rewrapped: 10, failed: 0, shredded: 0, foreign: 0 });
    expect(report.keyVersions).toEqual([
      { provider: "local", keyId: "new", before: 0, after: 10 },
      { provider: "local", keyId: "old", before: 10, after: 0 },
    ]);
    expect(report.retirable).toEqual([{ provider: "local", keyId: "old" }]);
    const after = await store.scan({ limit: 1000 });
    expect(after.map(({ record: _record, revision: _revision, ...rest }) => rest)).toEqual(
      before.map(({ record: _record, revision: _revision, ...rest }) => rest),
    );
    await expectTokensToOpen(keysOf(store, [next]), tokens); // the old KEK is not needed any more
  });

  test("a second run changes nothing", async () => {
    const { store, old, next } = await storeOf(5);
    await keysOf(store, [next], [old]).rewrapAll();
    const rows = await store.scan({ limit: 1000 });
    expect(await keysOf(store, [next], [old]).rewrapAll()).toMatchObject({ stale: 0, rewrapped: 0, retirable: [] });
    expect(await store.scan({ limit: 1000 })).toEqual(rows);
  });

  test("a dry run counts and changes nothing", async () => {
    const { store, old, next } = await storeOf(5);
    const rows = await store.scan({ limit: 1000 });
    const report = await keysOf(store, [next], [old]).rewrapAll({ dryRun: true, checkpoint: noCheckpoint() });
    expect(report).toMatchObject({ rows: 5, stale: 5, rewrapped: 0, retirable: [] });
    expect(report.keyVersions).toEqual([{ provider: "local", keyId: "old", before: 5, after: 5 }]);
    expect(await store.scan({ limit: 1000 })).toEqual(rows);
  });

  test("only what is stale costs calls of the key service", async () => {
    const { store, old, next } = await storeOf(4);
    await keysOf(store, [next], [old]).rewrapAll();
    const kms = watched(next);
    await keysOf(store, [old], [kms]).rotate({ tenant: "0" });
    await keysOf(store, [kms], [old]).rewrapAll();
    expect(kms.calls.filter((call) => call === "wrap")).toHaveLength(1);
  });

  test("keys that were shredded, and those of other applications, are left alone", async () => {
    const { store, old, next } = await storeOf(3);
    await keysOf(store, [old]).shred({ tenant: "1" });
    const foreign = new DataKeys({ keyring: new Keyring({ wrapWith: [old], context: { app: "other" } }), store });
    await foreign.field(EMAIL);
    const own = new DataKeys({ keyring: new Keyring({ wrapWith: [next], unwrapWith: [old], context: { app: "own" } }), store });
    await own.field(EMAIL);
    expect(await own.rewrapAll()).toMatchObject({ rows: 5, shredded: 1, foreign: 3, stale: 0, retirable: [] });
    expect(await keysOf(store, [next], [old]).rewrapAll()).toMatchObject({ rows: 5, shredded: 1, foreign: 0, stale: 3, rewrapped: 3 });
  });

  test("a record that nobody here can unwrap fails, is told, and keeps its KEK version from being retirable", async () => {
    const { store, old, next } = await storeOf(3);
    const lost = kek("lost");
    await (await keysOf(store, [lost])).rotate({ tenant: "9" });
    const report = await keysOf(store, [next], [old]).rewrapAll();
    expect(report).toMatchObject({ rows: 4, stale: 4, rewrapped: 3, failed: 1, retirable: [{ keyId: "old" }] });
    expect(report.failures).toMatchObject([{ scope: { tenant: "9" }, version: 1, error: { code: "no-matching-provider" } }]);
  });

  test("a row that is none fails, and nothing is retirable: who knows what it names", async () => {
    const { store, old, next } = await storeOf(2);
    const [row] = await store.list((await store.scan({ limit: 1 }))[0]?.scope ?? "");
    if (row === undefined) throw new Error("no row");
    await store.insertIfAbsent({ ...row, version: 7, kid: "0".repeat(32), record: Uint8Array.of(0x9d, 0) });
    const report = await keysOf(store, [next], [old]).rewrapAll();
    expect(report).toMatchObject({ rows: 3, rewrapped: 2, failed: 1, retirable: [] });
    expect(report.failures).toMatchObject([{ version: 7, error: { code: "malformed-envelope" } }]);
  });

  test("a record that another row's was copied over is not wrapped anew", async () => {
    const { store, old, next } = await storeOf(2);
    const [one, other] = await store.scan({ limit: 2 });
    if (one === undefined || other === undefined) throw new Error("no rows");
    await store.compareAndSwap({ ...one, record: other.record, revision: 2 }, 1);
    const report = await keysOf(store, [next], [old]).rewrapAll();
    expect(report).toMatchObject({ rewrapped: 1, failed: 1 });
    expect(report.failures).toMatchObject([{ error: { code: "authentication-failed" } }]);
    expect(await store.byKid(one.scope, one.kid)).toMatchObject({ record: other.record, revision: 2 });
  });

  test("a provider whose wrap cannot be unwrapped replaces nothing", async () => {
    const { store, old, next } = await storeOf(1);
    const broken: KeyProvider = {
      ...next,
      owns: (keyId) => next.owns(keyId),
      async wrap(dek, options) {
        const wrong = copyOf(dek);
        wrong[0] = (wrong[0] ?? 0) ^ 1;
        return await next.wrap(wrong, options);
      },
    };
    const rows = await store.scan({ limit: 10 });
    expect(await keysOf(store, [broken], [old]).rewrapAll()).toMatchObject({ rewrapped: 0, failed: 1 });
    expect(await store.scan({ limit: 10 })).toEqual(rows);
  });

  test("a store that does not keep what it took is told of", async () => {
    const { store, old, next } = await storeOf(1);
    const forgetful: DataKeyStore = { ...store, compareAndSwap: async () => true };
    const report = await keysOf(forgetful, [next], [old]).rewrapAll();
    expect(report).toMatchObject({ rewrapped: 0, failed: 1, retirable: [] });
    expect(report.failures).toMatchObject([{ error: { code: "provider-failure" } }]);
  });

  test("a store that keeps a part of many changes, and says that it kept all, is told of", async () => {
    const { store, old, next } = await storeOf(10);
    const forgetful: DataKeyStore = {
      ...store,
      async compareAndSwapMany(changes) {
        for (const { row, expectedRevision } of changes.slice(3)) await store.compareAndSwap(row, expectedRevision);
        return changes.map(() => true);
      },
    };
    const report = await keysOf(forgetful, [next], [old]).rewrapAll();
    expect(report).toMatchObject({ rows: 10, rewrapped: 7, failed: 3, retirable: [] }); // the second pass meets three rows, and none is kept
    expect(report.failures.map(({ error }) => error.code)).toEqual(Array(3).fill("provider-failure"));
  });

  test("several at once do each row once", async () => {
    const { store, old, next, tokens } = await storeOf(20);
    let swaps = 0;
    const counting: DataKeyStore = {
      ...store,
      async compareAndSwap(row, revision, options) {
        const isSwapped = await store.compareAndSwap(row, revision, options);
        if (isSwapped) swaps++;
        return isSwapped;
      },
      async compareAndSwapMany(changes, options) {
        const answers = (await store.compareAndSwapMany?.(changes, options)) ?? [];
        swaps += answers.filter((isSwapped) => isSwapped).length;
        return answers;
      },
    };
    const reports = await Promise.all(Array.from({ length: 4 }, () => keysOf(counting, [next], [old]).rewrapAll({ concurrency: 3 })));
    expect(reports.map(({ failed }) => failed)).toEqual([0, 0, 0, 0]);
    expect(swaps).toBe(20);
    await expectTokensToOpen(keysOf(store, [next]), tokens);
  });

  test("a rotation and a shred may run meanwhile", async () => {
    const { store, old, next } = await storeOf(6);
    const keys = keysOf(store, [next], [old]);
    await Promise.all([
      keys.rewrapAll(),
      keysOf(store, [old], [next]).rotate({ tenant: "2" }),
      keysOf(store, [old]).shred({ tenant: "3" }),
    ]);
    expect(await keys.rewrapAll()).toMatchObject({ failed: 0 });
    expect(await keys.verifyAll()).toMatchObject({ rows: 7, opened: 6, shredded: 1, failed: 0 });
  });

  test("tells how far it has come, page by page, in both passes", async () => {
    const { store, old, next } = await storeOf(300);
    const seen: number[] = [];
    await keysOf(store, [next], [old]).rewrapAll({ onProgress: ({ rows }) => seen.push(rows) });
    expect(seen).toEqual([256, 300, 556, 600]);
  });

  test("a progress callback that fails later ends the job with its failure, as one that throws does", async () => {
    const { store, old, next } = await storeOf(2);
    const broken = new Error("no terminal");
    for (const onProgress of [() => Promise.reject(broken), thrower(broken)])
      await expect(keysOf(store, [next], [old]).rewrapAll({ onProgress })).rejects.toBe(broken);
  });

  test("an aborted signal stops it, with its reason", async () => {
    const { store, old, next } = await storeOf(3);
    const controller = new AbortController();
    const reason = new Error("enough");
    const stopping: DataKeyStore = {
      ...withoutMany(store),
      async compareAndSwap(row, revision) {
        controller.abort(reason);
        return await store.compareAndSwap(row, revision);
      },
    };
    const running = keysOf(stopping, [next], [old]).rewrapAll({ signal: controller.signal, concurrency: 1 });
    await expect(running).rejects.toBe(reason);
    expect((await store.scan({ limit: 10 })).filter(({ revision }) => revision > 1)).toHaveLength(1);
  });

  test.each([0, 257, 1.5])("a concurrency of %d is refused", async (concurrency) => {
    expect(await refusalCode(() => keysOf(memoryStore(), [kek()]).rewrapAll({ concurrency }))).toBe("invalid-argument");
  });

  test("use after close is `closed`", async () => {
    const keys = keysOf(memoryStore(), [kek()]);
    await keys.close();
    expect(await refusalCode(() => keys.rewrapAll())).toBe("closed");
    expect(await refusalCode(() => keys.verifyAll())).toBe("closed");
  });
});

describe("a checkpoint", () => {
  test("a job that was stopped goes on behind it, and counts as if it had not been", async () => {
    const { store, old, next } = await storeOf(600);
    const checkpoint = memoryCheckpoint();
    const failing: Checkpoint = {
      ...checkpoint,
      async save(state) {
        await checkpoint.save(state);
        throw new Error("killed");
      },
    };
    await expect(keysOf(store, [next], [old]).rewrapAll({ checkpoint: failing })).rejects.toThrow("killed");
    const scans: number[] = [];
    const watching: DataKeyStore = {
      ...store,
      async scan(page, options) {
        const rows = await store.scan(page, options);
        scans.push(rows.length);
        return rows;
      },
    };
    const report = await keysOf(watching, [next], [old]).rewrapAll({ checkpoint });
    expect(scans).toEqual([256, 256, 88, 88, 0, 256, 256, 88, 0]); // the rest, each page read back, then all once more
    expect(report).toMatchObject({ rows: 600, stale: 600, rewrapped: 600, retirable: [{ keyId: "old" }] });
    expect(await checkpoint.load()).toBeUndefined();
  });

  test("is set behind a row that failed, which the second pass and the next run meet again", async () => {
    const { store, old, next } = await storeOf(300);
    const checkpoint = memoryCheckpoint();
    const states: (string | undefined)[] = [];
    const watching: Checkpoint = {
      ...checkpoint,
      async save(state) {
        states.push(state);
        await checkpoint.save(state);
      },
    };
    const failing: KeyProvider = {
      ...old,
      owns: (keyId) => old.owns(keyId),
      async unwrap(recipient, options) {
        const { tenant } = options.keyContext;
        if (tenant === "0") throw new EnvelockError("access-denied", "not this one");
        return await old.unwrap(recipient, options);
      },
    };
    const report = await keysOf(store, [next], [failing]).rewrapAll({ checkpoint: watching });
    expect(report).toMatchObject({ failed: 1, rewrapped: 299, retirable: [] });
    expect(states.map((state) => state && JSON.parse(state).counts)).toMatchObject([
      { rows: 256, failed: 1 },
      { rows: 300, failed: 1 },
      undefined,
    ]);
    expect(await keysOf(store, [next], [old]).rewrapAll({ checkpoint })).toMatchObject({ failed: 0, rewrapped: 1 });
  });

  test.each(["{", "{}", '{"job":"reencrypt-table/1","after":1}', '{"job":"rewrap-all/1","after":7}'])("%s is refused", async (text) => {
    const checkpoint = { ...noCheckpoint(), load: async () => text };
    expect(await refusalCode(() => keysOf(memoryStore(), [kek()]).rewrapAll({ checkpoint }))).toBe("invalid-argument");
  });
});

test("verifyAll opens every key, tells of those that do not open, and changes nothing", async () => {
  const { store, old } = await storeOf(4);
  await keysOf(store, [old]).shred({ tenant: "1" });
  await keysOf(store, [kek("lost")]).rotate({ tenant: "8" });
  const rows = await store.scan({ limit: 100 });
  const report = await keysOf(store, [old]).verifyAll();
  expect(report).toMatchObject({ rows: 5, opened: 3, shredded: 1, failed: 1 });
  expect(report.failures).toMatchObject([{ scope: { tenant: "8" }, version: 1, error: { code: "no-matching-provider" } }]);
  expect(await store.scan({ limit: 100 })).toEqual(rows);
});

test("whatever the order of rotations, rewraps and faults, every token opens", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(fc.constantFrom("rotate", "rewrap", "dry"), fc.nat(30)), { maxLength: 8 }), async (steps) => {
      const { store, old, next, tokens } = await storeOf(3);
      for (const [step, failAt] of steps) {
        const keys = keysOf(failingAt(store, failAt), [next], [old]);
        if (step === "rotate") await keys.rotate({ tenant: "1" }).catch(() => undefined);
        else await keys.rewrapAll({ dryRun: step === "dry" }).catch(() => undefined);
      }
      await expectTokensToOpen(keysOf(store, [old], [next]), tokens);
      expect(await keysOf(store, [next], [old]).rewrapAll()).toMatchObject({ failed: 0 });
      await expectTokensToOpen(keysOf(store, [next]), tokens);
    }),
    { numRuns: 15 },
  );
});

/** `count` scopes with one data key each, under the KEK "old", and a token of each. */
async function storeOf(count: number): Promise<{
  readonly store: DataKeyStore;
  readonly old: KeyProvider;
  readonly next: KeyProvider;
  readonly tokens: readonly (readonly [tenant: string, token: string])[];
}> {
  const store = memoryStore();
  const old = kek("old");
  const keys = keysOf(store, [old]);
  const tokens: [string, string][] = [];
  for (let tenant = 0; tenant < count; tenant++) {
    const cipher = await keys.field({ ...EMAIL, scope: { tenant: `${tenant}` } });
    tokens.push([`${tenant}`, cipher.encrypt(`of ${tenant}`)]);
  }
  return { store, old, next: kek("new"), tokens };
}

function keysOf(store: DataKeyStore, wrapWith: readonly KeyProvider[], unwrapWith: readonly KeyProvider[] = []): DataKeys {
  return new DataKeys({ keyring: new Keyring({ wrapWith, unwrapWith }), store });
}

async function expectTokensToOpen(keys: DataKeys, tokens: readonly (readonly [string, string])[]): Promise<void> {
  for (const [tenant, token] of tokens) {
    const cipher = await keys.field({ ...EMAIL, scope: { tenant } });
    expect(cipher.decrypt(token)).toBe(`of ${tenant}`);
  }
  await keys.close();
}

/** A store as others write it. */
function withoutMany({ compareAndSwapMany: _many, ...store }: DataKeyStore): DataKeyStore {
  return store;
}

/** The store's call number `at` fails, and does its work before or not. */
function failingAt(store: DataKeyStore, at: number): DataKeyStore {
  let calls = 0;
  const faulty = async <T>(call: () => Promise<T>): Promise<T> => {
    const own = calls++;
    if (own === at && at % 2 === 0) throw new EnvelockError("unavailable", "the store is down");
    const result = await call();
    if (own === at) throw new EnvelockError("unavailable", "the answer was lost");
    return result;
  };
  return {
    byKid: (scope, kid) => faulty(() => store.byKid(scope, kid)),
    list: (scope) => faulty(() => store.list(scope)),
    scan: (page) => faulty(() => store.scan(page)),
    insertIfAbsent: (row) => faulty(() => store.insertIfAbsent(row)),
    compareAndSwap: (row, revision) => faulty(() => store.compareAndSwap(row, revision)),
  };
}

function memoryCheckpoint(): Checkpoint {
  let saved: string | undefined;
  return {
    load: async () => saved,
    async save(state) {
      saved = state;
    },
  };
}

/** One that must not be used. */
function noCheckpoint(): Checkpoint {
  const refuse = async (): Promise<never> => {
    throw new Error("a dry run must not touch the checkpoint");
  };
  return { load: refuse, save: refuse };
}

function thrower(error: Error): () => never {
  return () => {
    throw error;
  };
}
