import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { copyOf } from "../../src/core/base/bytes.ts";
import { encodeJson } from "../../src/core/base/json.ts";
import { recordCodec } from "../../src/fields/record.ts";
import { CODECS, type Codec, parsedCodec, type ValueType } from "../../src/fields/values.ts";
import { cborValues, runs } from "../support/arbitraries.ts";
import { hexOf } from "../support/bytes.ts";
import { refusalCode } from "../support/refusal.ts";

const VALUES: { readonly [V in ValueType]: fc.Arbitrary<unknown> } = {
  string: fc.string({ unit: "binary", maxLength: 40 }),
  bytes: fc.uint8Array({ maxLength: 40 }),
  number: fc.oneof(
    fc.double(),
    fc.integer(),
    fc.constantFrom(0, -0, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 5e-324),
  ),
  bigint: fc.oneof(fc.bigInt(), edges()),
  boolean: fc.boolean(),
  date: fc.date({ noInvalidDate: true }),
  json: fc.jsonValue({ maxDepth: 5 }),
  cbor: cborValues(),
};
const TYPES: readonly ValueType[] = ["string", "bytes", "number", "bigint", "boolean", "date", "json", "cbor"];

describe.each(TYPES)("a value of type %s", (type) => {
  test("comes back exactly as it was", () => {
    fc.assert(
      fc.property(VALUES[type], (value) => {
        expect(CODECS[type].decode(bytesOf(CODECS[type], value))).toStrictEqual(value);
      }),
      runs(400, 400),
    );
  });

  test("of another type, null and undefined are refused, without being named", async () => {
    for (const [other, value] of Object.entries(SAMPLES)) {
      if (type === "cbor" || other === type || (type === "json" && JSON_TYPES.includes(other))) continue;
      expect(await refusalCode(() => bytesOf(CODECS[type], value)), other).toBe("invalid-argument");
    }
  });
});

describe("what is encrypted is as short as can be", () => {
  test.each<[ValueType, unknown, string]>([
    ["string", "ada@example.org", "616461406578616d706c652e6f7267"],
    ["string", "\u{feff}é", "efbbbfc3a9"],
    ["bytes", Uint8Array.of(0, 255), "00ff"],
    ["number", 1.5, "3ff8000000000000"],
    ["number", -0, "8000000000000000"],
    ["bigint", 0n, "00"],
    ["bigint", 127n, "7f"],
    ["bigint", 128n, "0080"],
    ["bigint", -1n, "ff"],
    ["bigint", -128n, "80"],
    ["bigint", -129n, "ff7f"],
    ["boolean", true, "01"],
    ["date", new Date(1500), "4097700000000000"],
    ["json", { b: [1, "é", null], a: -0 }, Buffer.from('{"b":[1,"é",null],"a":-0}').toString("hex")],
  ])("%s %o", (type, value, hex) => {
    expect(hexOf(bytesOf(CODECS[type], value))).toBe(hex);
  });
});

test.each<[ValueType, string]>([
  ["string", "ff"],
  ["string", "eda080"],
  ["number", "00"],
  ["number", "000000000000000000"],
  ["bigint", ""],
  ["bigint", "0001"],
  ["bigint", "ffff"],
  ["boolean", "02"],
  ["boolean", "0001"],
  ["boolean", ""],
  ["date", "7ff8000000000000"],
  ["date", "4340000000000001"],
  ["json", "7b"],
  ["json", ""],
  ["json", "ff"],
])("bytes that no %s has are refused: %s", async (type, hex) => {
  expect(await refusalCode(() => CODECS[type].decode(new Uint8Array(Buffer.from(hex, "hex"))))).toBe("malformed-envelope");
});

test("text with a lone surrogate is refused: every one of them would come back as the same character", async () => {
  for (const text of ["\ud800", "a\udc00b", "\ud83d"])
    expect(await refusalCode(() => bytesOf(CODECS.string, text))).toBe("invalid-argument");
});

test("an invalid date is refused", async () => {
  expect(await refusalCode(() => bytesOf(CODECS.date, new Date(Number.NaN)))).toBe("invalid-argument");
});

describe("JSON", () => {
  test("refuses whatever would come back as something else", async () => {
    const cycle: { self?: unknown } = {};
    cycle.self = cycle;
    const hole = [1, 2];
    delete hole[0];
    const foreign: readonly unknown[] = [
      undefined,
      Number.NaN,
      Number.POSITIVE_INFINITY,
      1n,
      Symbol("x"),
      () => 1,
      new Date(0),
      new Map(),
      new Uint8Array(1),
      new (class Point {
        x = 1;
      })(),
      { [Symbol("x")]: 1 },
      { a: undefined },
      hole,
      cycle,
    ];
    for (const value of foreign) {
      expect(await refusalCode(() => encodeJson(value)), String(typeof value)).toBe("invalid-argument");
      expect(await refusalCode(() => encodeJson({ deep: [value] }))).toBe("invalid-argument");
    }
  });

  test("keeps -0, lone surrogates and a key called __proto__", () => {
    const value: unknown = JSON.parse('{"__proto__": [-0, "\\ud800"]}');
    const back: unknown = JSON.parse(encodeJson(value));
    expect(back).toStrictEqual(value);
    expect(Object.keys(Object(back))).toEqual(["__proto__"]);
  });

  test("is checked and typed by a function of the caller's", () => {
    const codec = parsedCodec(CODECS.json, (value) => (typeof value === "string" ? value.length : 0));
    expect(codec.decode(bytesOf(codec, "four"))).toBe(4);
  });
});

describe("a record", () => {
  const codec = recordCodec({ email: "string", born: "date", visits: "bigint" });

  test("comes back with what it had, and null for what it had not", () => {
    const values = { email: nullable(VALUES.string), born: nullable(VALUES.date), visits: nullable(VALUES.bigint) };
    const columns = fc.record(values, { noNullPrototype: true });
    fc.assert(
      fc.property(columns, (values) => {
        expect(codec.decode(bytesOf(codec, values))).toStrictEqual(values);
      }),
      runs(200, 200),
    );
    expect(codec.decode(bytesOf(codec, { email: undefined }))).toEqual({ email: null, born: null, visits: null });
  });

  test("may get columns, and may not lose any", async () => {
    const more = recordCodec({ visits: "bigint", phone: "string", email: "string", born: "date" });
    const values = { email: "a@b", born: new Date(5), visits: 7n };
    expect(more.decode(bytesOf(codec, values))).toEqual({ ...values, phone: null });
    expect(await refusalCode(() => codec.decode(bytesOf(more, { ...values, phone: "1" })))).toBe("malformed-envelope");
    expect(codec.decode(bytesOf(more, { ...values, phone: null }))).toEqual(values);
  });

  test("is refused when cut, doubled, or of foreign columns", async () => {
    const bytes = bytesOf(codec, { email: "a@b", visits: 1n });
    for (let length = 1; length < bytes.length; length++) {
      if (length === 13) continue; // the first column alone is a record
      expect(await refusalCode(() => codec.decode(bytes.subarray(0, length))), `${length}`).toBe("malformed-envelope");
    }
    expect(await refusalCode(() => codec.decode(Uint8Array.of(...bytes, ...bytes)))).toBe("malformed-envelope");
    for (const value of [
      null,
      "x",
      { name: "x" },
      { email: 5 },
      [],
      ["a@b"],
      new Map([["email", "a@b"]]),
      Promise.resolve({ email: "a@b" }),
    ])
      expect(await refusalCode(() => bytesOf(codec, value))).toBe("invalid-argument");
    for (const columns of [[], ["a", "a"], [""], ["x".repeat(256)], ["\ud800"]]) {
      expect(await refusalCode(() => recordCodec(columns))).toBe("invalid-argument");
    }
  });
});

function nullable(values: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> {
  return fc.option(values, { nil: null });
}

/** Where a bigint needs one bit more. */
function edges(): fc.Arbitrary<bigint> {
  return fc.tuple(fc.nat({ max: 200 }), fc.constantFrom(-1n, 0n, 1n), fc.boolean()).map(([bits, more, isNegative]) => {
    const edge = (1n << BigInt(bits)) + more;
    return isNegative ? -edge : edge;
  });
}

const SAMPLES: Readonly<Record<string, unknown>> = {
  string: "secret",
  bytes: Uint8Array.of(1),
  number: 1,
  bigint: 1n,
  boolean: true,
  date: new Date(0),
  json: { a: 1 },
  null: null,
  undefined: undefined,
};
const JSON_TYPES: readonly string[] = ["string", "number", "boolean", "null"];

function bytesOf(codec: Codec<unknown>, value: unknown): Uint8Array<ArrayBuffer> {
  return codec.withBytes(value, copyOf);
}
