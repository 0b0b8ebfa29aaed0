import { afterEach, describe, expect, test, vi } from "vitest";
import { engine } from "#engine";
import type { DataKeyStore } from "../../src/core/contracts/data-key-store.ts";
import { Keyring } from "../../src/core/keyring/keyring.ts";
import { memoryStore } from "../../src/fields/stores/memory.ts";
import { refusal, refusalCode } from "../support/refusal.ts";
import { EMAIL, world } from "./set-up.ts";

const { ENVELOCK_FIELD_OPERATIONS = "2000" } = process.env;

afterEach(() => {
  vi.restoreAllMocks();
});
/** How often the calls of a cipher are counted. The figure is 1,000,000. */
const OPERATIONS = Number(ENVELOCK_FIELD_OPERATIONS);

describe("data keys of a scope", () => {
  test("are made when first asked for, durable before their first use, and found again by another process", async () => {
    const { store, open } = world();
    const email = await open().field(EMAIL);
    const rows = await store.list("");
    expect(rows).toMatchObject([{ scope: "", version: 1, state: "active", revision: 1 }]);
    const token = email.encrypt("ada@example.org", { row: 7 });
    const elsewhere = await open().field(EMAIL);
    expect(elsewhere.decrypt(token, { row: "7" })).toBe("ada@example.org");
    expect(await store.list("")).toEqual(rows);
  });

  test("are one key, however many processes start at once", async () => {
    const { store, open } = world();
    const ciphers = await Promise.all(Array.from({ length: 8 }, () => open().field({ ...EMAIL, scope: { tenant: "acme" } })));
    const tokens = ciphers.map((cipher, at) => cipher.encrypt(`${at}`));
    for (const cipher of ciphers) expect(tokens.map((token) => cipher.decrypt(token))).toEqual(["0", "1", "2", "3", "4", "5", "6", "7"]);
    expect(await store.scan({ limit: 10 })).toHaveLength(1);
  });

  test("take one unwrap for each live key and process, whatever is done with them", async () => {
    const { kms, open } = world();
    await open().field(EMAIL);
    await open().rotate();
    kms.calls.length = 0;
    const dataKeys = open();
    const ciphers = await Promise.all(["a", "b", "c", "d"].map((column) => dataKeys.field({ table: "users", column })));
    for (let row = 0; row < OPERATIONS / ciphers.length / 2; row++) {
      for (const cipher of ciphers) cipher.decrypt(cipher.encrypt("x", { row }), { row });
    }
    expect(kms.calls).toEqual(["unwrap", "unwrap"]);
  });

  test("are rotated: the new one encrypts once it is announced, the old one decrypts for ever", async () => {
    const { open, clock, rows } = world();
    const dataKeys = open();
    const email = await dataKeys.field(EMAIL);
    const old = email.encrypt("x");
    expect(await dataKeys.rotate()).toMatchObject({ version: 2, state: "active" });
    expect((await rows()).map(({ state }) => state)).toEqual(["retired", "active"]);
    expect(email.encrypt("x").slice(0, 22)).toBe(old.slice(0, 22));
    await clock.advance(180_000);
    const fresh = email.encrypt("x");
    expect(fresh.slice(0, 22)).not.toBe(old.slice(0, 22));
    expect([email.decrypt(old), email.decrypt(fresh)]).toEqual(["x", "x"]);
  });

  test("are shredded: here at once, elsewhere within the refresh interval, and the wrapped bytes are gone", async () => {
    const { open, clock, rows } = world();
    const [here, elsewhere] = [open(), open()];
    const [email, warm] = [await here.field(EMAIL), await elsewhere.field(EMAIL)];
    const token = email.encrypt("x");
    expect(await here.shred()).toBe(1);
    expect((await rows()).map(({ state, record }) => [state, record])).toEqual([["shredded", null]]);
    expect(await refusalCode(() => email.decrypt(token))).toBe("key-shredded");
    expect(warm.decrypt(token)).toBe("x");
    await clock.advance(60_000);
    expect(await refusalCode(() => warm.decrypt(token))).toBe("key-shredded");
    expect(await refusalCode(() => warm.encrypt("y"))).toBe("key-shredded");
    expect(await refusalCode(() => open().field(EMAIL))).toBe("key-shredded");
    expect(await refusalCode(() => here.rotate())).toBe("key-shredded");
  });
});

describe("a rotation", () => {
  test("reaches other processes before anybody encrypts with the new key", async () => {
    const { open, clock } = world();
    const [one, other] = [open(), open()];
    const ciphers = [await one.field(EMAIL), await other.field(EMAIL)] as const;
    await one.rotate();
    for (let passed = 0; passed < 300_000; passed += 5000) {
      for (const cipher of ciphers) for (const reader of ciphers) expect(reader.decrypt(cipher.encrypt("x"))).toBe("x");
      await clock.advance(5000);
    }
    expect(ciphers.every((cipher) => cipher.isCurrent(cipher.encrypt("x")))).toBe(true);
  });

  test("is used at once where that is asked for; others decrypt with the async form until they have read the store", async () => {
    const { open } = world();
    const [one, other] = [open(), open()];
    const [here, there] = [await one.field(EMAIL), await other.field(EMAIL)];
    const old = here.encrypt("x");
    await one.rotate(undefined, { immediately: true });
    const fresh = here.encrypt("x");
    expect([here.isCurrent(old), here.isCurrent(fresh)]).toEqual([false, true]);
    expect(await refusalCode(() => there.decrypt(fresh))).toBe("authentication-failed");
    expect(await there.decryptAsync(fresh)).toBe("x");
    expect(there.decrypt(fresh)).toBe("x");
  });

  test("raced by several processes ends in one new version, or in some that follow each other", async () => {
    const { open, rows } = world();
    await open().field(EMAIL);
    const infos = await Promise.all(Array.from({ length: 8 }, () => open().rotate()));
    const after = await rows();
    expect(after.map(({ version }) => version).sort()).toEqual(after.map((_, at) => at + 1));
    expect(after.filter(({ state }) => state === "active")).toHaveLength(1);
    for (const { version } of infos) expect(version).toBeGreaterThan(1);
  });

  test("is made by age, by one process, and encrypts once it is announced", async () => {
    const { open, clock, rows } = world();
    const options = { maxAgeMs: 3_600_000 };
    const ciphers = [await open(options).field(EMAIL), await open(options).field(EMAIL)] as const;
    const old = ciphers[0].encrypt("x");
    await clock.advance(3_590_000);
    expect(await rows()).toHaveLength(1);
    await clock.advance(600_000);
    expect((await rows()).map(({ state }) => state)).toEqual(["retired", "active"]);
    for (const cipher of ciphers) expect([cipher.decrypt(old), cipher.isCurrent(cipher.encrypt("x"))]).toEqual(["x", true]);
  });

  test("is followed by re-encryption, which waits until the new key encrypts", async () => {
    const { open, clock } = world();
    const dataKeys = open();
    const email = await dataKeys.field(EMAIL);
    const token = email.encrypt("x", { row: 1 });
    await dataKeys.rotate();
    const early = await refusal(() => email.reencrypt(token, { row: 1 }));
    expect([early.code, early.retryAfterMs]).toEqual(["unavailable", 120_000]);
    await clock.advance(180_000);
    const moved = email.reencrypt(token, { row: 1 });
    expect([email.isCurrent(token), email.isCurrent(moved), email.decrypt(moved, { row: 1 })]).toEqual([false, true, "x"]);
    expect(await refusalCode(() => email.reencrypt(token, { row: 2 }))).toBe("authentication-failed");
  });

  test("that cannot be made by age leaves the old key in use, and is told", async () => {
    const { open, clock } = world();
    const failures: unknown[] = [];
    const isDown = { value: false };
    const store = memoryStore();
    const insertIfAbsent: typeof store.insertIfAbsent = (row) =>
      isDown.value ? Promise.reject(new Error("down")) : store.insertIfAbsent(row);
    const dataKeys = open({ store: { ...store, insertIfAbsent }, maxAgeMs: 100_000, onFailure: (error) => failures.push(error) });
    const email = await dataKeys.field(EMAIL);
    isDown.value = true;
    await clock.advance(1_000_000);
    expect(email.decrypt(email.encrypt("x"))).toBe("x");
    expect(failures.length).toBeGreaterThan(0);
    for (const failure of failures) expect(failure).toMatchObject({ code: "provider-failure" });
  });

  test("of many versions holds the newest, and fetches older ones", async () => {
    const { open, kms } = world();
    const tokens: string[] = [];
    const first = open();
    for (let version = 1; version <= 6; version++) {
      const email = await first.field(EMAIL);
      tokens.push(email.encrypt(`${version}`));
      await first.rotate(undefined, { immediately: true });
    }
    kms.calls.length = 0;
    const email = await open({ maxVersions: 2 }).field(EMAIL);
    expect(kms.calls).toEqual(Array(7).fill("unwrap")); // each proves the next; two are kept
    const [oldest = "", second = "", third = ""] = tokens;
    expect((await refusal(() => email.decrypt(oldest))).code).toBe("unavailable");
    expect(await Promise.all([oldest, oldest, oldest].map((token) => email.decryptAsync(token)))).toEqual(["1", "1", "1"]);
    expect(kms.calls).toHaveLength(8);
    expect(email.decrypt(oldest)).toBe("1");
    expect(await email.decryptAllAsync([[second], [third]])).toEqual(["2", "3"]);
    expect(await refusalCode(() => email.decrypt(oldest))).toBe("unavailable"); // made room

    const narrow = await open({ maxVersions: 1 }).field(EMAIL);
    const values = await Promise.all(tokens.map((token) => narrow.decryptAsync(token)));
    expect(values).toEqual(["1", "2", "3", "4", "5", "6"]); // each was there for as long as it was needed
    expect(tokens.filter((token) => isLoaded(() => narrow.decrypt(token)))).toHaveLength(1);
  });
});

describe("a shredded scope", () => {
  test("takes its blind indexes with it, and leaves other scopes alone", async () => {
    const { open, store } = world();
    const dataKeys = open();
    const options = { ...EMAIL, blindIndex: {} };
    const [acme, other] = [
      await dataKeys.field({ ...options, scope: { tenant: "acme" } }),
      await dataKeys.field({ ...options, scope: { tenant: "b" } }),
    ];
    expect(await dataKeys.shred({ tenant: "acme" })).toBe(2);
    expect(await refusalCode(() => acme.blindIndex("x"))).toBe("key-shredded");
    expect(other.decrypt(other.encrypt("x"))).toBe("x");
    const rows = await store.scan({ limit: 10 });
    expect(rows.filter(({ record }) => record === null)).toHaveLength(2);
    expect(await dataKeys.list({ tenant: "acme" })).toMatchObject([
      { state: "shredded", purpose: "fields", recipients: [] },
      { state: "shredded", purpose: "blind-indexes", recipients: [] },
    ]);
    expect(await dataKeys.shred({ tenant: "acme" })).toBe(0);
  });

  test("is not brought back by a rotation, a creation or a fetch that was under way", async () => {
    const { open, store, clock } = world();
    const slow = {
      ...store,
      insertIfAbsent: async (...call: Parameters<typeof store.insertIfAbsent>) => {
        await open().shred();
        return await store.insertIfAbsent(...call);
      },
    };
    const email = await open().field(EMAIL);
    const token = email.encrypt("x");
    expect(await refusalCode(() => open({ store: slow }).rotate())).toBe("key-shredded");
    expect((await store.list("")).map(({ state, record }) => [state, record])).toEqual([
      ["shredded", null],
      ["shredded", null],
    ]);
    await clock.advance(60_000);
    expect(await refusalCode(() => email.decryptAsync(token))).toBe("key-shredded");
  });

  test("is also let go of by the keyring's cache", async () => {
    const { open, store, kms, clock } = world();
    const keyring = new Keyring({ wrapWith: [kms], clock, cache: {} });
    const dataKeys = open({ keyring });
    await dataKeys.field(EMAIL);
    const [row] = await store.list("");
    await dataKeys.shred();
    kms.calls.length = 0;
    if (row !== undefined) await store.compareAndSwap({ ...row, revision: 3 }, 2); // from a backup
    await open({ keyring }).field(EMAIL);
    expect(kms.calls).toEqual(["unwrap"]);
  });
});

describe("scopes", () => {
  test("are held up to maxScopes; one whose ciphers are in use stays, though nobody asks for them again", async () => {
    const { open, clock } = world();
    const dataKeys = open({ maxScopes: 3 });
    const schema = await dataKeys.field(EMAIL);
    const idle = await dataKeys.field({ ...EMAIL, scope: { tenant: "idle" } });
    for (let tenant = 0; tenant < 20; tenant++) {
      const cipher = await dataKeys.field({ ...EMAIL, scope: { tenant: `${tenant}` } });
      expect(cipher.decrypt(cipher.encrypt("x"))).toBe("x");
      expect(schema.decrypt(schema.encrypt("x"))).toBe("x");
      await clock.advance(3000);
    }
    const error = await refusal(() => idle.encrypt("x"));
    expect([error.code, error.retryable, error.hint !== undefined]).toEqual(["closed", true, true]);
    expect((await dataKeys.field({ ...EMAIL, scope: { tenant: "idle" } })).encrypt("x")).not.toBe("");
  });

  test("are those of the keyring's context and more", async () => {
    const { open, store } = world();
    const [acme, plain] = [open({}, { context: { tenant: "acme" } }), open()];
    const token = (await acme.field(EMAIL)).encrypt("x");
    expect((await plain.field({ ...EMAIL, scope: { tenant: "acme" } })).decrypt(token)).toBe("x");
    expect((await acme.field({ ...EMAIL, scope: { tenant: "acme" } })).decrypt(token)).toBe("x");
    expect(await refusalCode(() => acme.field({ ...EMAIL, scope: { tenant: "other" } }))).toBe("invalid-argument");
    expect(await store.scan({ limit: 10 })).toHaveLength(1);
  });

  test("that fail to load are tried again by the next call", async () => {
    const { store, open } = world();
    const isDown = { value: true };
    const list: DataKeyStore["list"] = (scope) => (isDown.value ? Promise.reject(new Error("down")) : store.list(scope));
    const dataKeys = open({ store: { ...store, list } });
    expect(await refusalCode(() => dataKeys.field(EMAIL))).toBe("provider-failure");
    isDown.value = false;
    expect((await dataKeys.field(EMAIL)).encrypt("x")).not.toBe("");
  });

  test("are loaded once for all who ask at the same time", async () => {
    const { open, kms } = world();
    const dataKeys = open();
    await Promise.all(Array.from({ length: 20 }, () => dataKeys.field(EMAIL)));
    expect(kms.calls).toEqual(["wrap", "unwrap"]);
  });
});

describe("closed data keys", () => {
  test("throw `closed` from every call and cipher, wipe their keys, and leave store and keyring open", async () => {
    const randomKey = vi.spyOn(engine, "randomKey");
    const { open } = world();
    const dataKeys = open();
    const email = await dataKeys.field({ ...EMAIL, blindIndex: {} });
    const token = email.encrypt("x");
    await dataKeys.close();
    await dataKeys.close();
    for (const work of [
      () => dataKeys.field(EMAIL),
      () => dataKeys.rotate(),
      () => dataKeys.shred(),
      () => dataKeys.list(),
      () => email.encrypt("x"),
      () => email.decrypt(token),
      () => email.decryptAsync(token),
      () => email.blindIndex("x"),
    ]) {
      expect(await refusalCode(work)).toBe("closed");
    }
    expect(randomKey.mock.results.length).toBeGreaterThan(1);
    for (const { value } of randomKey.mock.results) expect(value).toEqual(new Uint8Array(32));
    expect((await open().field(EMAIL)).decrypt(token)).toBe("x");
  });

  test("end a load that is under way", async () => {
    const { open, store } = world();
    let go: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => {
      go = resolve;
    });
    const list: DataKeyStore["list"] = async (scope) => {
      await gate;
      return await store.list(scope);
    };
    const dataKeys = open({ store: { ...store, list } });
    const loading = refusalCode(() => dataKeys.field(EMAIL));
    await dataKeys.close();
    go();
    expect(await loading).toBe("closed");
  });

  test("and bad bounds are refused", async () => {
    const { open } = world();
    for (const options of [
      { refreshMs: 0 },
      { maxAgeMs: -1 },
      { maxStaleMs: 0 },
      { announceMs: -1 },
      { maxScopes: 0 },
      { maxVersions: 1.5 },
    ]) {
      expect(await refusalCode(() => open(options)), JSON.stringify(options)).toBe("invalid-argument");
    }
  });
});

function isLoaded(decrypt: () => unknown): boolean {
  try {
    decrypt();
    return true;
  } catch {
    return false;
  }
}
