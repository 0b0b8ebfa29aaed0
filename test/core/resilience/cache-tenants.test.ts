import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { KeyContext } from "../../../src/core/base/context.ts";
import type { TenantLabel } from "../../../src/core/base/tenant-label.ts";
import { DataKey, secretBytesOf } from "../../../src/core/data-key/data-key.ts";
import { type CacheOptions, DataKeyCache, storeOf } from "../../../src/core/key-source/data-key-cache.ts";
import { SharedDataKey } from "../../../src/core/key-source/shared-data-key.ts";
import type { UnwrapIdentity } from "../../../src/core/key-source/unwrap-store.ts";
import { Keyring } from "../../../src/core/keyring/keyring.ts";
import { noise, runs } from "../../support/arbitraries.ts";
import { type FakeClock, fakeClock } from "../../support/fake-clock.ts";
import { kek, watched } from "../../support/keks.ts";
import { refusal, refusalCode } from "../../support/refusal.ts";

const MINUTE_MS = 60_000;

describe("tenants in one shared cache", () => {
  test("C2: 0 and 30 minutes each keep to their own bound", async () => {
    const clock = fakeClock();
    const cache = new DataKeyCache({ maxAgeMs: 5 * MINUTE_MS, clock });
    const [none, long, plain] = await Promise.all([
      reader(cache, clock, { id: "none", cacheMaxAgeMs: 0 }),
      reader(cache, clock, { id: "long", cacheMaxAgeMs: 30 * MINUTE_MS }),
      reader(cache, clock, { id: "plain" }),
    ]);
    const counts: number[][] = [];
    for (let minute = 0; minute <= 30; minute++) {
      for (const { read } of [none, long, plain]) await read();
      counts.push([none, long, plain].map(({ unwraps }) => unwraps()));
      await clock.advance(MINUTE_MS);
    }
    expect([counts[0], counts[4], counts[5], counts[29], counts[30]]).toEqual([
      [1, 1, 1],
      [5, 1, 1],
      [6, 1, 2],
      [30, 1, 6],
      [31, 2, 7],
    ]);
  });

  test("C5: a hot key expires on time, counted from its unwrap", async () => {
    const clock = fakeClock();
    const hot = await reader(new DataKeyCache({ clock }), clock, { id: "hot", cacheMaxAgeMs: MINUTE_MS });
    for (let second = 0; second < 180; second++) {
      await hot.read();
      await clock.advance(1000);
    }
    expect(hot.unwraps()).toBe(3);
  });

  test("a key is wiped by its own age, also if nobody asks for it", async () => {
    const clock = fakeClock();
    const cache = new DataKeyCache({ maxAgeMs: 60 * MINUTE_MS, clock });
    await (await reader(cache, clock, { id: "short", cacheMaxAgeMs: 1000 })).read();
    await (await reader(cache, clock, { id: "long" })).read();
    expect(cache.size).toBe(2);
    await clock.advance(1000);
    expect(cache.size).toBe(1);
    await clock.advance(60 * MINUTE_MS);
    expect(cache.size).toBe(0);
  });

  test("a bound that was lowered holds for what is cached already", async () => {
    const clock = fakeClock();
    const cache = new DataKeyCache({ clock });
    const provider = watched(kek());
    const envelope = await new Keyring(kek()).encrypt(noise(1));
    const keyring = (cacheMaxAgeMs: number): Keyring => {
      return new Keyring({ unwrapWith: [provider], cache, clock, tenant: { id: "acme", cacheMaxAgeMs } });
    };
    await keyring(30 * MINUTE_MS).decrypt(envelope);
    await clock.advance(MINUTE_MS);
    await keyring(MINUTE_MS).decrypt(envelope);
    expect(provider.calls).toEqual(["unwrap", "unwrap"]);
  });

  test("C7: a tenant's keyring gets nothing that another tenant's has warmed, also by the same key and context", async () => {
    const cache = new DataKeyCache();
    const provider = watched(kek());
    const envelope = await new Keyring(kek()).encrypt(noise(1));
    for (const id of ["acme", "globex"]) await new Keyring({ unwrapWith: [provider], cache, tenant: { id } }).decrypt(envelope);
    expect(provider.calls).toEqual(["unwrap", "unwrap"]);
  });

  test("forget takes one tenant's, kept, in flight and reused, and no other's", async () => {
    const cache = new DataKeyCache();
    const keyrings = ["acme", "globex"].map((id) => new Keyring({ wrapWith: [kek(id)], cache, reuse: {}, tenant: { id } }));
    for (const keyring of keyrings) await keyring.decrypt(await keyring.encrypt(noise(1)));
    expect(keyrings[1]?.forget({ tenant: "acme" })).toBe(1);
    expect(keyrings[1]?.status()).toMatchObject({ cachedDataKeys: 1, hasReusedDataKey: true });
    expect(keyrings[0]?.forget({ tenant: "acme" })).toBe(1); // the reused one, for the cache has forgotten already
    expect(cache.forget({ tenant: "nobody" })).toBe(0);
    expect(cache.forget({ tenant: "globex" })).toBe(1);
    expect(await refusalCode(() => cache.forget(JSON.parse('{ "tenant": 7 }')))).toBe("invalid-argument");
  });

  test("the status has the age of the oldest data key: of a keyring's tenant, or of the whole cache", async () => {
    const clock = fakeClock();
    const cache = new DataKeyCache({ maxAgeMs: 5000, clock });
    const open = (id?: string): Keyring => new Keyring({ wrapWith: [kek(id)], cache, clock, ...(id !== undefined && { tenant: { id } }) });
    const [acme, globex, plain] = [open("acme"), open("globex"), open()];
    const ages = (): unknown => [acme, globex, plain].map((keyring) => keyring.status().oldestDataKeyMs);
    expect(ages()).toEqual([undefined, undefined, undefined]);
    await acme.decrypt(await acme.encrypt(noise(1)));
    await clock.advance(1000);
    await globex.decrypt(await globex.encrypt(noise(1)));
    expect(ages()).toEqual([1000, 0, 1000]);
    await clock.advance(4000);
    expect(ages()).toEqual([undefined, 4000, 4000]); // an expired key serves no more, also before it is wiped
    cache.forget();
    expect(ages()).toEqual([undefined, undefined, undefined]);
  });

  test.each([
    [{}, 10],
    [{ maxEntries: 100 }, 8],
    [{ maxEntries: 5 }, 5],
    [{ maxEntriesPerTenant: 3 }, 3],
  ])("of %o, one has at most %i", (options, most) => {
    const { cache, keep } = bench(options);
    for (let key = 0; key < 1000; key++) keep("hot", key);
    expect(cache.size).toBe(most);
  });

  test("one hot tenant evicts none of the others", () => {
    const { keep, find } = bench({ maxEntries: 100 });
    for (let at = 0; at < 92; at++) keep(`quiet-${at}`, at);
    for (let key = 0; key < 1000; key++) keep("hot", key);
    for (let at = 0; at < 92; at++) expect(find(`quiet-${at}`, at)).toBe(true);
  });

  test("a tenant at its bound lets go of what it used longest ago", () => {
    const { keep, find } = bench({ maxEntriesPerTenant: 3 });
    for (let key = 0; key < 3; key++) keep("acme", key);
    expect(find("acme", 0)).toBe(true);
    keep("acme", 3);
    expect([0, 1, 2, 3].map((key) => find("acme", key))).toEqual([true, false, true, true]);
  });

  test("keyrings without a tenant share what is left, without a bound of their own", () => {
    const { cache, keep } = bench({ maxEntries: 50 });
    for (let key = 0; key < 100; key++) keep(undefined, key);
    expect(cache.size).toBe(50);
  });

  test("a bad bound is refused", async () => {
    expect((await refusal(() => new DataKeyCache({ maxEntriesPerTenant: 0 }))).message).toContain("maxEntriesPerTenant");
  });
});

test("whatever happens, each keeps to its share and age, and evicts another only from a full cache (property)", () => {
  const step = fc.record({ does: fc.constantFrom("keep", "keep", "find", "wait", "forget"), tenant: fc.nat(3), key: fc.nat(9) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const { keep, find, cache, clock, live, gone } = bench({ maxEntries: MOST, maxEntriesPerTenant: SHARE, maxAgeMs: 100 });
      for (const { does, tenant, key } of steps) {
        const id = TENANTS[tenant];
        const before = [...live.values()];
        gone.length = 0;
        if (does === "keep") keep(id, key);
        else if (does === "wait") clock.advanceNow(10 * key);
        else if (does === "forget") cache.forget({ tenant: id ?? "t1" });
        else {
          const entry = live.get(`${id}/${key}`);
          expect(find(id, key)).toBe(entry !== undefined && clock.monotonicMs() - entry.bornAt < (AGES[id ?? ""] ?? 100));
        }
        const left = gone.filter(({ reason }) => reason === "size");
        if (before.filter((entry) => entry.id === id).length >= SHARE && id !== undefined)
          expect(left.every((entry) => entry.id === id)).toBe(true);
        if (left.some((entry) => entry.id !== id)) expect(before).toHaveLength(MOST);
        expect(does === "keep" || left.length === 0).toBe(true);
        for (const name of TENANTS)
          if (name !== undefined) expect([...live.values()].filter((entry) => entry.id === name).length).toBeLessThanOrEqual(SHARE);
        expect(live.size).toBe(cache.size);
        expect(live.size).toBeLessThanOrEqual(MOST);
        for (const { isWiped } of gone) expect(isWiped()).toBe(true);
        for (const { isWiped } of live.values()) expect(isWiped()).toBe(false);
      }
    }),
    runs(300, 300),
  );
});

const MOST = 7;
const SHARE = 3;
const AGES: Readonly<Record<string, number>> = { t1: 50, t2: 0 };
const TENANTS = [undefined, "t1", "t2", "t3"] as const;

interface Entry {
  readonly id: string | undefined;
  readonly bornAt: number;
  isWiped(): boolean;
}

/** A cache that is used without keyrings, and the entries that it holds by what it says of them. */
function bench(options: CacheOptions) {
  const clock = fakeClock();
  const cache = new DataKeyCache({ clock, ...options });
  const store = storeOf(cache);
  const provider = kek();
  const live = new Map<string, Entry>();
  const gone: (Entry & { readonly reason: string })[] = [];
  const identityOf = (id: string | undefined, key: number): UnwrapIdentity => {
    const cacheMaxAgeMs = AGES[id ?? ""];
    const tenant: TenantLabel | undefined = id === undefined ? id : { id, ...(cacheMaxAgeMs !== undefined && { cacheMaxAgeMs }) };
    const recipient = { provider: "local", keyId: "k1", alg: 1, wrapped: noise(72, `${id}/${key}`) };
    return { provider, recipient, keyContext: NO_CONTEXT, suite: 1, tenant };
  };
  return {
    cache,
    clock,
    live,
    gone,
    keep(id: string | undefined, key: number): void {
      const name = `${id}/${key}`;
      const dataKey = DataKey.from(noise(32));
      const shared = new SharedDataKey(dataKey, []);
      const entry: Entry = { id, bornAt: clock.monotonicMs(), isWiped: () => isClosed(dataKey) };
      const begun = store.begin(identityOf(id, key));
      store.keep(begun, shared, (reason) => {
        if (live.get(name) === entry) live.delete(name);
        gone.push({ ...entry, reason });
      });
      store.end(begun);
      shared.release();
      if (!isClosed(dataKey)) live.set(name, entry);
    },
    find: (id: string | undefined, key: number): boolean => store.find(identityOf(id, key)) !== undefined,
  };
}

function isClosed(dataKey: DataKey): boolean {
  try {
    secretBytesOf(dataKey);
    return false;
  } catch {
    return true;
  }
}

/** A keyring on the cache that reads one envelope of its own key. */
async function reader(cache: DataKeyCache, clock: FakeClock, tenant: TenantLabel) {
  const provider = watched(kek(tenant.id));
  const envelope = await new Keyring(kek(tenant.id)).encrypt(noise(1));
  const keyring = new Keyring({ unwrapWith: [provider], cache, clock, tenant });
  return { read: () => keyring.decrypt(envelope), unwraps: () => provider.calls.length };
}

const NO_CONTEXT = new KeyContext();
