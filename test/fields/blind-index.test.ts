import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DataKey, deriveIndexKey } from "../../src/core/data-key/data-key.ts";
import { type BlindIndexValue, blindIndex } from "../../src/fields/blind-index.ts";
import type { BlindIndexVector } from "../format/blind-index-vectors.ts";
import { readVectors } from "../format/read-vectors.ts";
import { hex, textOf } from "../format/vector-file.ts";
import type { IndexedValue } from "../format/writer.ts";
import { noise, runs, texts } from "../support/arbitraries.ts";
import { refusalCode } from "../support/refusal.ts";

describe("docs/vectors/blind-indexes.json", () => {
  const { vectors } = readVectors<BlindIndexVector>("blind-indexes.json");

  test("40 good vectors, 7 broken ones", () => {
    expect(vectors.filter(({ error }) => error === undefined)).toHaveLength(40);
    expect(vectors.filter(({ error }) => error !== undefined)).toHaveLength(7);
  });

  test.each(vectors)("$name", async (vector) => {
    const dataKey = DataKey.from(Buffer.from(vector.dataKey, "hex"), Object.fromEntries(vector.keyContext));
    const key = deriveIndexKey(dataKey, Object.fromEntries(vector.context));
    expect(hex(key)).toBe(vector.indexKey);
    const index = (): string => blindIndex(key, indexedValue(vector.value), { bits: vector.bits });
    if (vector.error === undefined) expect(index()).toBe(vector.digits);
    else expect(await refusalCode(index)).toBe(vector.error);
  });
});

describe("an index", () => {
  test("format.md [M-66] of two values is the same only if type and content are", () => {
    fc.assert(
      fc.property(values, values, (a, b) => {
        expect(blindIndex(KEY, a, WIDE) === blindIndex(KEY, b, WIDE)).toBe(told(a) === told(b));
      }),
      runs(300, 60),
    );
  });

  test("format.md [M-66] of a list differs from that of any other list, and from that of its only value", () => {
    const cases: readonly (readonly BlindIndexValue[])[] = [["a", "b"], ["ab"], ["a", "b", ""], ["", "a", "b"], ["b", "a"], [1, 2], [12]];
    const indexes = cases.map((list) => blindIndex(KEY, list, WIDE));
    expect(new Set([...indexes, blindIndex(KEY, "ab", WIDE)]).size).toBe(cases.length + 1);
  });

  test("format.md [M-68] of fewer bits is the beginning of that of more, with zeros to the end of the digit", () => {
    const whole = BigInt(`0x${blindIndex(KEY, "value", { bits: 256 })}`);
    for (let bits = 1; bits <= 256; bits++) {
      const spare = (4 - (bits % 4)) % 4;
      const index = blindIndex(KEY, "value", { bits });
      expect(index).toMatch(/^[0-9a-f]+$/);
      expect([index.length, BigInt(`0x${index}`)]).toEqual([Math.ceil(bits / 4), (whole >> BigInt(256 - bits)) << BigInt(spare)]);
    }
  });

  test("has 32 bits unless told otherwise", () => {
    expect(blindIndex(KEY, "value")).toBe(blindIndex(KEY, "value", { bits: 32 }));
  });

  test("format.md [M-67] takes -0 for 0, alone, in a list and in a date", () => {
    expect(blindIndex(KEY, -0)).toBe(blindIndex(KEY, 0));
    expect(blindIndex(KEY, [-0])).toBe(blindIndex(KEY, [0]));
  });

  test("takes a Buffer for the bytes it holds", () => {
    expect(blindIndex(KEY, Buffer.from("xabcx").subarray(1, 4))).toBe(blindIndex(KEY, Uint8Array.of(97, 98, 99)));
  });
});

describe("format.md [M-67] refused is", () => {
  const untyped: (value: unknown) => string = (value) => Reflect.apply(blindIndex, undefined, [KEY, value]);
  test.each<[string, unknown]>([
    ["null", null],
    ["undefined", undefined],
    ["null in a list", ["a", null]],
    ["a list in a list", [["a"]]],
    ["an object", {}],
    ["NaN", Number.NaN],
    ["an infinite number", Number.POSITIVE_INFINITY],
    ["an invalid date", new Date(Number.NaN)],
    ["a lone surrogate", "a\udc00"],
    ["an empty list", []],
  ])("%s", async (_, value) => {
    expect(await refusalCode(() => untyped(value))).toBe("invalid-argument");
  });

  test.each([0, -1, 257, 1.5, Number.NaN])("a length of %d bits", async (bits) => {
    expect(await refusalCode(() => blindIndex(KEY, "a", { bits }))).toBe("invalid-argument");
  });

  test("what a function made of text, if it is none", async () => {
    const normalise = (): string => Reflect.get({}, "nothing");
    expect(await refusalCode(() => blindIndex(KEY, "a", { normalise }))).toBe("invalid-argument");
  });
});

describe("normalise", () => {
  test("changes nothing unless asked", () => {
    expect(blindIndex(KEY, "Ada")).not.toBe(blindIndex(KEY, "ada"));
  });

  test("caseless makes one of what differs in case, width, composition or white space around it", () => {
    const same = ["M\u00fcller", " m\u00fcller\t", "MU\u0308LLER", "\uff2d\u00fcller", "\u00a0M\u00fcller"];
    expect(new Set(same.map((text) => blindIndex(KEY, text, { normalise: "caseless" }))).size).toBe(1);
  });

  test("is applied to each text of a list, and to nothing but text", () => {
    const normalise = (text: string): string => text.toUpperCase();
    expect(blindIndex(KEY, ["a", 1, "b"], { normalise })).toBe(blindIndex(KEY, ["A", 1, "B"]));
    expect(blindIndex(KEY, Uint8Array.of(97), { normalise })).toBe(blindIndex(KEY, Uint8Array.of(97)));
  });
});

test("a destroyed data key derives no index key", async () => {
  const dataKey = DataKey.from(KEY);
  dataKey.destroy();
  expect(await refusalCode(() => deriveIndexKey(dataKey, {}))).toBe("closed");
});

const KEY: Uint8Array = noise(32, "index key");
const WIDE = { bits: 256 };

const values: fc.Arbitrary<BlindIndexValue> = fc.oneof(
  texts,
  fc.uint8Array({ maxLength: 3 }),
  fc.double({ noDefaultInfinity: true, noNaN: true }),
  fc.integer({ min: -2, max: 2 }),
  fc.bigInt({ min: -2n, max: 2n }),
  fc.boolean(),
  fc.integer({ min: -2, max: 2 }).map((ms) => new Date(ms)),
  fc.constantFrom<BlindIndexValue>("0", "1", "true", Uint8Array.of(1), Uint8Array.of(48)),
);

/** Tells values apart without a MAC. */
function told(value: BlindIndexValue): string {
  if (value instanceof Uint8Array) return `bytes ${hex(value)}`;
  if (value instanceof Date) return `date ${value.getTime()}`;
  return `${typeof value} ${value}`;
}

function indexedValue(value: IndexedValue): BlindIndexValue | readonly BlindIndexValue[] {
  return "list" in value ? value.list.map(scalarOf) : scalarOf(value);
}

function scalarOf(value: IndexedValue): BlindIndexValue {
  if ("text" in value) return textOf(value.text);
  if ("binary64" in value) return Buffer.from(value.binary64, "hex").readDoubleBE();
  if ("bytes" in value) return Buffer.from(value.bytes, "hex");
  if ("number" in value) return value.number;
  if ("integer" in value) return BigInt(value.integer);
  if ("truth" in value) return value.truth;
  if ("timeMs" in value) return new Date(value.timeMs);
  throw new Error("there is no list in a list");
}
