import { inspect as show } from "node:util";
import { afterEach, describe, expect, test, vi } from "vitest";
import { engine } from "#engine";
import { KeyContext } from "../../src/core/base/context.ts";
import { EnvelockError } from "../../src/core/base/errors.ts";
import type { KeyProvider } from "../../src/core/contracts/key-provider.ts";
import { DataKey } from "../../src/core/data-key/data-key.ts";
import { inspect } from "../../src/core/keyring/inspect.ts";
import { Keyring } from "../../src/core/keyring/keyring.ts";
import { DataKeys } from "../../src/fields/data-keys.ts";
import { memoryStore } from "../../src/fields/stores/memory.ts";
import { noise } from "../support/arbitraries.ts";
import { flipped } from "../support/bytes.ts";
import { takeTheFineWay } from "../support/fine-way.ts";
import { kek } from "../support/keks.ts";
import { refusal, refusalCode } from "../support/refusal.ts";
import { untyped } from "../support/untyped.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

describe("secrets never show", () => {
  test("in anything public, whether inspected, stringified or thrown", async () => {
    const plaintext = noise(64, "plaintext");
    const { provider, deks } = keeping(kek("k1"));
    const keyring = new Keyring({ wrapWith: [provider], context: { tenant: "acme" } });
    const envelope = await keyring.encrypt(plaintext);
    const { dataKey, keyRecord } = await keyring.createDataKey();
    const token = dataKey.encryptToken(plaintext);
    const deterministic = dataKey.encryptDeterministic(plaintext);
    dataKey.decryptDeterministic(deterministic);

    const dataKeys = new DataKeys({ keyring, store: memoryStore() });
    const field = await dataKeys.field({ table: "users", column: "photo", type: "bytes", blindIndex: {} });
    const fieldToken = field.encryptBytes(plaintext, { row: 1 });
    field.blindIndex(plaintext);

    const native = new Error("the backend said no");
    const broken = new Keyring({ wrapWith: [{ ...kek("k1"), wrap: () => Promise.reject(native), unwrap: () => Promise.reject(native) }] });
    const short = new Keyring({ wrapWith: [{ ...kek("k1"), unwrap: async () => noise(32, "k1").slice(0, 31) }] });
    const other = new Keyring({ wrapWith: [kek("k1")], context: { tenant: "other" } });
    const thrown = [
      await refusal(() => keyring.decrypt(flipped(envelope, envelope.length - 1))),
      await refusal(() => keyring.decrypt(flipped(envelope, 140))),
      await refusal(() => keyring.decrypt(envelope.subarray(0, 100))),
      await refusal(() => other.decrypt(envelope)),
      await refusal(() => broken.encrypt(plaintext)),
      await refusal(() => broken.decrypt(envelope)),
      await refusal(() => short.decrypt(envelope)),
      await refusal(() => new Keyring(kek("k2")).decrypt(envelope)),
      await refusal(() => dataKey.decryptToken(flipped(token, 70))),
      await refusal(() => dataKey.decryptToken(deterministic)),
      await refusal(() => DataKey.from(deks[0]?.subarray(1) ?? plaintext)),
      await refusal(() => DataKey.generate().decryptToken(token)),
      await refusal(() => field.decrypt(fieldToken, { row: 2 })),
      await refusal(() => field.encrypt(untyped(`${plaintext}`))),
    ];

    const secrets = [noise(32, "k1"), ...deks, plaintext];
    expect(secrets).toHaveLength(6);
    const holders = {
      keyring,
      provider,
      plain: kek("k1"),
      dataKey,
      dataKeys,
      field,
      from: DataKey.from(noise(32, "k1")),
      broken,
      short,
      engine,
    };
    const results = { inspected: inspect(envelope), record: inspect(keyRecord), token: inspect(token), envelope, keyRecord, deterministic };
    for (const [name, value] of Object.entries({ ...holders, ...results, ...thrown })) {
      for (const text of shownForms(value)) expect(leaks(text, secrets), name).toEqual([]);
    }
  });

  test("and would be found if they did", () => {
    const secret = noise(32);
    const holders: readonly unknown[] = [
      { deep: { deeper: { hidden: secret } } },
      { bytes: Buffer.from(secret) },
      { bytes: [...secret] },
      new EnvelockError("provider-failure", `key ${Buffer.from(secret).toString("hex")}`),
      new EnvelockError("provider-failure", `key ${Buffer.from(secret).toString("base64")}`),
      new EnvelockError("provider-failure", Buffer.from(secret).toString("latin1")),
      new EnvelockError("provider-failure", "no", { cause: new Error(`${secret}`) }),
      Object.defineProperty({}, "hidden", { value: secret, enumerable: false }),
    ];
    for (const holder of holders) {
      expect(shownForms(holder).flatMap((text) => leaks(text, [secret])).length, show(holder)).toBeGreaterThan(0);
    }
  });
});

describe("data keys are wiped", () => {
  const isZero = (bytes: Uint8Array): boolean => bytes.every((byte) => byte === 0);

  test("once encrypt, encryptDetached or rewrap is done, though a provider kept its reference", async () => {
    const { provider, references } = keeping(kek("k1"));
    const keyring = new Keyring(provider);
    const envelope = await keyring.encrypt(noise(40));
    await keyring.encryptDetached(noise(40));
    await keyring.rewrap(envelope);
    await keyring.decrypt(envelope);
    expect(references).toHaveLength(5); // wrapped thrice, unwrapped twice
    expect(references.map(isZero)).toEqual([true, true, true, true, true]);
  });

  test("also when something fails", async () => {
    const { provider, references } = keeping(kek("k1"));
    const failing: KeyProvider = { ...kek("k2"), wrap: () => Promise.reject(new EnvelockError("unavailable", "down")) };
    const envelope = await new Keyring(kek("k1")).encrypt(noise(40));
    const bothWrap = new Keyring({ wrapWith: [provider, failing], retry: false });
    const otherWraps = new Keyring({ wrapWith: [failing], unwrapWith: [provider], retry: false });
    expect(await refusalCode(() => bothWrap.encrypt(noise(1)))).toBe("unavailable");
    expect(await refusalCode(() => otherWraps.rewrap(envelope))).toBe("unavailable");
    expect(await refusalCode(() => new Keyring(provider).decrypt(flipped(envelope, 12)))).toBe("authentication-failed");
    expect(await refusalCode(() => new Keyring(provider).decrypt(flipped(envelope, envelope.length - 1)))).toBe("authentication-failed");
    expect(references.map(isZero)).toEqual([true, true, true, true]);
  });

  test("and so are the keys derived from them that the engine was handed", async () => {
    takeTheFineWay();
    const keys: Uint8Array[] = [];
    const keep = (key: Uint8Array): number => keys.push(key);
    const { chunkCipher, blockCipher, siv } = engine;
    vi.spyOn(engine, "chunkCipher").mockImplementation((key, chunks) => {
      keep(key);
      return chunkCipher(key, chunks);
    });
    vi.spyOn(engine, "siv").mockImplementation((key) => {
      keep(key);
      return siv(key);
    });
    const keyring = new Keyring(kek("k1"));
    await keyring.decrypt(await keyring.encrypt(noise(20_000)));
    vi.spyOn(engine, "blockCipher").mockImplementation((key) => {
      keep(key);
      return blockCipher(key);
    });
    const dataKey = DataKey.generate();
    dataKey.encryptToken(noise(1));
    dataKey.encryptDeterministic(noise(1));
    expect(keys.map(({ length }) => length)).toEqual([32, 32, 32, 64]);
    expect(keys.map(isZero)).toEqual([true, true, true, true]);
  });

  test("and the good chunks before a bad one never stay in memory", async () => {
    const keyring = new Keyring(kek("k1"));
    const envelope = await keyring.encrypt(noise(3 * 16384));
    const { allocate } = engine;
    const allocated: Uint8Array[] = [];
    vi.spyOn(engine, "allocate").mockImplementation((bytes) => {
      const array = allocate(bytes);
      allocated.push(array);
      return array;
    });
    expect(await refusalCode(() => keyring.decrypt(flipped(envelope, envelope.length - 100)))).toBe("authentication-failed");
    expect(allocated.map(({ length }) => length)).toEqual([3 * 16384]);
    expect(allocated.map(isZero)).toEqual([true]);
  });

  test("by destroy(), after which every call throws `closed`", async () => {
    const secret = noise(32);
    const key = new DataKey(secret, new KeyContext({ tenant: "acme" }));
    const token = key.encryptToken(noise(3));
    const deterministic = key.encryptDeterministic(noise(3));
    key.destroy();
    key.destroy();
    expect(isZero(secret)).toBe(true);
    for (const work of [
      () => key.kid,
      () => key.keyCommit,
      () => key.encryptToken(noise(3)),
      () => key.decryptToken(token),
      () => key.encryptDeterministic(noise(3)),
      () => key.decryptDeterministic(deterministic),
    ]) {
      expect(await refusalCode(work)).toBe("closed");
    }
  });

  test("at the end of a `using` block", () => {
    const secret = noise(32);
    new DataKey(secret, new KeyContext())[Symbol.dispose]();
    expect(isZero(secret)).toBe(true);
  });

  test("DataKey.from leaves the caller's own bytes to the caller", () => {
    const secret = noise(32);
    const key = DataKey.from(secret);
    key.destroy();
    expect(secret).toEqual(noise(32));
  });
});

describe("a closed keyring", () => {
  test("throws `closed` from every call, and leaves its providers open", async () => {
    const provider = kek("k1");
    const keyring = new Keyring(provider);
    const envelope = await keyring.encrypt(noise(1));
    const { header, body } = await keyring.encryptDetached(noise(1));
    const { keyRecord } = await keyring.createDataKey();
    await keyring.close();
    await keyring.close();
    for (const work of [
      () => keyring.encrypt(noise(1)),
      () => keyring.encryptDetached(noise(1)),
      () => keyring.decrypt(envelope),
      () => keyring.decryptDetached({ header, body }),
      () => keyring.rewrap(envelope),
      () => keyring.rewrapHeader(header),
      () => keyring.needsRewrap(envelope),
      () => keyring.createDataKey(),
      () => keyring.unwrapDataKey(keyRecord),
      () => keyring.rewrapKeyRecord(keyRecord),
      () => keyring.keyRecordNeedsRewrap(keyRecord),
    ]) {
      expect(await refusalCode(work)).toBe("closed");
    }
    expect(await new Keyring(provider).decrypt(envelope)).toEqual(noise(1));
  });
});

/** `inner`, which keeps copies of the data keys it was handed to wrap, and a reference to each that it was handed or gave back. */
function keeping(inner: KeyProvider): { provider: KeyProvider; deks: Uint8Array[]; references: Uint8Array[] } {
  const deks: Uint8Array[] = [];
  const references: Uint8Array[] = [];
  const provider: KeyProvider = {
    ...inner,
    wrap(dek, options) {
      deks.push(Uint8Array.from(dek));
      references.push(dek);
      return inner.wrap(dek, options);
    },
    async unwrap(recipient, options) {
      const dek = await inner.unwrap(recipient, options);
      references.push(dek);
      return dek;
    },
  };
  return { provider, deks, references };
}

function shownForms(value: unknown): readonly string[] {
  const all = { depth: Number.POSITIVE_INFINITY, showHidden: true, maxArrayLength: null, maxStringLength: null, showProxy: true } as const;
  const forms = [show(value, all), show(value, { ...all, getters: true, showHidden: false }), JSON.stringify(value) ?? "", String(value)];
  for (let error = value; error instanceof Error; error = error.cause) forms.push(error.message, error.stack ?? "", String(error));
  return forms;
}

/** The secrets of which `text` holds twelve bytes, in any form in which bytes are printed. */
function leaks(text: string, secrets: readonly Uint8Array[]): readonly string[] {
  const squeezed = text.replaceAll(/\s+/g, "");
  return secrets.flatMap((secret) => {
    const part = Buffer.from(secret.subarray(0, 12));
    const list = part.join(",");
    const asObject = JSON.stringify(Uint8Array.from(part)).slice(1, -1);
    const needles = [part.toString("hex"), part.toString("base64"), part.toString("base64url"), list, asObject];
    const found = needles.filter((needle) => squeezed.toLowerCase().includes(needle.toLowerCase()));
    return text.includes(part.toString("latin1")) ? [...found, "latin1"] : found;
  });
}
