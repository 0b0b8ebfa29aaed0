import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { engine } from "#engine";
import { Keyring } from "../../src/core/keyring/keyring.ts";
import { blindIndex } from "../../src/fields/blind-index.ts";
import { DataKeys } from "../../src/fields/data-keys.ts";
import { memoryStore } from "../../src/fields/stores/memory.ts";
import { takeTheFineWay } from "../support/fine-way.ts";
import { kek } from "../support/keks.ts";
import { refusalCode } from "../support/refusal.ts";
import { untyped } from "../support/untyped.ts";

/** What held the plaintext of a call: the memory of texts, what ciphers were given, and what they gave. */
let seen: Uint8Array[] = [];

beforeEach(() => {
  takeTheFineWay();
  seen = [];
  const { text, gcm } = engine;
  const { withUtf8 } = text;
  vi.spyOn(text, "withUtf8").mockImplementation((given, use) =>
    withUtf8(given, (bytes) => {
      if (bytes !== undefined) seen.push(bytes);
      return use(bytes);
    }),
  );
  const { seal, open } = gcm;
  vi.spyOn(gcm, "seal").mockImplementation((key, nonce, aad, plaintext, target, offset) => {
    seen.push(plaintext);
    return seal(key, nonce, aad, plaintext, target, offset);
  });
  vi.spyOn(gcm, "open").mockImplementation((key, nonce, aad, sealed, offset) => {
    const plaintext = open(key, nonce, aad, sealed, offset);
    if (plaintext !== undefined) seen.push(plaintext);
    return plaintext;
  });
  const { siv } = engine;
  vi.spyOn(engine, "siv").mockImplementation((key) => {
    const inner = siv(key);
    return {
      ...inner,
      seal(associated, plaintext) {
        seen.push(plaintext);
        return inner.seal(associated, plaintext);
      },
    };
  });
});

afterEach(() => {
  vi.restoreAllMocks();
});

function expectWiped(): void {
  expect(seen.length).toBeGreaterThan(0);
  expect(seen.filter((bytes) => bytes.some((byte) => byte !== 0))).toEqual([]);
  seen = [];
}

const dataKeys = (): DataKeys => new DataKeys({ keyring: new Keyring(kek()), store: memoryStore() });

describe("no plaintext stays in memory that the library made", () => {
  test("after an encrypt, a decrypt and a reencrypt, of every kind of column", async () => {
    const keys = dataKeys();
    const ssn = await keys.field({ table: "u", column: "ssn" });
    const same = await keys.field({ table: "u", column: "same", deterministic: true });
    const json = await keys.field({ table: "u", column: "json", type: "json" });
    seen = [];
    for (const text of ["078-05-1120", "größer", "x".repeat(5000)]) {
      const token = ssn.encrypt(text, { row: 1 });
      expectWiped();
      expect(ssn.decrypt(token, { row: 1 })).toBe(text);
      expectWiped();
      ssn.reencrypt(token, { row: 1 });
      expectWiped();
      ssn.encryptBytes(text);
      expectWiped();
      same.encrypt(text);
      expectWiped();
      expect(json.decrypt(json.encrypt({ text }))).toEqual({ text });
      expectWiped();
    }
  });

  test("after an encrypt that threw", async () => {
    const keys = dataKeys();
    const ssn = await keys.field({ table: "u", column: "ssn", requireRow: true });
    seen = [];
    expect(await refusalCode(() => ssn.encrypt("078-05-1120", untyped({})))).toBe("invalid-argument");
    expectWiped();
    await keys.close();
    expect(await refusalCode(() => ssn.encrypt("078-05-1120", { row: 1 }))).toBe("closed");
    expectWiped();
  });

  test("after each record, also one with a member that is refused", async () => {
    const record = (await dataKeys().field({ table: "u", column: "r" })).record({ name: "string", card: "string", born: "date" });
    seen = [];
    const token = record.encrypt({ name: "Ada", card: "4111 1111 1111 1111", born: new Date(0) });
    expectWiped();
    expect(record.decrypt(token)).toMatchObject({ card: "4111 1111 1111 1111" });
    expectWiped();
    const bad = { name: "Ada", card: "4111 1111 1111 1111", born: new Date(Number.NaN) };
    expect(await refusalCode(() => record.encrypt(bad))).toBe("invalid-argument");
    expectWiped();
  });

  test("after a value that was decrypted as another type", async () => {
    const keys = dataKeys();
    const token = (await keys.field({ table: "u", column: "c" })).encrypt("a text of some length");
    const asNumber = await keys.field({ table: "u", column: "c", type: "number" });
    seen = [];
    expect(await refusalCode(() => asNumber.decrypt(token))).toBe("malformed-envelope");
    expectWiped();
  });

  test("after a blind index", () => {
    const { hmac } = engine;
    vi.spyOn(engine, "hmac").mockImplementation((hash, key, ...parts) => {
      seen.push(...parts);
      return hmac(hash, key, ...parts);
    });
    for (const value of ["078-05-1120", ["078-05-1120", 7, true]]) {
      blindIndex(new Uint8Array(32), value);
      expectWiped();
    }
  });
});

test("a value is encrypted as it was given, though its options run code that encrypts another", async () => {
  const field = await dataKeys().field({ table: "u", column: "c" });
  const options = {
    get row() {
      field.encrypt("another value of the same length?", { row: 2 });
      return 1;
    },
  };
  const token = field.encrypt("this is the value of this record!", options);
  expect(field.decrypt(token, { row: 1 })).toBe("this is the value of this record!");
});
