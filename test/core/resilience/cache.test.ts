import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ProviderFault } from "../../../providers/conformance/index.ts";
import { KeyContext } from "../../../src/core/base/context.ts";
import type { KeyProvider } from "../../../src/core/contracts/key-provider.ts";
import { DataKey, secretBytesOf } from "../../../src/core/data-key/data-key.ts";
import { encodeKeyRecord, parseKeyRecord } from "../../../src/core/format/key-record.ts";
import { DataKeyCache, storeOf } from "../../../src/core/key-source/data-key-cache.ts";
import { SharedDataKey } from "../../../src/core/key-source/shared-data-key.ts";
import type { UnwrapIdentity } from "../../../src/core/key-source/unwrap-store.ts";
import { Keyring } from "../../../src/core/keyring/keyring.ts";
import type { KeyringOptions } from "../../../src/core/keyring/keyring-options.ts";
import type { KeyringEvent } from "../../../src/core/telemetry/events.ts";
import { noise, runs } from "../../support/arbitraries.ts";
import { fakeClock } from "../../support/fake-clock.ts";
import { kek, watched } from "../../support/keks.ts";
import { refusalCode } from "../../support/refusal.ts";
import { held, timed, unavailable } from "./backends.ts";
import { timesFor } from "./load.ts";

const MINUTE_MS = 60_000;
const CALLS = timesFor(10_000);

describe("single flight", () => {
  test.each([
    ["with a cache", { cache: {} }],
    ["without a cache", {}],
  ])(`${CALLS} concurrent decrypts of envelopes under one data key make one unwrap, %s`, async (_, options) => {
    const writer = new Keyring({ wrapWith: [kek()], reuse: {} });
    const envelopes = await Promise.all(Array.from({ length: 100 }, (__, index) => writer.encrypt(noise(20, index))));
    const inner = held();
    const clock = fakeClock();
    const reader = new Keyring({ unwrapWith: [inner], clock, ...options });
    const calls = Array.from({ length: CALLS }, (__, index) => reader.decrypt(envelopes[index % 100] ?? noise(0)));
    await clock.advance(0);
    expect(inner.waiting).toBe(1);
    inner.answer();
    const opened = await Promise.all(calls);
    expect(opened.every((plaintext, index) => Buffer.compare(plaintext, noise(20, index % 100)) === 0)).toBe(true);
    expect(inner.calls).toEqual(["unwrap"]);
  });

  test("one caller's abort ends that caller only", async () => {
    const { reader, envelope, inner, clock } = await heldReader();
    const controllers = [new AbortController(), new AbortController(), new AbortController()];
    const calls = controllers.map(({ signal }) => reader.decrypt(envelope, { signal }).catch((error: unknown) => error));
    const plain = reader.decrypt(envelope);
    await clock.advance(0);
    controllers[0]?.abort("first");
    controllers[2]?.abort("third");
    expect(await calls[0]).toBe("first");
    expect(await calls[2]).toBe("third");
    inner.answer();
    expect(await calls[1]).toEqual(noise(9));
    expect(await plain).toEqual(noise(9));
    expect(inner.calls).toEqual(["unwrap"]);
  });

  test("the last caller's abort ends the provider call, and who comes after starts anew", async () => {
    const { reader, envelope, inner, clock } = await heldReader();
    const controllers = [new AbortController(), new AbortController()];
    const calls = controllers.map(({ signal }) => reader.decrypt(envelope, { signal }).catch((error: unknown) => error));
    await clock.advance(0);
    for (const controller of controllers) controller.abort("left");
    expect(await Promise.all(calls)).toEqual(["left", "left"]);
    const next = reader.decrypt(envelope);
    await clock.advance(0);
    expect(inner.calls).toEqual(["unwrap", "unwrap"]);
    inner.answer();
    inner.answer();
    expect(await next).toEqual(noise(9));
    expect(clock.timers).toBe(0);
  });

  test("a failure reaches every caller, and is not remembered", async () => {
    const { reader, envelope, inner, clock } = await heldReader({ retry: false });
    const calls = [1, 2, 3].map(() => refusalCode(() => reader.decrypt(envelope)));
    await clock.advance(0);
    inner.answer(unavailable());
    expect(await Promise.all(calls)).toEqual(["unavailable", "unavailable", "unavailable"]);
    const next = reader.decrypt(envelope);
    await clock.advance(0);
    inner.answer();
    expect(await next).toEqual(noise(9));
  });

  test("two wrapped keys under one KEK give two data keys", async () => {
    const provider = watched(kek());
    const keyring = new Keyring({ wrapWith: [provider], cache: {} });
    const envelopes = await Promise.all([1, 2].map((seed) => keyring.encrypt(noise(9, seed))));
    for (let round = 0; round < 3; round++) {
      expect(await Promise.all(envelopes.map((envelope) => keyring.decrypt(envelope)))).toEqual([noise(9, 1), noise(9, 2)]);
    }
    expect(provider.calls.filter((call) => call === "unwrap")).toHaveLength(2);
  });

  test("records that begin alike but differ do not share a flight", async () => {
    const { reader, inner, clock } = await heldReader();
    const { keyRecord } = await new Keyring(kek()).createDataKey();
    const record = parseKeyRecord(keyRecord);
    const forged = encodeKeyRecord({ ...record, keyCommit: Uint8Array.from(record.keyCommit, (byte, at) => (at < 4 ? byte : byte ^ 1)) });
    const calls = [reader.unwrapDataKey(keyRecord), refusalCode(() => reader.unwrapDataKey(forged))];
    await clock.advance(0);
    expect(inner.waiting).toBe(2);
    inner.answer();
    inner.answer();
    expect(await calls[0]).toBeInstanceOf(DataKey);
    expect(await calls[1]).toBe("authentication-failed");
  });
});

describe("the unwrap cache", () => {
  test("serves within its age, exactly", async () => {
    const { keyring, envelope, unwraps, clock } = await cachedReader({ maxAgeMs: 1000 });
    await keyring.decrypt(envelope);
    await clock.advance(999);
    await keyring.decrypt(envelope);
    expect(unwraps()).toBe(1);
    await clock.advance(1);
    await keyring.decrypt(envelope);
    expect(unwraps()).toBe(2);
  });

  test("being asked for does not make a key live longer", async () => {
    const { keyring, envelope, unwraps, clock } = await cachedReader({ maxAgeMs: 1000 });
    for (let time = 0; time < 5000; time += 100) {
      await keyring.decrypt(envelope);
      await clock.advance(100);
    }
    expect(unwraps()).toBe(5);
  });

  test("wipes what is too old, also if nobody asks for it", async () => {
    const cache = new DataKeyCache({ maxAgeMs: 1000, clock: fakeClock() });
    expect(cache.size).toBe(0);
    const clock = fakeClock();
    const { keyring, envelope } = await cachedReader({ maxAgeMs: 1000 }, { clock });
    await keyring.decrypt(envelope);
    expect(keyring.status().cachedDataKeys).toBe(1);
    await clock.advance(2000);
    expect(keyring.status().cachedDataKeys).toBe(0);
  });

  test("holds maxEntries, and lets go of who was asked for longest ago", async () => {
    const provider = watched(kek());
    const keyring = new Keyring({ wrapWith: [provider], cache: { maxEntries: 2 } });
    const [a, b, c] = await Promise.all([keyring.encrypt(noise(1)), keyring.encrypt(noise(2)), keyring.encrypt(noise(3))]);
    provider.calls.length = 0;
    for (const envelope of [a, b, a, c, a, b]) await keyring.decrypt(envelope);
    expect(provider.calls).toHaveLength(4); // a, b, c, and b again
    expect(keyring.status().cachedDataKeys).toBe(2);
  });

  test("wipes a data key when it leaves, but not under a caller who uses it", async () => {
    const clock = fakeClock();
    const store = storeOf(new DataKeyCache({ maxEntries: 1, clock }));
    const keys = [1, 2].map((seed) => new SharedDataKey(DataKey.from(noise(32, seed)), []));
    for (const [index, key] of keys.entries()) {
      const begun = store.begin(identity({ wrapped: noise(72, index) }));
      await store.keep(begun, key, () => {});
      store.end(begun);
    }
    const [first, second] = keys;
    expect(first && secretBytesOf(first.dataKey)).toEqual(noise(32, 1));
    first?.release();
    expect(await refusalCode(() => first && secretBytesOf(first.dataKey))).toBe("closed");
    second?.release();
    expect(second && secretBytesOf(second.dataKey)).toEqual(noise(32, 2));
    store.forget({});
    expect(await refusalCode(() => second && secretBytesOf(second.dataKey))).toBe("closed");
  });

  test("forget and close wipe it; a cache that was handed in outlives its keyring", async () => {
    const cache = new DataKeyCache();
    const own = await cachedReader({});
    const shared = await cachedReader(cache);
    for (const { keyring, envelope, unwraps } of [own, shared]) {
      await keyring.decrypt(envelope);
      expect(keyring.forget()).toBe(1);
      await keyring.decrypt(envelope);
      expect(unwraps()).toBe(2);
      await keyring.close();
    }
    expect(own.keyring.status().cachedDataKeys).toBe(0);
    expect(cache.size).toBe(1);
    expect(cache.forget()).toBe(1);
    expect(cache.size).toBe(0);
  });

  test("forget takes what meets every part of the filter, and nothing else", async () => {
    const cache = new DataKeyCache();
    const fill = async (): Promise<void> => {
      cache.forget();
      for (const tenant of ["acme", "bolt"]) {
        for (const keyId of ["a", "b"]) {
          const keyring = new Keyring({ wrapWith: [kek(keyId)], context: { tenant, region: "eu" }, cache });
          await keyring.decrypt(await keyring.encrypt(noise(1)));
        }
      }
    };
    const cases = [
      [{}, 4],
      [{ keyId: "a" }, 2],
      [{ context: { tenant: "acme" } }, 2],
      [{ context: { tenant: "acme" }, keyId: "b" }, 1],
      [{ context: { tenant: "acme", region: "us" } }, 0],
      [{ provider: "local" }, 4],
      [{ provider: "other" }, 0],
    ] as const;
    for (const [filter, count] of cases) {
      await fill();
      expect(cache.forget(filter), JSON.stringify(filter)).toBe(count);
      expect(cache.size).toBe(4 - count);
    }
  });

  test("an unwrap that began before a forget is not kept", async () => {
    const { reader, envelope, inner, clock } = await heldReader({ cache: {} });
    const call = reader.decrypt(envelope);
    await clock.advance(0);
    reader.forget();
    inner.answer();
    expect(await call).toEqual(noise(9));
    expect(reader.status().cachedDataKeys).toBe(0);
  });

  test("hits, misses and evictions are told", async () => {
    const events: KeyringEvent[] = [];
    const { keyring, envelope, clock } = await cachedReader({ maxAgeMs: 1000 }, { onEvent: (event) => events.push(event) });
    await keyring.decrypt(envelope);
    await clock.advance(400);
    await keyring.decrypt(envelope);
    await clock.advance(600);
    keyring.forget();
    expect(events.filter(({ type }) => type === "cache")).toMatchObject([{ result: "miss" }, { result: "hit" }]);
    expect(events.filter(({ type }) => type === "eviction")).toEqual([{ type: "eviction", reason: "age", provider: "local", keyId: "k1" }]);
    expect(events.filter(({ type }) => type === "operation")).toMatchObject([
      { operation: "decrypt", dataKey: "unwrapped", dataKeyAgeMs: 0, keys: [{ provider: "local", keyId: "k1" }], bytes: 9, outcome: "ok" },
      { operation: "decrypt", dataKey: "cached", dataKeyAgeMs: 400, keys: [{ provider: "local", keyId: "k1" }], bytes: 9, outcome: "ok" },
    ]);
  });
});

describe("policy and a shared cache", () => {
  test("a keyring that is not configured for a key gets nothing from a cache that holds it", async () => {
    const cache = new DataKeyCache();
    const provider = kek("a");
    const envelope = await new Keyring(provider).encrypt(noise(9));
    const trusted = new Keyring({ unwrapWith: [provider], cache });
    expect(await trusted.decrypt(envelope)).toEqual(noise(9));
    expect(cache.size).toBe(1);
    const strict = new Keyring({ unwrapWith: [kek("b")], cache });
    expect(await refusalCode(() => strict.decrypt(envelope))).toBe("no-matching-provider");
    const narrowed: KeyProvider = { ...provider, owns: () => false };
    expect(await refusalCode(() => new Keyring({ unwrapWith: [narrowed], cache }).decrypt(envelope))).toBe("no-matching-provider");
  });

  test("policy is asked again on every hit", async () => {
    let allows = true;
    const provider: KeyProvider = { ...kek(), owns: (keyId) => allows && keyId === "k1" };
    const keyring = new Keyring({ unwrapWith: [provider], cache: {} });
    const envelope = await new Keyring(kek()).encrypt(noise(9));
    await keyring.decrypt(envelope);
    allows = false;
    expect(await refusalCode(() => keyring.decrypt(envelope))).toBe("no-matching-provider");
  });

  test("another tenant's keyring is refused by a cache that the first has warmed", async () => {
    const cache = new DataKeyCache();
    const provider = kek();
    const [acme, bolt] = ["acme", "bolt"].map((tenant) => new Keyring({ wrapWith: [provider], context: { tenant }, cache }));
    const envelope = await acme?.encrypt(noise(9));
    expect(await acme?.decrypt(envelope ?? noise(0))).toEqual(noise(9));
    expect(await refusalCode(() => bolt?.decrypt(envelope ?? noise(0)))).toBe("authentication-failed");
    expect(cache.size).toBe(1);
  });

  test("another provider object of the same key asks for itself", async () => {
    const cache = new DataKeyCache();
    const envelope = await new Keyring(kek()).encrypt(noise(9));
    const providers = [watched(kek()), watched(kek())];
    for (const provider of providers) await new Keyring({ unwrapWith: [provider], cache }).decrypt(envelope);
    for (const provider of providers) await new Keyring({ unwrapWith: [provider], cache }).decrypt(envelope);
    expect(providers.map(({ calls }) => calls)).toEqual([["unwrap"], ["unwrap"]]);
  });

  test("a hit is held to the record's commitment as an unwrap is", async () => {
    const keyring = new Keyring({ wrapWith: [kek()], cache: {} });
    const { keyRecord } = await keyring.createDataKey();
    await keyring.unwrapDataKey(keyRecord);
    const record = parseKeyRecord(keyRecord);
    const forged = encodeKeyRecord({ ...record, keyCommit: Uint8Array.from(record.keyCommit, (byte) => byte ^ 1) });
    expect(await refusalCode(() => keyring.unwrapDataKey(forged))).toBe("authentication-failed");
  });

  test("a data key that is handed out can be destroyed without harm to the cache", async () => {
    const provider = watched(kek());
    const keyring = new Keyring({ wrapWith: [provider], cache: {} });
    const { dataKey, keyRecord } = await keyring.createDataKey();
    const token = dataKey.encryptToken(noise(9));
    for (let call = 0; call < 3; call++) {
      const unwrapped = await keyring.unwrapDataKey(keyRecord);
      expect(unwrapped.decryptToken(token)).toEqual(noise(9));
      unwrapped.destroy();
    }
    expect(provider.calls).toEqual(["wrap", "unwrap"]);
  });

  test("each part of the identity, changed alone, misses (property)", async () => {
    const store = storeOf(new DataKeyCache());
    const key = new SharedDataKey(DataKey.from(noise(32)), []);
    const kept = identity({});
    await store.keep(store.begin(kept), key, () => {});
    expect(store.find(identity({}))?.key).toBe(key);
    const changes = fc.oneof(
      fc.constant({ provider: kek() }),
      fc
        .string({ minLength: 1 })
        .filter((keyId) => keyId !== "k1")
        .map((keyId) => ({ keyId })),
      fc
        .nat()
        .filter((alg) => alg !== 1)
        .map((alg) => ({ alg })),
      fc.nat({ max: 71 }).chain((at) => fc.nat({ max: 7 }).map((bit) => ({ wrapped: flipped(noise(72), at, bit) }))),
      fc.nat({ max: 71 }).map((length) => ({ wrapped: noise(72).subarray(0, length) })),
      fc.constantFrom({ context: {} }, { context: { tenant: "acmf" } }, { context: { tenant: "acme", x: "" } }),
      fc
        .nat()
        .filter((suite) => suite !== 1)
        .map((suite) => ({ suite })),
    );
    await fc.assert(
      fc.asyncProperty(changes, async (change) => {
        expect(store.find(identity(change))).toBeUndefined();
        expect(store.find(identity({}))?.key).toBe(key);
      }),
      runs(1000, 1000),
    );
  });
});

describe("revocation", () => {
  const REFUSALS = ["key-disabled", "access-denied", "key-not-found"] as const;

  test.each(REFUSALS)("%s purges what that key version had unwrapped", async (code) => {
    const clock = fakeClock();
    const disabled: { fault: ProviderFault | undefined } = { fault: undefined };
    const { provider, times } = timed(clock, () => disabled.fault);
    const writer = new Keyring(kek());
    const [first, second] = await Promise.all([writer.encrypt(noise(9)), writer.encrypt(noise(9))]);
    const events: KeyringEvent[] = [];
    const keyring = new Keyring({ unwrapWith: [provider], clock, cache: {}, onEvent: (event) => events.push(event) });
    await keyring.decrypt(first);
    disabled.fault = { kind: "fail", code };
    expect(await keyring.decrypt(first)).toEqual(noise(9)); // the cache does not know yet
    expect(await refusalCode(() => keyring.decrypt(second))).toBe(code);
    expect(await refusalCode(() => keyring.decrypt(first))).toBe(code);
    expect(times).toHaveLength(3);
    expect(events.filter(({ type }) => type === "eviction")).toMatchObject([{ reason: "revoked" }]);
  });

  test.each(["unavailable", "timeout", "rate-limited", "unwrap-rejected"] as const)("%s purges nothing", async (code) => {
    const clock = fakeClock();
    const { provider } = timed(clock, (call) => (call === 0 ? undefined : { kind: "fail", code }));
    const writer = new Keyring(kek());
    const [first, second] = await Promise.all([writer.encrypt(noise(9)), writer.encrypt(noise(9))]);
    const keyring = new Keyring({ unwrapWith: [provider], clock, cache: {}, retry: false });
    await keyring.decrypt(first);
    await refusalCode(() => keyring.decrypt(second));
    expect(await keyring.decrypt(first)).toEqual(noise(9));
  });

  test("without any other call it takes effect within maxAgeMs", async () => {
    const clock = fakeClock();
    let isDisabled = false;
    const { provider } = timed(clock, () => (isDisabled ? { kind: "fail", code: "key-disabled" } : undefined));
    const envelope = await new Keyring(kek()).encrypt(noise(9));
    const keyring = new Keyring({ unwrapWith: [provider], clock, cache: { maxAgeMs: 5 * MINUTE_MS } });
    await keyring.decrypt(envelope);
    isDisabled = true;
    await clock.advance(5 * MINUTE_MS - 1);
    expect(await keyring.decrypt(envelope)).toEqual(noise(9));
    await clock.advance(1);
    expect(await refusalCode(() => keyring.decrypt(envelope))).toBe("key-disabled");
  });

  test("of one key version leaves the others, of this and of other providers", async () => {
    const cache = new DataKeyCache();
    const others = [kek("a"), kek("b")];
    for (const provider of others) {
      const keyring = new Keyring({ wrapWith: [provider], cache });
      await keyring.decrypt(await keyring.encrypt(noise(1)));
    }
    const owns = (keyId: string): boolean => keyId === "a" || keyId === "gone";
    const hostile: KeyProvider = {
      ...kek("a"),
      owns,
      unwrap: timed(fakeClock(), () => ({ kind: "fail", code: "key-not-found" })).provider.unwrap,
    };
    const envelope = await new Keyring(kek("gone")).encrypt(noise(1));
    expect(await refusalCode(() => new Keyring({ unwrapWith: [hostile], cache }).decrypt(envelope))).toBe("key-not-found");
    expect(cache.size).toBe(2);
  });
});

const PROVIDER = kek();

interface IdentityParts {
  readonly provider: KeyProvider;
  readonly keyId: string;
  readonly alg: number;
  readonly wrapped: Uint8Array;
  readonly context: Record<string, string>;
  readonly suite: number;
}

function identity(changed: Partial<IdentityParts>): UnwrapIdentity {
  const { provider = PROVIDER, keyId = "k1", alg = 1, wrapped = noise(72), context = { tenant: "acme" }, suite = 1 } = changed;
  return { provider, recipient: { provider: "local", keyId, alg, wrapped }, keyContext: new KeyContext(context), suite, tenant: undefined };
}

function flipped(bytes: Uint8Array, at: number, bit: number): Uint8Array {
  return bytes.map((byte, place) => (place === at ? byte ^ (1 << bit) : byte));
}

/** A keyring whose provider answers when told to, and an envelope for it. */
async function heldReader(options: Partial<KeyringOptions> = {}) {
  const clock = fakeClock();
  const inner = held();
  const envelope = await new Keyring(kek()).encrypt(noise(9));
  return { reader: new Keyring({ unwrapWith: [inner], clock, ...options }), envelope, inner, clock };
}

async function cachedReader(
  cache: KeyringOptions["cache"],
  options: Partial<KeyringOptions> & { clock?: ReturnType<typeof fakeClock> } = {},
) {
  const clock = options.clock ?? fakeClock();
  const provider = watched(kek());
  const envelope = await new Keyring(kek()).encrypt(noise(9));
  const keyring = new Keyring({ unwrapWith: [provider], clock, ...(cache && { cache }), ...options });
  return { keyring, envelope, clock, unwraps: () => provider.calls.length };
}
