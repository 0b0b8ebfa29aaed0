import { describe, expect, test } from "vitest";
import { SUITE } from "../../src/core/contracts/suite.ts";
import { bodyBytes, claimedPlaintextBytes, plaintextBytesOf } from "../../src/core/crypto/body-sizes.ts";
import { chunkNonce } from "../../src/core/crypto/cobblestone.ts";
import { headBytes, ProfileReader, ProfileWriter } from "../../src/core/format/cbor.ts";
import { parseDetachedHeader, prepareHeader } from "../../src/core/format/envelope.ts";
import { encodeKeyRecord, type KeyRecord, parseKeyRecord, prepareKeyRecord } from "../../src/core/format/key-record.ts";
import { cborHead } from "../format/writer.ts";
import { noise } from "../support/arbitraries.ts";
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

describe("what a writer makes", () => {
  test("is a key record of 65,536 bytes at most, its limits included", async () => {
    const longest = recordOf(65_536);
    expect(encodeKeyRecord(longest)).toHaveLength(1 + 65_536);
    expect(parseKeyRecord(encodeKeyRecord(longest))).toEqual(longest);
    expect(await refusalCode(() => encodeKeyRecord(recordOf(65_537)))).toBe("invalid-argument");
  });

  test("is a header of 65,544 bytes at most, with padding or without", async () => {
    const small = recordOf(8_000);
    for (const [record, least] of [
      [recordOf(65_536), 0],
      [small, 65_544],
    ] as const) {
      const prepared = prepareHeader(record, least);
      const target = new Uint8Array(65_546).fill(0xaa);
      prepared.write(target);
      expect(prepared.headerBytes).toBe(65_544);
      expect(hexOf(target.subarray(-2))).toBe("aaaa");
      expect(parseDetachedHeader(target.subarray(0, 65_544)).record).toEqual(record);
    }
    expect(await refusalCode(() => prepareHeader(small, 65_545))).toBe("invalid-argument");
  });

  test.each([1, 23, 24, 255, 256, 512])("names keys of %d bytes and wraps of as many", (length) => {
    const recipient = { provider: "toy", keyId: "k".repeat(length), alg: length, wrapped: noise(length) };
    const record: KeyRecord = { suite: SUITE, keyCommit: noise(32), recipients: [recipient] };
    expect(parseKeyRecord(encodeKeyRecord(record))).toEqual(record);
  });
});

describe("a body", () => {
  test.each([
    [0, 72],
    [1, 73],
    [16_383, 56 + 16_399],
    [16_384, 56 + 16_400 + 16],
    [16_385, 56 + 16_400 + 17],
    [2 * 16_384, 56 + 2 * 16_400 + 16],
  ])("of %d bytes of plaintext takes %d", (plaintextBytes, body) => {
    expect(bodyBytes(plaintextBytes)).toBe(body);
    expect(plaintextBytesOf(body)).toBe(plaintextBytes);
    expect(claimedPlaintextBytes(body)).toBe(plaintextBytes);
  });

  test.each([0, 55, 56, 71, 56 + 16_400, 56 + 16_400 + 15, 56 + 2 * 16_400 + 15])("never takes %d bytes", async (length) => {
    expect(plaintextBytesOf(length)).toBeUndefined();
    expect(await refusalCode(() => claimedPlaintextBytes(length))).toBe("malformed-envelope");
  });

  test.each([0, 1, 5, 255, 256, 65_535, 65_536, 2 ** 32 + 1, 2 ** 47 + 3])("seals chunk %d under base xor its number", (chunk) => {
    const base = new Uint8Array(12).fill(0xff);
    const expected = ((1n << 96n) - 1n) ^ BigInt(chunk);
    expect(hexOf(chunkNonce(base, chunk))).toBe(expected.toString(16).padStart(24, "0"));
    expect(base.every((byte) => byte === 0xff)).toBe(true);
  });
});

/** A record of exactly so many bytes, of 16 recipients. */
function recordOf(bytes: number): KeyRecord {
  const withWraps = (first: number, others: number): KeyRecord => ({
    suite: SUITE,
    keyCommit: noise(32),
    recipients: Array.from({ length: 16 }, (_, at) => ({
      provider: "toy",
      keyId: `key-${at + 10}`,
      alg: 1,
      wrapped: noise(at === 0 ? first : others),
    })),
  });
  const others = Math.floor(bytes / 16) - 19;
  return withWraps(others + bytes - prepareKeyRecord(withWraps(others, others)).bytes, others);
}
