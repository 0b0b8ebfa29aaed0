import { runInNewContext } from "node:vm";
import { Decoder } from "cbor-x";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { encodeJson } from "../../src/core/base/json.ts";
import { cborValueOf } from "../../src/fields/cbor-reader.ts";
import { type CborValue, withCbor } from "../../src/fields/cbor-value.ts";
import { DataKeys, memoryStore } from "../../src/fields/index.ts";
import { Keyring } from "../../src/index.ts";
import { cborValues, noise, runs } from "../support/arbitraries.ts";
import { flipped } from "../support/bytes.ts";
import { kek } from "../support/keks.ts";
import { refusal, refusalCode } from "../support/refusal.ts";

const encoded = (value: unknown): Uint8Array => withCbor(value, (bytes) => Uint8Array.from(bytes));

/** Values with something that no encoding of their content keeps. */
const ADORNED: Readonly<Record<string, () => unknown>> = {
  "an instance of a class of Maps": () => new (class extends Map<string, number> {})([["a", 1]]),
  "an instance of a class of dates": () => new (class extends Date {})(0),
  "an instance of a class of arrays": () => new (class extends Array {})(0),
  "a Map with a member": () => Object.assign(new Map(), { more: 1 }),
  "a date with a member": () => Object.assign(new Date(0), { more: 1 }),
  "a hole beside a member": () => Object.assign(new Array(1), { more: 1 }),
  "a hole before a hidden member": () => Object.defineProperty(Object.assign(new Array(2), { 1: 1 }), "more", { value: 1 }),
  "an array with a symbol": () => Object.assign([1], { [Symbol("more")]: 1 }),
  "an array with a hidden member": () => Object.defineProperty([1], "more", { value: 1 }),
  "an array with a match": () => /a/.exec("a"),
  "a hidden member": () => Object.defineProperty({}, "more", { value: 1 }),
  "a revoked proxy"() {
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    return proxy;
  },
};

describe("a value of the type cbor [M-114]", () => {
  test("has one encoding: what a reader accepts, a writer writes", () => {
    let accepted = 0;
    fc.assert(
      fc.property(cborValues(), fc.nat(), fc.integer({ min: 1, max: 255 }), (value, place, mask) => {
        const bytes = encoded(value);
        const changed = flipped(bytes, place % bytes.length, mask);
        const read = valueOrRefused(changed);
        if (read === undefined) return;
        accepted++;
        expect(encoded(read.value)).toEqual(changed);
      }),
      runs(600, 200),
    );
    expect(accepted).toBeGreaterThan(0);
  });

  test("is refused when it is cut or goes on", () => {
    fc.assert(
      fc.property(cborValues(), fc.nat(), (value, cut) => {
        const bytes = encoded(value);
        expect(valueOrRefused(bytes.subarray(0, cut % bytes.length))).toBeUndefined();
        expect(valueOrRefused(Uint8Array.of(...bytes, 0xf6))).toBeUndefined();
      }),
      runs(200, 100),
    );
  });

  test("any bytes end in a value or in malformed-envelope, in memory that they have", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => void valueOrRefused(bytes)),
      runs(2000, 500),
    );
  });

  test("is read by another implementation as the same value", () => {
    const options = { useRecords: false, mapsAsObjects: true, copyBuffers: true, int64AsNumber: true }; // the types lack the last
    const decoder = new Decoder(options);
    fc.assert(
      fc.property(cborValues(), (value) => {
        expect(comparable(decoder.decode(encoded(value)))).toStrictEqual(comparable(value));
      }),
      runs(300, 100),
    );
  });

  test("is a date of any time, to the millisecond", () => {
    fc.assert(
      fc.property(fc.integer({ min: -8.64e15, max: 8.64e15 }), (time) => {
        expect(cborValueOf(encoded(new Date(time)))).toStrictEqual(new Date(time));
      }),
      runs(2000, 500),
    );
  });

  test("keeps no view of the bytes that it was read from", () => {
    const bytes = encoded({ photo: noise(64, "photo"), name: "Ada" });
    const value = cborValueOf(bytes);
    bytes.fill(0);
    expect(value).toStrictEqual({ photo: noise(64, "photo"), name: "Ada" });
  });

  test("what would not come back the same is refused, and what it holds is not named", async () => {
    const cycle: unknown[] = [];
    cycle.push(cycle);
    const hole = [1, 2];
    delete hole[0];
    const foreign: readonly unknown[] = [
      Symbol("secret"),
      () => "secret",
      new Set(["secret"]),
      /secret/,
      new Error("secret"),
      new Date(Number.NaN),
      new Uint16Array(1),
      new ArrayBuffer(1),
      new (class Secret {
        x = 1;
      })(),
      Object.create({ inherited: "secret" }),
      { [Symbol("secret")]: 1 },
      JSON.parse('{"__proto__":"secret"}'),
      Object.assign([1], { more: "secret" }),
      hole,
      cycle,
      "\ud800",
      { "\udc00": 1 },
      1n << 8193n,
      new Map([
        [[1], 1],
        [[1], 2],
      ]),
    ];
    for (const value of foreign) {
      const error = await refusal(() => encoded({ deep: [value] }));
      expect(error.code).toBe("invalid-argument");
      expect(error.message).not.toContain("secret");
    }
  });

  test.each(Object.entries(ADORNED))("refuses %s, which would be lost, in JSON too", async (_, make) => {
    for (const value of [make(), [make()], { value: make() }]) {
      expect(await refusalCode(() => encoded(value))).toBe("invalid-argument");
      expect(await refusalCode(() => encodeJson(value))).toBe("invalid-argument");
    }
  });

  test("keeps the exception of a getter as the cause", async () => {
    const mine = new TypeError("mine");
    const value = {
      get member(): never {
        throw mine;
      },
    };
    expect(await refusal(() => encoded(value))).toMatchObject({ code: "invalid-argument", cause: mine });
    expect(await refusal(() => encodeJson(value))).toMatchObject({ code: "invalid-argument", cause: mine });
  });

  test.each([
    ["-0 as the key of a Map", "d90103a1fb8000000000000000f6"],
    ["0 and -0 as keys of a Map", "d90103a200f6fb8000000000000000f5"],
    ["dates of dates", "c1".repeat(100_000)],
    ["arrays without end", "81".repeat(100_000)],
    ["Maps as keys without end", "d90103a1".repeat(100_000)],
  ])("that holds %s is refused", (_, hex) => {
    expect(valueOrRefused(Uint8Array.from(Buffer.from(hex, "hex")))).toBeUndefined();
  });

  test("nests 64 deep and no deeper", async () => {
    const nested = (depth: number): CborValue => (depth === 0 ? 1 : [nested(depth - 1)]);
    expect(cborValueOf(encoded(nested(64)))).toStrictEqual(nested(64));
    expect(await refusalCode(() => encoded(nested(65)))).toBe("invalid-argument");
  });

  test("comes from another realm too", () => {
    const value: unknown = runInNewContext("({ m: new Map([[1, new Date(5)]]), b: new Uint8Array([1]), a: [1n, undefined] })");
    expect(cborValueOf(encoded(value))).toStrictEqual({ m: new Map([[1, new Date(5)]]), b: Uint8Array.of(1), a: [1n, undefined] });
  });

  test("leaves no plaintext behind, also when the writer's buffer grows and when the caller throws", () => {
    const seen: Uint8Array[] = [];
    const secret = noise(5000, "secret");
    withCbor([secret, secret], (bytes) => void seen.push(bytes));
    expect(() =>
      withCbor({ secret }, (bytes) => {
        seen.push(bytes);
        throw new Error("no");
      }),
    ).toThrow("no");
    expect(seen.every((bytes) => bytes.every((byte) => byte === 0))).toBe(true);
    expect(seen.map(({ length }) => length)).toEqual([10_007, 5011]);
  });
});

describe("a column of the type cbor", () => {
  const open = (): DataKeys => new DataKeys({ keyring: new Keyring(kek()), store: memoryStore() });

  test("round-trips through tokens, records and a parse function", async () => {
    const dataKeys = open();
    const value = { seen: new Map([["ada", new Date(5)]]), big: 2n ** 80n, none: undefined, raw: Uint8Array.of(1) };
    const column = await dataKeys.field({ table: "users", column: "state", type: "cbor" });
    expect(column.decrypt(column.encrypt(value))).toStrictEqual(value);
    const record = column.record({ state: "cbor", email: "string" });
    expect(record.decrypt(record.encrypt({ state: value, email: null }))).toStrictEqual({ state: value, email: null });
    const parsed = await dataKeys.field({ table: "users", column: "state", type: "cbor", parse: (stored) => stored instanceof Map });
    expect(parsed.decrypt(column.encrypt(new Map()))).toBe(true);
    await dataKeys.close();
  });

  test("null in a nullable column stays null, and undefined is a value", async () => {
    const dataKeys = open();
    const column = await dataKeys.field({ table: "users", column: "state", type: "cbor", nullable: true });
    expect(column.encrypt(null)).toBeNull();
    const token = column.encrypt(undefined);
    expect(token).toBeTypeOf("string");
    expect(column.decrypt(token)).toBeUndefined();
    await dataKeys.close();
  });

  test("has no blind index and no deterministic tokens", async () => {
    const dataKeys = open();
    const place = { table: "users", column: "state", type: "cbor" } as const;
    const given: readonly unknown[] = [
      { ...place, blindIndex: { bits: 128 } },
      { ...place, deterministic: true },
    ];
    for (const options of given)
      expect(await refusalCode(() => Reflect.apply(dataKeys.field, dataKeys, [options]))).toBe("invalid-argument");
    await dataKeys.close();
  });
});

/** The other implementation reads dates far from 1970 a millisecond off. */
function comparable(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(comparable);
  if (value instanceof Map) return new Map([...value].map(([key, member]) => [comparable(key), comparable(member)]));
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return value;
  if (value instanceof Date) return Math.abs(value.getTime()) < 1e14 ? value : "far";
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, comparable(member)]));
}

function valueOrRefused(bytes: Uint8Array): { readonly value: CborValue } | undefined {
  try {
    return { value: cborValueOf(bytes) };
  } catch (error) {
    expect(error).toMatchObject({ code: "malformed-envelope" });
    return undefined;
  }
}
