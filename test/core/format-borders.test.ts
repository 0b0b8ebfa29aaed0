import { describe, expect, test } from "vitest";
import { headBytes, ProfileReader, ProfileWriter } from "../../src/core/format/cbor.ts";
import { cborHead } from "../format/writer.ts";
import { hexOf } from "../support/bytes.ts";
import { refusalCode } from "../support/refusal.ts";

// The borders of docs/format.md §3, §4 and §7, one value before and one at each.

describe("heads of CBOR", () => {
  test.each([0, 1, 23, 24, 25, 255, 256, 257, 65535, 65536, 65537, 0xffffffff])("of %d are written and read the shortest way", (value) => {
    const expected = cborHead(0, value);
    const target = new Uint8Array(expected.length + 2).fill(0xaa);
    const writer = new ProfileWriter(target, 1);
    writer.uint(value);
    expect(headBytes(value)).toBe(expected.length);
    expect(hexOf(target)).toBe(`aa${hexOf(expected)}aa`);
    const reader = new ProfileReader(target, 1, target.length - 1);
    expect(reader.uint("value")).toBe(value);
    expect(reader.offset).toBe(target.length - 1);
  });

  test.each([
    [23, 1],
    [255, 2],
    [65535, 4],
  ] as const)("of %d in %d more bytes are refused", async (value, width) => {
    const long = cborHead(0, value, width);
    expect(await refusalCode(() => new ProfileReader(long, 0, long.length).uint("value"))).toBe("malformed-envelope");
  });
});
