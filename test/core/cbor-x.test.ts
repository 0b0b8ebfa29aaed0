import { Decoder } from "cbor-x";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { EnvelockError } from "../../src/core/base/errors.ts";
import { encodeKeyRecord, type KeyRecord, parseKeyRecord } from "../../src/core/format/key-record.ts";
import { noise, runs } from "../support/arbitraries.ts";
import { expectSameBytes, flipped, hexOf } from "../support/bytes.ts";

// A general decoder beside the strict reader: what ours accepts, cbor-x reads as the same values. The library itself never loads
// cbor-x, see test/package/cbor-x.test.ts.

describe("cbor-x agrees with the strict reader", () => {
  test("on records that we write", () => {
    fc.assert(
      fc.property(records, (record) => {
        const bytes = encodeKeyRecord(record);
        expect(asText(parseKeyRecord(bytes))).toBe(asText(record));
        expect(decoded(bytes)).toBe(asText(record));
      }),
      runs(100, 50),
    );
  });

  test("on whatever of changed records we still accept", () => {
    let accepted = 0;
    fc.assert(
      fc.property(records, fc.nat(), fc.integer({ min: 1, max: 255 }), (record, place, mask) => {
        const bytes = encodeKeyRecord(record);
        const changed = flipped(bytes, 1 + (place % (bytes.length - 1)), mask);
        const parsed = parsedOrRefused(changed);
        if (parsed === undefined) return;
        accepted++;
        expect(decoded(changed)).toBe(asText(parsed));
        expectSameBytes(encodeKeyRecord(parsed), changed); // one encoding for each record
      }),
      runs(200, 100),
    );
    expect(accepted).toBeGreaterThan(0);
  });
});

const records: fc.Arbitrary<KeyRecord> = fc.record({
  suite: fc.constant(1 as const),
  keyCommit: fc.uint8Array({ minLength: 32, maxLength: 32 }),
  recipients: fc.array(
    fc.record({
      provider: fc.stringMatching(/^[a-z0-9-]{1,32}$/),
      keyId: fc.string({ unit: "binary", minLength: 1, maxLength: 100 }),
      alg: fc.oneof(fc.nat({ max: 30 }), fc.nat({ max: 0xffffffff })),
      wrapped: fc.oneof(
        fc.uint8Array({ minLength: 1, maxLength: 80 }),
        fc.constantFrom(255, 256, 4096).map((length) => noise(length)),
      ),
    }),
    { minLength: 1, maxLength: 6 },
  ),
});

const decoder = new Decoder({ useRecords: false, mapsAsObjects: false, copyBuffers: true });

/** Without the 9D. */
function decoded(keyRecord: Uint8Array): string {
  return JSON.stringify(printable(decoder.decode(Buffer.from(keyRecord.subarray(1)))));
}

function asText({ suite, keyCommit, recipients }: KeyRecord): string {
  const rows = recipients.map(({ provider, keyId, alg, wrapped }) => [provider, keyId, alg, wrapped]);
  return JSON.stringify(printable([suite, keyCommit, rows]));
}

/** Bytes as hex, marked, so that they never equal a text. */
function printable(value: unknown): unknown {
  if (value instanceof Uint8Array) return { bytes: hexOf(value) };
  return Array.isArray(value) ? value.map(printable) : value;
}

function parsedOrRefused(keyRecord: Uint8Array): KeyRecord | undefined {
  try {
    return parseKeyRecord(keyRecord);
  } catch (error) {
    expect(error).toBeInstanceOf(EnvelockError);
    return undefined;
  }
}
