import { describe, expect, test } from "vitest";
import { EnvelockError } from "../../../src/core/base/errors.ts";
import { closest, type OptionNames, refuseUnknown, shownValue } from "../../../src/core/base/options.ts";
import { revoked } from "../../support/untyped.ts";

interface Options {
  readonly context?: string;
  readonly maxAgeMs?: number;
}
const KNOWN: OptionNames<Options> = { context: true, maxAgeMs: true };

function refusalOf(options: object): EnvelockError | undefined {
  try {
    refuseUnknown<Options>(options, KNOWN, "Keyring");
    return undefined;
  } catch (error) {
    if (error instanceof EnvelockError) return error;
    throw error;
  }
}

describe("an options object", () => {
  test("with known names passes, whatever its prototype", () => {
    expect(refusalOf({ context: "a", maxAgeMs: 1 })).toBeUndefined();
    expect(refusalOf(Object.create(null))).toBeUndefined();
  });

  test.each([
    ["maxAge", "did you mean `maxAgeMs`?"],
    ["contxet", "did you mean `context`?"],
    ["MAXAGEMS", "did you mean `maxAgeMs`?"],
    ["tenant", "known options: context, maxAgeMs"],
    ["toString", "known options: context, maxAgeMs"],
    ["x".repeat(100_000), "known options: context, maxAgeMs"],
  ])("with %.20s is refused", (name, hint) => {
    const error = refusalOf({ [name]: 1 });
    expect(error).toMatchObject({ code: "invalid-argument", hint });
    expect(error?.message.length).toBeLessThan(100);
  });

  test("that is no object is refused", () => {
    expect(() => Reflect.apply(refuseUnknown, undefined, [null, KNOWN, "Keyring"])).toThrow("must be an object");
    expect(() => Reflect.apply(refuseUnknown, undefined, ["text", KNOWN, "Keyring"])).toThrow("must be an object");
  });

  test.each([
    ["a list", []],
    ["a Map", new Map([["maxAgeMs", 1]])],
    ["a Set", new Set()],
    ["bytes", new Uint8Array(0)],
    ["a promise", Promise.resolve({ maxAgeMs: 1 })],
    ["a proxy of a list", new Proxy([], {})],
  ])("that is %s is not taken for one without options", (_what, options) => {
    expect(refusalOf(options)).toMatchObject({ code: "invalid-argument", message: expect.stringContaining("must be an object, not a") });
  });
});

test.each([
  ["context", "invalid-argument"],
  ["maxAgeMs", "invalid-argument"],
  ["should", undefined],
])("while all objects inherit %s, each call that has such an option is refused", (name, code) => {
  Object.defineProperty(Object.prototype, name, { value: "x", configurable: true, enumerable: true, writable: true });
  let refusals: readonly (string | undefined)[];
  try {
    refusals = [{}, { maxAgeMs: 1 }].map((options) => refusalOf(options)?.code);
  } finally {
    Reflect.deleteProperty(Object.prototype, name);
  }
  expect(refusals).toEqual([code, code]);
});

test("an option that is a revoked proxy is refused where the options are read", () => {
  expect(refusalOf({ context: revoked() })).toMatchObject({ code: "invalid-argument", hint: expect.stringContaining("plain objects") });
});

test("a refused value is shown without a conversion of it", () => {
  const values = [5, 10n, null, "x".repeat(99), Symbol("x"), Object.create(null), revoked(), () => 1];
  expect(values.map(shownValue)).toEqual([
    "5",
    "10",
    "null",
    `${"x".repeat(40)}…`,
    "of the type symbol",
    "of the type object",
    "of the type object",
    "of the type function",
  ]);
});

test("the closest name is the one with the fewest edits", () => {
  expect(closest("normalize", ["normalise", "bits", "type"])).toBe("normalise");
  expect(closest("requirerow", ["requireRow", "row"])).toBe("requireRow");
  expect(closest("kye", ["key", "out"])).toBe("key");
  expect(closest("zzz", ["key", "out"])).toBeUndefined();
  expect(closest("anything", [])).toBeUndefined();
});
