import { describe, expect, test } from "vitest";
import { concatBytes, writeUint32 } from "../../src/core/base/bytes.ts";
import { SUITE } from "../../src/core/contracts/suite.ts";
import { bodyBytes, claimedPlaintextBytes, plaintextBytesOf } from "../../src/core/crypto/body-sizes.ts";
import { chunkNonce } from "../../src/core/crypto/cobblestone.ts";
import { headBytes, ProfileReader, ProfileWriter } from "../../src/core/format/cbor.ts";
import { headerBytesOf, parseDetachedHeader, prepareHeader } from "../../src/core/format/envelope.ts";
import { encodeKeyRecord, type KeyRecord, parseKeyRecord, prepareKeyRecord } from "../../src/core/format/key-record.ts";
import { MAX_PROOF_BYTES, macInProof, successionMessage } from "../../src/core/format/succession.ts";
import { cborHead } from "../format/writer.ts";
import { noise } from "../support/arbitraries.ts";
import { hexOf } from "../support/bytes.ts";
import { refusal, refusalCode } from "../support/refusal.ts";

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

describe("what a reader takes", () => {
  test.each([
    [new Uint8Array(0), "an envelope has at least 8 bytes, 0 are there"],
    [Uint8Array.of(0x9e), "an envelope has at least 8 bytes, 1 are there"],
    [Uint8Array.of(0x9d), "the first byte is not 9E"],
  ])("%o is told for what it lacks", async (bytes, said) => {
    expect((await refusal(() => headerBytesOf(bytes))).message).toContain(said);
  });

  test("is an area for the record from 1 byte to 65,536", async () => {
    const prefix = (area: number): Uint8Array => concatBytes(Uint8Array.of(0x9e, 1, 0, 0), u32(area), new Uint8Array(1));
    expect(headerBytesOf(prefix(1))).toBe(9);
    expect(headerBytesOf(prefix(65_536))).toBe(65_544);
    for (const area of [0, 65_537]) expect(await refusalCode(() => headerBytesOf(prefix(area)))).toBe("malformed-envelope");
  });
});

describe("a proof", () => {
  const mac = noise(32);
  const macItem = concatBytes(Uint8Array.of(1, 0, 32), mac);
  const item = (kind: number, length: number): Uint8Array => concatBytes(Uint8Array.of(kind, length >> 8, length & 0xff), noise(length));

  test.each([
    ["the MAC alone", macItem],
    ["an empty item behind it", concatBytes(macItem, item(2, 0))],
    ["items of 255, 256 and 257 bytes behind it", concatBytes(macItem, item(2, 255), item(3, 256), item(4, 257))],
    ["16,384 bytes in all", concatBytes(macItem, item(2, MAX_PROOF_BYTES - 35 - 3))],
  ])("with %s is read", (_what, proof) => {
    expect(macInProof(proof)).toEqual(mac);
  });

  test.each([
    ["16,385 bytes in all", concatBytes(macItem, item(2, MAX_PROOF_BYTES - 35 - 2))],
    ["an item that is cut short", concatBytes(macItem, item(2, 5).subarray(0, 7))],
    ["an item that lacks its last byte, and is long", concatBytes(macItem, item(2, 300).subarray(0, 302))],
    ["the head of an item that is cut short", concatBytes(macItem, Uint8Array.of(2, 0))],
    ["a MAC of 31 bytes", item(1, 31)],
    ["a MAC of 33 bytes", item(1, 33)],
    ["two MACs", concatBytes(macItem, macItem)],
  ])("with %s is refused", async (_what, proof) => {
    expect(await refusalCode(() => macInProof(proof))).toBe("malformed-envelope");
  });

  test("whose last head is cut short says so", async () => {
    const { message } = await refusal(() => macInProof(concatBytes(macItem, Uint8Array.of(2, 0))));
    expect(message).toBe("a proof ends within the head of an item");
  });

  test("covers a time beyond 32 bits, and each byte of version and time", () => {
    const message = (version: number, createdAtMs: number): string =>
      hexOf(successionMessage({ version, kid: noise(16), createdAtMs }, noise(3)));
    expect(message(0x01020304, 0x0000_0192_8899_aabb)).toBe(`01020304${hexOf(noise(16))}000001928899aabb${hexOf(noise(3))}`);
  });
});

test("a provider's name of 33 bytes is told by its length", async () => {
  const recipient = { provider: "p".repeat(32), keyId: "k", alg: 1, wrapped: noise(1) };
  const good = encodeKeyRecord({ suite: SUITE, keyCommit: noise(32), recipients: [recipient] });
  const at = good.indexOf(0x78); // text of a length that follows
  expect([...good.subarray(at, at + 3)]).toEqual([0x78, 32, 0x70]);
  const long = concatBytes(good.subarray(0, at), Uint8Array.of(0x78, 33, 0x70), good.subarray(at + 2));
  expect((await refusal(() => parseKeyRecord(long))).message).toMatch(/provider.*(32|33)/);
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
    expect(hexOf(chunkNonce(base, chunk, new Uint8Array(12)))).toBe(expected.toString(16).padStart(24, "0"));
    expect(base.every((byte) => byte === 0xff)).toBe(true);
  });
});

function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  writeUint32(bytes, 0, value);
  return bytes;
}

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
