import { runInNewContext } from "node:vm";
import { describe, expect, test } from "vitest";
import { DataKey } from "../../src/core/data-key/data-key.ts";
import { DataKeyCache } from "../../src/core/key-source/data-key-cache.ts";
import { inspect } from "../../src/core/keyring/inspect.ts";
import { Keyring, requireKeyring } from "../../src/core/keyring/keyring.ts";
import { ProviderGuards } from "../../src/core/resilience/policy.ts";
import { kek, watched } from "../support/keks.ts";
import { refusal, refusalCode } from "../support/refusal.ts";
import { untyped } from "../support/untyped.ts";

const ONE = new Uint8Array(1);

describe("what a keyring is made with", () => {
  test.each<[string, unknown]>([
    ["nothing", undefined],
    ["null", null],
    ["text", "k1"],
    ["no provider", {}],
    ["a provider in place of an array", { wrapWith: kek() }],
    ["an array that holds nothing", { wrapWith: [undefined] }],
    ["a promise of a provider", { wrapWith: [Promise.resolve(kek())] }],
    ["a provider without unwrap", { wrapWith: [{ ...kek(), unwrap: undefined }] }],
    ["a provider without a name", { wrapWith: [{ ...kek(), name: undefined }] }],
    ["a misspelt option", { wrapWith: [kek()], contxt: {} }],
    ["tenant in place of context", { wrapWith: [kek()], tenant: "acme" }],
    ["a misspelt bound of the cache", { wrapWith: [kek()], cache: { maxAge: 1 } }],
    ["a cache that is none", { wrapWith: [kek()], cache: new Map() }],
    ["true for a cache", { wrapWith: [kek()], cache: true }],
    ["a misspelt bound of reuse", { wrapWith: [kek()], reuse: { maxAge: 1 } }],
    ["true for reuse", { wrapWith: [kek()], reuse: true }],
    ["a number for retry", { wrapWith: [kek()], retry: 3 }],
    ["a misspelt part of retry", { wrapWith: [kek()], retry: { delays: [1] } }],
    ["one delay in place of a list", { wrapWith: [kek()], retry: { delaysMs: 5 } }],
    ["another jitter", { wrapWith: [kek()], retry: { jitter: "some" } }],
    ["a number for the breaker", { wrapWith: [kek()], breaker: 3 }],
    ["a misspelt part of the breaker", { wrapWith: [kek()], breaker: { openFor: 3 } }],
    ["guards that are none", { wrapWith: [kek()], guards: {} }],
    ["a clock that is none", { wrapWith: [kek()], clock: Date }],
    ["a listener that is none", { wrapWith: [kek()], onEvent: {} }],
    ["telemetry that is none", { wrapWith: [kek()], telemetry: {} }],
    ["a generator that is none", { wrapWith: [kek()], randomness: () => ONE }],
    ["a context that is none", { wrapWith: [kek()], context: "acme" }],
  ])("%s is refused as invalid-argument", async (_, options) => {
    expect(await refusalCode(() => new Keyring(untyped(options)))).toBe("invalid-argument");
  });

  test("the refusal says what was meant", async () => {
    expect((await refusal(() => new Keyring(untyped({ wrapWith: [kek()], contxt: {} })))).hint).toBe("did you mean `context`?");
    expect((await refusal(() => new Keyring(untyped({ wrapWith: [Promise.resolve(kek())] })))).hint).toBe(
      "It is a promise: await it first.",
    );
  });

  test("the caller's array of providers may change afterwards", async () => {
    const wrapWith = [kek()];
    const keyring = new Keyring({ wrapWith });
    wrapWith.length = 0;
    expect(await keyring.decrypt(await keyring.encrypt(ONE))).toEqual(ONE);
  });

  test("caches and guards have bounds of their own names alone", async () => {
    expect(await refusalCode(() => new DataKeyCache(untyped({ max: 5 })))).toBe("invalid-argument");
    expect(await refusalCode(() => new DataKeyCache(untyped(null)))).toBe("invalid-argument");
    expect(await refusalCode(() => new ProviderGuards(untyped({ concurrency: 5 })))).toBe("invalid-argument");
  });
});

describe("objects of another copy of the package", () => {
  const foreign = (name: string): unknown =>
    runInNewContext(`class Foreign { forget() {} }
      Object.defineProperty(Foreign.prototype, Symbol.for("envelock.${name}"), { value: true });
      new Foreign()`);

  test.each([
    ["DataKeyCache", "cache"],
    ["ProviderGuards", "guards"],
  ])("a %s is refused with what to do about it", async (name, option) => {
    const { code, message, hint } = await refusal(() => new Keyring(untyped({ wrapWith: [kek()], [option]: foreign(name) })));
    expect([code, message]).toEqual(["invalid-argument", `${option} is a ${name} of another copy of envelock`]);
    expect(hint).toContain("npm ls envelock");
  });

  test("a keyring is told from what only looks like one", async () => {
    const keyring = new Keyring(kek());
    expect(requireKeyring(keyring, "keyring")).toBe(keyring);
    expect((await refusal(() => requireKeyring(foreign("Keyring"), "keyring"))).message).toBe(
      "keyring is a Keyring of another copy of envelock",
    );
    expect((await refusal(() => requireKeyring(Object.create(keyring), "keyring"))).message).toContain("another copy");
    expect((await refusal(() => requireKeyring({}, "keyring"))).message).toBe("keyring must be a Keyring");
  });

  test("every class that is handed in carries its mark", () => {
    const key = DataKey.generate();
    const marked: [object, string][] = [
      [new Keyring(kek()), "Keyring"],
      [new DataKeyCache(), "DataKeyCache"],
      [new ProviderGuards(), "ProviderGuards"],
      [key, "DataKey"],
    ];
    for (const [object, name] of marked) expect(Reflect.get(object, Symbol.for(`envelock.${name}`))).toBe(true);
    key.destroy();
  });
});

describe("what a call is told", () => {
  const keyring = new Keyring({ wrapWith: [kek()], context: { tenant: "acme" } });
  const methods: [string, (options: unknown) => Promise<unknown>][] = [
    ["encrypt", (options) => keyring.encrypt(ONE, untyped(options))],
    ["encryptDetached", (options) => keyring.encryptDetached(ONE, untyped(options))],
    ["decrypt", async (options) => keyring.decrypt(await keyring.encrypt(ONE), untyped(options))],
    ["decryptDetached", async (options) => keyring.decryptDetached(await keyring.encryptDetached(ONE), untyped(options))],
    ["rewrap", async (options) => keyring.rewrap(await keyring.encrypt(ONE), untyped(options))],
    ["rewrapHeader", async (options) => keyring.rewrapHeader((await keyring.encryptDetached(ONE)).header, untyped(options))],
    ["needsRewrap", async (options) => keyring.needsRewrap(await keyring.encrypt(ONE), untyped(options))],
    ["createDataKey", (options) => keyring.createDataKey(untyped(options))],
    ["unwrapDataKey", async (options) => keyring.unwrapDataKey((await keyring.createDataKey()).keyRecord, untyped(options))],
    ["rewrapKeyRecord", async (options) => keyring.rewrapKeyRecord((await keyring.createDataKey()).keyRecord, untyped(options))],
    ["keyRecordNeedsRewrap", async (options) => keyring.keyRecordNeedsRewrap((await keyring.createDataKey()).keyRecord, untyped(options))],
  ];

  test.each(methods)("%s rejects with invalid-argument for options that are none", async (name, call) => {
    for (const options of [null, "text", { tenant: "acme" }, { signl: undefined }, { signal: {} }, { signal: "aborted" }]) {
      expect(await refusalCode(() => call(options))).toBe("invalid-argument");
    }
    expect((await refusal(() => call({ tenant: "acme" }))).message).toBe(`${name} has no option \`tenant\``);
  });

  test("forget refuses what would meet more than was meant", async () => {
    for (const filter of [null, { tenants: "acme" }, { tenant: 7 }, { keyID: "k1" }, { keyId: 1 }, { context: "acme" }]) {
      expect(await refusalCode(() => keyring.forget(untyped(filter)))).toBe("invalid-argument");
      expect(await refusalCode(() => new DataKeyCache().forget(untyped(filter)))).toBe("invalid-argument");
    }
  });

  test("an observed call that is refused for its options is told of", async () => {
    const outcomes: string[] = [];
    const observed = new Keyring({ wrapWith: [kek()], onEvent: (event) => event.type === "operation" && outcomes.push(event.outcome) });
    await refusal(() => observed.encrypt(ONE, untyped({ tenant: "acme" })));
    expect(outcomes).toEqual(["invalid-argument"]);
  });

  test("options are read when the method is called, whatever delays the work", async () => {
    const gates: (() => void)[] = [];
    const telemetry = {
      async span<T>(_: string, run: (finish: () => void) => Promise<T>): Promise<T> {
        await new Promise<void>((resolve) => gates.push(resolve));
        return await run(() => undefined);
      },
      record: () => undefined,
    };
    const slow = new Keyring({ wrapWith: [kek()], telemetry });
    const options = { context: { row: "1" } };
    const pending = slow.encrypt(ONE, options);
    options.context.row = "2";
    const step = setInterval(() => gates.shift()?.());
    const envelope = await pending;
    clearInterval(step);
    const reader = new Keyring(kek());
    expect(await reader.decrypt(envelope, { context: { row: "1" } })).toEqual(ONE);
    expect(await refusalCode(() => reader.decrypt(envelope, options))).toBe("authentication-failed");
  });
});

describe("a context whose getter uses the same key", () => {
  const lazily = (evil: () => void): Record<string, string> => ({
    aa: "good",
    get zz() {
      evil();
      return "1";
    },
  });

  test("binds to what it says, in envelopes, tokens and indexes", async () => {
    const keyring = new Keyring(kek());
    await keyring.encrypt(ONE, { context: { aa: "warm", zz: "w" } });
    const evil = { aa: "evil", zz: "0".repeat(200) };
    const envelope = await keyring.encrypt(ONE, { context: lazily(() => void keyring.encrypt(ONE, { context: evil })) });
    expect(await keyring.decrypt(envelope, { context: { aa: "good", zz: "1" } })).toEqual(ONE);
    const key = DataKey.generate();
    for (const other of [{ aa: "evil", zz: "1" }, evil, { aa: "evil", zz: "0".repeat(4000) }]) {
      const random = key.encryptToken(
        ONE,
        lazily(() => key.encryptToken(ONE, other)),
      );
      const fixed = key.encryptDeterministic(
        ONE,
        lazily(() => key.encryptDeterministic(ONE, other)),
      );
      expect(key.decryptToken(random, { aa: "good", zz: "1" })).toEqual(ONE);
      expect(key.decryptDeterministic(fixed, { aa: "good", zz: "1" })).toEqual(ONE);
    }
  });

  test("cannot have a destroyed key encrypt", async () => {
    for (const call of ["encryptToken", "encryptDeterministic"] as const) {
      const key = DataKey.generate();
      key.encryptToken(ONE, { aa: "warm", zz: "w" });
      key.encryptDeterministic(ONE, { aa: "warm", zz: "w" });
      expect(
        await refusalCode(() =>
          key[call](
            ONE,
            lazily(() => key.destroy()),
          ),
        ),
      ).toBe("closed");
    }
  });

  test("cannot narrow a key context to what contradicts the keyring's", async () => {
    const keyring = new Keyring({ wrapWith: [kek()], context: { tenant: "acme" } });
    let reads = 0;
    const shifty = {
      get tenant() {
        return reads++ === 0 ? "acme" : "other";
      },
    };
    const { dataKey, keyRecord } = await keyring.createDataKey({ keyContext: shifty });
    dataKey.destroy();
    (await keyring.unwrapDataKey(keyRecord)).destroy();
    expect(reads).toBe(1);
  });
});

test("unwraps of one key record share a call under a key context too, and not across key contexts", async () => {
  const inner = kek();
  const provider = watched(inner, {
    unwrap: async (recipient, options) => {
      await new Promise((resolve) => setTimeout(resolve, 5));
      return await inner.unwrap(recipient, options);
    },
  });
  const keyring = new Keyring({ wrapWith: [provider] });
  const keyContext = { tenant: "acme" };
  const { keyRecord, dataKey } = await keyring.createDataKey({ keyContext });
  dataKey.destroy();
  const calls = await Promise.allSettled([
    ...Array.from({ length: 20 }, () => keyring.unwrapDataKey(keyRecord, { keyContext })),
    keyring.unwrapDataKey(keyRecord, { keyContext: { tenant: "other" } }),
  ]);
  expect(calls.map(({ status }) => status)).toEqual([...Array.from({ length: 20 }, () => "fulfilled"), "rejected"]);
  expect(provider.calls.filter((call) => call === "unwrap").length).toBe(2);
});

describe("what is not an envelope is named for what it looks like", () => {
  const keyring = new Keyring(kek());

  test.each<[string, unknown, RegExp]>([
    ["text", "hello", /plain text/],
    ["a token in text", "nAAAAAAAAAAAAAAAAAAAAAAA", /token of a field/],
    ["an envelope in base64", "ngEAAAAAAA==", /envelope.*base64: decode/],
    ["an envelope in hex", "9e0100000000", /envelope.*hex: decode/],
    ["an ArrayBuffer", new ArrayBuffer(3), /new Uint8Array\(buffer\)/],
    ["a list of numbers", [1, 2], /Uint8Array\.from/],
    ["a Buffer that went through JSON", JSON.parse(JSON.stringify(Buffer.from("x"))), /Uint8Array\.from\(value\.data\)/],
    ["a promise", Promise.resolve(ONE), /Await it/],
  ])("%s in place of bytes", async (_, value, hint) => {
    const error = await refusal(() => keyring.decrypt(untyped(value)));
    expect(error.code).toBe("invalid-argument");
    expect(error.hint).toMatch(hint);
  });

  test.each<[string, Uint8Array, RegExp]>([
    ["nothing", new Uint8Array(0), /empty/],
    ["a token", DataKey.generate().encryptToken(ONE), /token of a field/],
    ["text that was never encrypted", Buffer.from("s3cret-value, never encrypted"), /plain text/],
    ["JSON", Buffer.from('{"card":"4111"}'), /JSON/],
    ["PEM", Buffer.from("-----BEGIN PRIVATE KEY-----\nMII"), /PEM/],
    ["an envelope in base64 text", Buffer.from("ngEAAAAAAA=="), /envelope.*base64/],
  ])("%s in place of an envelope", async (_, bytes, hint) => {
    const error = await refusal(() => keyring.decrypt(bytes));
    expect(error.code).toBe("malformed-envelope");
    expect(error.hint).toMatch(hint);
    expect(`${error.message}${error.hint}`).not.toMatch(/s3cret|4111|MII/);
  });

  test("a key record and an envelope in each other's place", async () => {
    const { keyRecord, dataKey } = await keyring.createDataKey();
    dataKey.destroy();
    expect((await refusal(() => keyring.decrypt(keyRecord))).hint).toMatch(/key record.*unwrapDataKey/);
    const envelope = await keyring.encrypt(ONE);
    expect((await refusal(() => keyring.unwrapDataKey(envelope))).hint).toMatch(/envelope.*decrypt/);
  });

  test("garbage that is inspected, and a token that was cut", async () => {
    expect((await refusal(() => inspect(Buffer.from("hello")))).message).toMatch(/neither an envelope nor a key record nor a token/);
    expect((await refusal(() => inspect(untyped(7)))).message).toMatch(/not a number/);
    const key = DataKey.generate();
    const text = Buffer.from(key.encryptToken(ONE)).toString("base64url");
    expect((await refusal(() => inspect(text.slice(0, 61)))).hint).toMatch(/cut short/);
    expect((await refusal(() => inspect(text.slice(0, 60)))).hint).toMatch(/cut short/);
    expect((await refusal(() => inspect(`${text.slice(0, 59)}=`))).hint).toMatch(/base64url without padding/);
    key.destroy();
  });

  test("plaintext that is no bytes", async () => {
    const error = await refusal(() => keyring.encrypt(untyped("text")));
    expect([error.message, error.hint]).toEqual([
      "plaintext must be a Uint8Array, not a string",
      "new TextEncoder().encode(text) makes bytes of it.",
    ]);
  });
});
