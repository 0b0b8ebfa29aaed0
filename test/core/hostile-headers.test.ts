import { afterEach, describe, expect, test, vi } from "vitest";
import { ProfileReader } from "../../src/core/format/cbor.ts";
import { parseHeader } from "../../src/core/format/envelope.ts";
import { encodeKeyRecord, MAX_RECIPIENTS, parseKeyRecord } from "../../src/core/format/key-record.ts";
import { inspect } from "../../src/core/keyring/inspect.ts";
import { Keyring } from "../../src/core/keyring/keyring.ts";
import { noise } from "../support/arbitraries.ts";
import { kek, watched } from "../support/keks.ts";
import { refusalCode } from "../support/refusal.ts";
import { hex } from "../support/vectors.ts";

// Headers of the full 64 KiB. Their cost is shown by structure, not by the clock: however they look, the reader takes at most
// 4 + 5 * 16 items, each of which moves it forward within the header, and sets nothing aside for a declared length.

const AREA_BYTES = 65_536;
const MAX_ITEMS = 4 + 5 * MAX_RECIPIENTS;

const START = `83015820${"00".repeat(32)}`; // array of 3, suite, keyCommit
const LOCAL = "656c6f63616c"; // "local"

/** Hex to begin with, and hex to fill the rest of the header with. */
const HOSTILE: Readonly<Record<string, readonly [start: string, filler: string]>> = {
  "arrays in arrays": ["", "81"],
  "arrays in arrays in a record": [START, "81"],
  "arrays of 4 in arrays of 4": [`${START}90`, "84"],
  "tags in tags": ["", "c1"],
  "two-byte tags in tags": [START, "d81c"],
  "indefinite arrays in arrays": [START, "9f"],
  "indefinite strings": [START, "5f"],
  "maps in maps": ["", "a100"],
  "a bignum of all that is left": ["c259fffc", "ff"],
  "a bignum for a suite": ["83c259fff9", "ff"],
  "an array of 65,533 integers": ["99fffd", "00"],
  "an array of 65,533 recipients": [`${START}99fffd`, "00"],
  "an array of 2^32 - 1 items": ["9affffffff", "00"],
  "an array of 2^64 - 1 items": ["9bffffffffffffffff", "00"],
  "2^64 - 1 recipients": [`${START}9bffffffffffffffff`, "84"],
  "a keyCommit of 4 GiB": ["83015affffffff", "00"],
  "a keyCommit of all that is left": ["830159fff8", "00"],
  "a provider of 65,000 bytes": [`${START}818479fde8`, "61"],
  "a provider of 2^64 - 1 bytes": [`${START}81847bffffffffffffffff`, "61"],
  "a key id of 65,000 bytes": [`${START}8184${LOCAL}79fde8`, "61"],
  "a wrapped key of 65,000 bytes": [`${START}8184${LOCAL}626b310159fde8`, "61"],
  "sixteen recipients without end": [`${START}90`, `84${LOCAL}626b31014161`],
  "a good record, then ones": [`${START}8184${LOCAL}626b31014161`, "01"],
  "one-byte items, all good alone": ["", "00"],
  zeros: [START, "00"],
  "text that is cut within a code point": [`${START}8184${LOCAL}790200`, "c3"],
  noise: ["", Buffer.from(noise(AREA_BYTES)).toString("hex")],
};

afterEach(() => {
  vi.restoreAllMocks();
});

describe("64 KiB headers", () => {
  test.each(Object.entries(HOSTILE))("%s: malformed for every reader, after a bounded number of items", async (_, [start, filler]) => {
    const envelope = enveloped(filled(start, filler));
    const provider = watched(kek("k1"));
    const keyring = new Keyring(provider);
    const items = countItems();
    const ways = [
      () => parseHeader(envelope),
      () => parseKeyRecord(hex(`9d${filled(start, filler)}`)),
      () => inspect(envelope),
      () => keyring.decrypt(envelope),
      () => keyring.rewrap(envelope),
      () => keyring.needsRewrap(envelope),
      () => keyring.rewrapHeader(envelope.subarray(0, 8 + AREA_BYTES)),
    ];
    for (const [index, way] of ways.entries()) {
      const before = items();
      expect(await refusalCode(way), `way ${index}`).toBe("malformed-envelope");
      expect(items() - before, `way ${index}`).toBeLessThanOrEqual(MAX_ITEMS);
    }
    expect(provider.calls).toEqual([]);
  });

  test("a good one of exactly that size is read, in 84 items", async () => {
    const recipients = Array.from({ length: MAX_RECIPIENTS }, (_, index) => ({
      provider: "p".repeat(32),
      keyId: `${index}`.padEnd(26, "k"),
      alg: 10,
      wrapped: noise(index < 11 ? 4027 : 4026),
    }));
    const record = encodeKeyRecord({ suite: 1, keyCommit: noise(32), recipients });
    expect(record).toHaveLength(1 + AREA_BYTES);
    const items = countItems();
    const header = parseHeader(
      enveloped(
        Buffer.from(record.subarray(1))
          .toString("hex")
          .padEnd(2 * AREA_BYTES, "0"),
      ),
    );
    expect(Buffer.compare(encodeKeyRecord(header.record), record)).toBe(0);
    expect(header.record.recipients.map(({ keyId }) => keyId)).toEqual(recipients.map(({ keyId }) => keyId));
    expect(items()).toBe(MAX_ITEMS);
  });

  test("one byte more is refused by its length alone, and so is a length of nothing", async () => {
    const items = countItems();
    for (const length of [0, AREA_BYTES + 1, 0x7fffffff, 0x80000000, 0xffffffff]) {
      const prefix = `9e010000${length.toString(16).padStart(8, "0")}`;
      const bytes = Buffer.concat([hex(prefix), new Uint8Array(AREA_BYTES + 200)]);
      expect(await refusalCode(() => parseHeader(bytes))).toBe("malformed-envelope");
      expect(await refusalCode(() => new Keyring(kek()).decrypt(bytes))).toBe("malformed-envelope");
    }
    expect(items()).toBe(0);
    expect(await refusalCode(() => parseKeyRecord(hex(`9d${filled(START, "00")}00`)))).toBe("malformed-envelope");
    expect(items()).toBe(2); // the record's head and its suite, of which a later one may allow more: docs/format.md [M-62]
  });

  test("a keyring writes none that it could not read", async () => {
    const large = watched(kek("a"), { wrap: async () => ({ provider: "local", keyId: "a", alg: 10, wrapped: noise(4096) }) });
    const keyring = new Keyring({ wrapWith: Array.from({ length: 16 }, () => large) });
    expect(await refusalCode(() => keyring.encrypt(noise(1)))).toBe("invalid-argument");
    expect(await refusalCode(() => keyring.createDataKey())).toBe("invalid-argument");
  });
});

function filled(start: string, filler: string): string {
  return (start + filler.repeat(Math.ceil((2 * AREA_BYTES) / filler.length))).slice(0, 2 * AREA_BYTES);
}

function enveloped(area: string): Uint8Array {
  return hex(`9e01000000010000${area}${"a5".repeat(80)}`);
}

function countItems(): () => number {
  const spies = [
    vi.spyOn(ProfileReader.prototype, "array"),
    vi.spyOn(ProfileReader.prototype, "uint"),
    vi.spyOn(ProfileReader.prototype, "bytes"),
    vi.spyOn(ProfileReader.prototype, "text"),
  ];
  return () => spies.reduce((sum, { mock }) => sum + mock.calls.length, 0);
}
