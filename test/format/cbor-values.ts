import type { CborValue } from "../../src/fields/cbor-value.ts";

/** A value of the type `cbor` in diagnostic notation (RFC 8949 §8), as a program has it, and its one encoding, written by hand. */
export interface CborSample {
  readonly diagnostic: string;
  readonly value: CborValue;
  readonly hex: string;
}

export const CBOR_SAMPLES: readonly CborSample[] = [
  { diagnostic: "null", value: null, hex: "f6" },
  { diagnostic: "undefined", value: undefined, hex: "f7" },
  { diagnostic: "true", value: true, hex: "f5" },
  { diagnostic: "0", value: 0, hex: "00" },
  { diagnostic: "23", value: 23, hex: "17" },
  { diagnostic: "24", value: 24, hex: "1818" },
  { diagnostic: "255", value: 255, hex: "18ff" },
  { diagnostic: "256", value: 256, hex: "190100" },
  { diagnostic: "65535", value: 65535, hex: "19ffff" },
  { diagnostic: "65536", value: 65536, hex: "1a00010000" },
  { diagnostic: "4294967296", value: 2 ** 32, hex: "1b0000000100000000" },
  { diagnostic: "9007199254740991", value: 2 ** 53 - 1, hex: "1b001fffffffffffff" },
  { diagnostic: "-1", value: -1, hex: "20" },
  { diagnostic: "-9007199254740991", value: 1 - 2 ** 53, hex: "3b001ffffffffffffe" },
  { diagnostic: "9007199254740992.0", value: 2 ** 53, hex: "fb4340000000000000" },
  { diagnostic: "-0.0", value: -0, hex: "fb8000000000000000" },
  { diagnostic: "1.5", value: 1.5, hex: "fb3ff8000000000000" },
  { diagnostic: "NaN", value: Number.NaN, hex: "fb7ff8000000000000" },
  { diagnostic: "-Infinity", value: Number.NEGATIVE_INFINITY, hex: "fbfff0000000000000" },
  { diagnostic: "2(h'')", value: 0n, hex: "c240" },
  { diagnostic: "2(h'0100')", value: 256n, hex: "c2420100" },
  { diagnostic: "3(h'')", value: -1n, hex: "c340" },
  { diagnostic: "2(h'010000000000000000')", value: 2n ** 64n, hex: "c249010000000000000000" },
  { diagnostic: '"M\u00fcller"', value: "M\u00fcller", hex: "674dc3bc6c6c6572" },
  { diagnostic: "h'00ff'", value: Uint8Array.of(0, 255), hex: "4200ff" },
  { diagnostic: "1(0)", value: new Date(0), hex: "c100" },
  { diagnostic: "1(1795392000.123)", value: new Date(1795392000123), hex: "c1fb41dac0e08007df3b" },
  { diagnostic: "[1, [null, undefined]]", value: [1, [null, undefined]], hex: "820182f6f7" },
  { diagnostic: '{"b": 1, "a": undefined}', value: { b: 1, a: undefined }, hex: "a26162016161f7" },
  {
    diagnostic: '259({1: "a", "1": h\'\', [2]: null})',
    value: mapOf([1, "a"], ["1", new Uint8Array()], [[2], null]),
    hex: "d90103a30161616131408102f6",
  },
];

/** Bytes of no value, with what is wrong about them. */
export const BROKEN_CBOR: readonly (readonly [what: string, hex: string])[] = [
  ["nothing", ""],
  ["two values", "f6f6"],
  ["a head that is not the shortest", "1817"],
  ["a head that is not the shortest, of 8 bytes", "1b00000000ffffffff"],
  ["an integer beyond 2^53 - 1", "1b0020000000000000"],
  ["an integer below 1 - 2^53", "3b001fffffffffffff"],
  ["an integer as a float", "fb3ff0000000000000"],
  ["a float of 16 bits", "f93e00"],
  ["a float of 32 bits", "fa3fc00000"],
  ["a NaN with a payload", "fb7ff8000000000001"],
  ["a simple value that is not known", "f0"],
  ["a break", "ff"],
  ["text of an indefinite length", "7f6161ff"],
  ["an array of an indefinite length", "9f01ff"],
  ["text that is not UTF-8", "61ff"],
  ["text cut short", "6361"],
  ["bytes of 4 GiB", "5affffffff"],
  ["an array of 2^32 - 1 items", "9affffffff"],
  ["an object with a number for a key", "a10102"],
  ["an object with a key twice", "a2616101616102"],
  ["an object with the key __proto__", "a1695f5f70726f746f5f5fa0"],
  ["a Map with a key twice", "d90103a201020103"],
  ["a Map with the key -0", "d90103a1fb8000000000000000f6"],
  ["a date of a date", "c1c100"],
  ["a Map that is an array", "d9010380"],
  ["a tag that is not known", "c401"],
  ["a tag of a shared value", "d81d00"],
  ["a bigint with a leading zero", "c24100"],
  ["a bigint that is text", "c260"],
  ["a date as text", "c06161"],
  ["a date that is text", "c16161"],
  ["a date finer than milliseconds", "c1fb3f40624dd2f1a9fd"],
  ["a date of -0 seconds", "c1fb8000000000000000"],
  ["a date beyond 8.64e15", "c11b000007dba8218001"],
  ["65 arrays in each other and one more", `${"81".repeat(65)}f6`],
];

function mapOf(...entries: readonly (readonly [CborValue, CborValue])[]): ReadonlyMap<CborValue, CborValue> {
  return new Map(entries);
}
