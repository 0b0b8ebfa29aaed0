import { describe, expect, test } from "vitest";
import { ProfileReader } from "../../src/core/format/cbor.ts";
import { parseHeader } from "../../src/core/format/envelope.ts";
import { parseKeyRecord } from "../../src/core/format/key-record.ts";
import { inspect } from "../../src/core/keyring/inspect.ts";
import { Keyring } from "../../src/core/keyring/keyring.ts";
import { hexOf } from "../support/bytes.ts";
import { kek } from "../support/keks.ts";
import { refusalCode } from "../support/refusal.ts";
import { hex } from "../support/vectors.ts";

// format.md §7. What general decoders take, or stumble over, is refused in the place of every item of a key record.

const SLOTS = ["key record", "suite", "keyCommit", "recipients", "recipient", "provider", "keyId", "alg", "wrapped"] as const;
type Slot = (typeof SLOTS)[number];

const WHAT_DECODERS_TAKE: Readonly<Record<string, readonly string[]>> = {
  "maps, with duplicate keys too": ["a0", "a10102", "a2616101616102", "a201020103"],
  "a map with a key called __proto__": ["a1695f5f70726f746f5f5fa0"],
  "a map in which 1.0 and 1 are two keys": ["a2010af93c000b"],
  "indefinite arrays": ["9fff", "9f01ff", "9f9f9f"],
  "indefinite maps": ["bfff", "bf0102ff"],
  "indefinite strings": ["5fff", "5f4101ff", "7fff", "7f6161ff"],
  "a lone break": ["ff"],
  "reserved heads": ["1c", "1d", "1e", "1f", "3c", "5c", "5d", "5e", "7c", "7d", "7e", "9c", "9d", "9e", "bc", "dc", "fc", "fd", "fe"],
  "negative integers": ["20", "37", "3800", "3900ff", "3bffffffffffffffff"],
  "integers of 2^32 and above": ["1b0000000100000000", "1bffffffffffffffff"],
  floats: ["f90000", "f93c00", "f97e00", "fa3f800000", "fb3ff0000000000000"],
  "simple values": ["e0", "f0", "f3", "f4", "f5", "f6", "f7", "f800", "f818", "f8ff"],
  "the bignum tags": ["c24101", "c34101", "c249010000000000000000", "c2590400".concat("ff".repeat(1024))],
  "tag 27, which makes a RegExp or an Error": ["d81b82665265674578706161", "d81b83654572726f726161a0"],
  "tags 28 and 29, which make shared references and cycles": ["d81c81d81d00", "d81d00", "d81c80"],
  "tags 6 and 51 and the simple values of packed CBOR": ["c600", "d83382808000", "e1", "eb", "f8e1"],
  "tags 105, dffe and dfff, which define records": ["d86982018161618101", "d9dffe8361610102", "d9dfff8361610102"],
  "tags 64 and 259, which encoders put on bytes and maps": ["d8404101", "d90103a0"],
  "the self-described tag": ["d9d9f701", "d9d9f7f6"],
  "date, uri, base64 and embedded tags": ["c01a00000000", "c100", "d8206161", "d821", "d8184101"],
  "huge declared arrays": ["9affffffff", "9bffffffffffffffff", "9b7fffffffffffffff", "99ffff", "9a00100000"],
  "huge declared maps": ["baffffffff", "bbffffffffffffffff", "b9ffff"],
  "huge declared strings": ["5affffffff", "5bffffffffffffffff", "7affffffff", "7bffffffffffffffff", "59ffff", "79ffff"],
  "deep nesting": [
    "81".repeat(600),
    "81".repeat(600).concat("00"),
    "c1".repeat(600),
    "9f".repeat(600),
    "a100".repeat(300),
    "d81c".repeat(300),
  ],
  nothing: [""],
};

// RFC 8949 appendix A, what of it is outside the profile
const APPENDIX_A_OUTSIDE =
  "1b000000e8d4a51000 1bffffffffffffffff c249010000000000000000 3bffffffffffffffff c349010000000000000000 20 29 3863 3903e7 f90000 f98000 " +
  "f93c00 fb3ff199999999999a f93e00 f97bff fa47c35000 fa7f7fffff fb7e37e43c8800759c f90001 f90400 f9c400 fbc010666666666666 f97c00 f97e00 " +
  "f9fc00 fa7f800000 fa7fc00000 faff800000 fb7ff0000000000000 fb7ff8000000000000 fbfff0000000000000 f4 f5 f6 f7 f0 f8ff " +
  "c074323031332d30332d32315432303a30343a30305a c11a514b67b0 c1fb41d452d9ec200000 d74401020304 d818456449455446 " +
  "d82076687474703a2f2f7777772e6578616d706c652e636f6d a0 a201020304 a26161016162820203 826161a161626163 " +
  "a56161614161626142616361436164614461656145 5f42010243030405ff 7f657374726561646d696e67ff 9fff 9f018202039f0405ffff 9f01820203820405ff " +
  "83018202039f0405ff 83019f0203ff820405 9f0102030405060708090a0b0c0d0e0f101112131415161718181819ff bf61610161629f0203ffff " +
  "826161bf61626163ff bf6346756ef563416d7421ff";

describe("CBOR outside the profile (format.md §7)", () => {
  test("the records that these cases are made from are good", async () => {
    expect(parseKeyRecord(alone(record())).recipients).toEqual([{ provider: "local", keyId: "k1", alg: 1, wrapped: new Uint8Array(72) }]);
    expect(parseHeader(envelope(record())).record.keyCommit).toEqual(new Uint8Array(32));
    expect(await refusalCode(() => new Keyring(kek("k1")).decrypt(envelope(record())))).toBe("authentication-failed");
  });

  test.each(Object.entries(WHAT_DECODERS_TAKE))("%s are refused in every place", async (_, items) => {
    for (const item of items) await expectMalformedEverywhere(item);
  });

  test("so are the 59 values of RFC 8949 appendix A that the profile leaves out", async () => {
    const items = APPENDIX_A_OUTSIDE.split(" ");
    for (const item of items) await expectMalformedEverywhere(item);
    expect(items).toHaveLength(59);
  });

  const longHeads: readonly (readonly [slot: Slot, heads: readonly string[], rest: string])[] = [
    ["key record", ["9803", "990003", "9a00000003", "9b0000000000000003"], recordItems()],
    ["suite", ["1801", "190001", "1a00000001", "1b0000000000000001"], ""],
    ["keyCommit", ["590020", "5a00000020", "5b0000000000000020"], "00".repeat(32)],
    ["recipients", ["9801", "990001", "9a00000001"], recipient()],
    ["recipient", ["9804", "990004", "9a00000004"], "656c6f63616c626b31015848".concat("00".repeat(72))],
    ["provider", ["7805", "790005", "7a00000005"], "6c6f63616c"],
    ["keyId", ["7802", "790002", "7a00000002"], "6b31"],
    ["alg", ["1801", "190001", "1a00000001", "1b0000000000000001"], ""],
    ["wrapped", ["590048", "5a00000048", "5b0000000000000048"], "00".repeat(72)],
  ];
  test.each(longHeads)("a %s whose head is not the shortest is refused", async (slot, heads, rest) => {
    for (const head of heads) await expectMalformed(record(slot, head + rest));
  });

  test("heads are the shortest at every border: 23, 24, 255, 256, 65535, 65536, 2^32 - 1", async () => {
    for (const [head, value] of [
      ["00", 0],
      ["17", 23],
      ["1818", 24],
      ["18ff", 255],
      ["190100", 256],
      ["19ffff", 65_535],
      ["1a00010000", 65_536],
      ["1affffffff", 4_294_967_295],
    ] as const) {
      expect(parseKeyRecord(alone(record("alg", head))).recipients[0]?.alg).toBe(value);
    }
    for (const head of ["1817", "1900ff", "1a0000ffff"]) await expectMalformed(record("alg", head));
  });

  const badText = [
    "ff",
    "80",
    "c3",
    "c080",
    "c1bf",
    "e08080",
    "eda080",
    "edbfbf",
    "f08080",
    "f0808080",
    "f4908080",
    "f8888080",
    "6bff",
    "c36b",
  ];
  test.each(badText)("text that is no UTF-8 is refused, not replaced: %s", async (bytes) => {
    const item = (0x60 + bytes.length / 2).toString(16) + bytes;
    await expectMalformed(record("provider", item));
    await expectMalformed(record("keyId", item));
  });

  test("text keeps every code point, so two key ids never become one", () => {
    for (const keyId of ["\u{feff}k1", "k1\u{feff}", "\u{fffd}", "\u{0}", "e\u{301}", "\u{e9}", "\u{1f600}", "__proto__"]) {
      const bytes = Buffer.from(keyId);
      const item = (0x60 + bytes.length).toString(16) + bytes.toString("hex");
      expect(parseKeyRecord(alone(record("keyId", item))).recipients[0]?.keyId).toBe(keyId);
    }
  });

  test("sizes and counts outside format.md §3 are refused", async () => {
    for (const [slot, item] of [
      ["key record", `82015820${"00".repeat(32)}`],
      ["key record", `84${recordItems()}00`],
      ["keyCommit", `581f${"00".repeat(31)}`],
      ["keyCommit", `5821${"00".repeat(33)}`],
      ["keyCommit", "40"],
      ["recipients", "80"],
      ["recipients", `91${recipient().repeat(17)}`],
      ["recipient", "80"],
      ["recipient", "83656c6f63616c626b3101"],
      ["recipient", `85${recipient().slice(2)}00`],
      ["provider", "60"],
      ["provider", `7821${"61".repeat(33)}`],
      ["keyId", "60"],
      ["keyId", `790201${"6b".repeat(513)}`],
      ["wrapped", "40"],
      ["wrapped", `591001${"00".repeat(4097)}`],
    ] as const) {
      await expectMalformed(record(slot, item));
    }
    expect(parseKeyRecord(alone(record("recipients", `90${recipient().repeat(16)}`))).recipients).toHaveLength(16);
  });

  test("suites from 2 up are of another version, not malformed", async () => {
    for (const item of ["00", "02", "17", "1818", "1affffffff"]) {
      expect(await refusalCode(() => parseKeyRecord(alone(record("suite", item))))).toBe("unsupported-version");
      expect(await refusalCode(() => inspect(envelope(record("suite", item))))).toBe("unsupported-version");
    }
  });

  test("bytes after a standalone record are refused, also zeros; after a header's record only zeros stand", async () => {
    expect(await refusalCode(() => parseKeyRecord(alone(`${record()}00`)))).toBe("malformed-envelope");
    expect(parseHeader(envelope(`${record()}0000`)).paddingBytes).toBe(2);
    for (const tail of ["01", "0001", "0100", "f6", "00ff00"]) {
      expect(await refusalCode(() => parseHeader(envelope(record() + tail)))).toBe("malformed-envelope");
    }
  });

  test("what was read owns its bytes: a later change of the input changes nothing", () => {
    const input = alone(record());
    const { keyCommit, recipients } = parseKeyRecord(input);
    input.fill(0xee);
    expect(hexOf(keyCommit)).toBe("00".repeat(32));
    expect(hexOf(recipients[0]?.wrapped ?? input)).toBe("00".repeat(72));
  });

  test("the reader stops at its limit, though bytes follow that would do", async () => {
    const reader = (item: string, end: number): ProfileReader => new ProfileReader(hex(item), 0, end);
    expect(await refusalCode(() => reader("19ffff", 2).uint("field"))).toBe("malformed-envelope");
    expect(await refusalCode(() => reader("43010203", 3).bytes("field", 0, 9))).toBe("malformed-envelope");
    expect(await refusalCode(() => reader("63616161", 3).text("field", 0, 9))).toBe("malformed-envelope");
    expect(await refusalCode(() => reader("8101", 0).array("field", 0, 9))).toBe("malformed-envelope");
  });
});

/** A key record in hex, `slot` of it replaced. Hoisted: the tables above are made with it. */
function record(slot?: Slot, item = ""): string {
  return slot === "key record" ? item : `83${recordItems(slot, item)}`;
}

function recordItems(slot?: Slot, item = ""): string {
  const or = (name: Slot, valid: string): string => (slot === name ? item : valid);
  return or("suite", "01") + or("keyCommit", `5820${"00".repeat(32)}`) + or("recipients", `81${recipient(slot, item)}`);
}

function recipient(slot?: Slot, item = ""): string {
  const or = (name: Slot, valid: string): string => (slot === name ? item : valid);
  const fields = or("provider", "656c6f63616c") + or("keyId", "626b31") + or("alg", "01") + or("wrapped", `5848${"00".repeat(72)}`);
  return or("recipient", `84${fields}`);
}

async function expectMalformedEverywhere(item: string): Promise<void> {
  for (const slot of SLOTS) await expectMalformed(record(slot, item), `${item.slice(0, 40)} as ${slot}`);
}

async function expectMalformed(keyRecord: string, message = keyRecord.slice(0, 80)): Promise<void> {
  const ways = [
    () => parseKeyRecord(alone(keyRecord)),
    () => inspect(alone(keyRecord)),
    () => inspect(envelope(keyRecord)),
    () => new Keyring(kek("k1")).decrypt(envelope(keyRecord)),
  ];
  for (const way of ways) expect(await refusalCode(way), message).toBe("malformed-envelope");
}

function alone(keyRecord: string): Uint8Array {
  return hex(`9d${keyRecord}`);
}

/** With a body that no key opens. */
function envelope(keyRecord: string): Uint8Array {
  const bytes = hex(keyRecord).length;
  return hex(`9e010000${bytes.toString(16).padStart(8, "0")}${keyRecord}${"a5".repeat(80)}`);
}
