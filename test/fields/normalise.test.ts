import { runInNewContext } from "node:vm";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { rowKey } from "../../src/fields/field-options.ts";
import { normalised } from "../../src/fields/normalise.ts";
import { texts } from "../support/arbitraries.ts";
import { refusalCode } from "../support/refusal.ts";
import { untyped } from "../support/untyped.ts";
import { EMAIL, world } from "./set-up.ts";

describe("caseless", () => {
  test.each([
    ["GROSS", "groß"],
    ["STRASSE", "Straße"],
    ["STRAẞE", "strasse"],
    ["ΣΟΦΟΣ Κ", "σοφος κ"],
    ["ΦΩΣ", "φωσ"],
    ["ΦΩΣ", "φως"],
    ["soft\u00adhyphen", "softhyphen"],
    ["a\u200bb", "ab"],
    ["\ufeffab", "ab"],
    ["ADA", "ada"],
    ["Jos\u00e9", "JOSE\u0301"],
    ["\ufb01n", "FIN"],
    ["\uff21\uff22", "ab"],
    [" ada ", "ada"],
    ["\u017ftone", "Stone"],
    ["\u1e9b\u0323", "\u1e69"],
    ["\uab70", "\u13a0"],
    ["\u03b1\u0345", "\u1fb3"],
  ])("%j is %j", (a, b) => {
    expect(normalised(a, "caseless")).toBe(normalised(b, "caseless"));
  });

  test.each([
    ["\u0131", "i"],
    ["e", "\u00e9"],
    ["\u00f6", "oe"],
    ["a b", "ab"],
    ["5", "\u2464\u0030"],
  ])("%j is not %j", (a, b) => {
    expect(normalised(a, "caseless")).not.toBe(normalised(b, "caseless"));
  });

  test("is the same once more, and for each case of the text", () => {
    fc.assert(
      fc.property(texts, (text) => {
        const once = normalised(text, "caseless");
        expect(normalised(once, "caseless")).toBe(once);
        for (const form of ["NFC", "NFD", "NFKC", "NFKD"]) expect(normalised(text.normalize(form), "caseless")).toBe(once);
        if (!/[\u0131\u0130]/.test(text)) expect(normalised(text.toUpperCase(), "caseless")).toBe(once);
        if (!/[\u0131\u0130]/.test(text)) expect(normalised(text.toLowerCase(), "caseless")).toBe(once);
      }),
    );
  });

  test("is what the index is made of; another name is refused", async () => {
    const dataKeys = world().open();
    const name = await dataKeys.field({ ...EMAIL, blindIndex: { bits: 256, normalise: "caseless" } });
    expect(name.blindIndex("STRASSE")).toBe(name.blindIndex(" straße"));
    expect(await refusalCode(() => normalised("a", untyped("nocase")))).toBe("invalid-argument");
    expect(normalised("Straße", "exact")).toBe("Straße");
  });
});

test("values of another realm are values", async () => {
  const dataKeys = world().open();
  const born = await dataKeys.field({ ...EMAIL, type: "date", blindIndex: {} });
  const foreign = runInNewContext("new Date(5)");
  expect(foreign instanceof Date).toBe(false);
  expect(born.decrypt(born.encrypt(foreign))).toEqual(new Date(5));
  expect(born.blindIndex(foreign)).toBe(born.blindIndex(new Date(5)));
  const json = await dataKeys.field({ ...EMAIL, type: "json" });
  expect(json.decrypt(json.encrypt(runInNewContext("({ a: [1] })")))).toEqual({ a: [1] });
  for (const no of [{ getTime: () => 5 }, { [Symbol.toStringTag]: "Date" }, Object.create(Date.prototype)]) {
    expect(await refusalCode(() => born.encrypt(untyped(no)))).toBe("invalid-argument");
  }
});

test.each([
  ["F81D4FAE-7DEC-11D0-A765-00A0C91E6BF6", "f81d4fae-7dec-11d0-a765-00a0c91e6bf6"],
  ["{f81d4fae-7dec-11d0-a765-00a0c91e6bf6}", "f81d4fae-7dec-11d0-a765-00a0c91e6bf6"],
  ["urn:uuid:F81D4FAE-7DEC-11D0-A765-00A0C91E6BF6", "f81d4fae-7dec-11d0-a765-00a0c91e6bf6"],
  ["caf\u0065\u0301.pdf", "caf\u00e9.pdf"],
  ["Invoice-7", "Invoice-7"],
  [7, "7"],
  [7n, "7"],
])("rowKey of %s is %s", (row, key) => {
  expect(rowKey(row)).toBe(key);
});
