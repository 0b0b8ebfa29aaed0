import { utf8ToBytes } from "@noble/hashes/utils.js";
import { BROKEN_CBOR, CBOR_SAMPLES } from "./cbor-values.ts";
import { hex, type Vector, type VectorFile } from "./vector-file.ts";
import { binary64, uint } from "./writer.ts";

/** docs/format.md §5.2: what stands in a token of a typed column */
export interface FieldVector {
  readonly type: FieldType;
  /** As the type has it: see docs/vectors/README.md. */
  readonly value?: string | number | boolean | object;
  /** What a record holds, in the order of its columns. */
  readonly columns?: Readonly<Record<string, FieldType>>;
  readonly plaintext?: string;
}

export type FieldType = "string" | "bytes" | "number" | "bigint" | "boolean" | "date" | "json" | "cbor" | "record";

export function fieldVectors(): VectorFile<FieldVector> {
  return {
    about:
      "docs/format.md §5.2: the plaintext of tokens in columns of each type. Numbers stand by their eight bytes, integers by decimal digits, CBOR by its diagnostic notation.",
    shared: {},
    vectors: [...texts(), ...numbers(), ...integers(), ...others(), ...cborValues(), ...records(), ...broken()],
  };
}

function good(name: string, type: FieldType, value: FieldVector["value"], plaintext: Uint8Array): Vector<FieldVector> {
  return { name, type, ...(value !== undefined && { value }), plaintext: hex(plaintext) };
}

function texts(): readonly Vector<FieldVector>[] {
  return ["", "ada@example.org", "M\u00fcller \u{1f511}", "\ufeffmarked", "e\u0301"].map((text, at) =>
    good(`string ${at + 1}`, "string", text, utf8ToBytes(text)),
  );
}

function numbers(): readonly Vector<FieldVector>[] {
  const bits = [
    "0000000000000000",
    "8000000000000000",
    "3ff8000000000000",
    "c05ec00000000000",
    "7fefffffffffffff",
    "7ff0000000000000",
    "7ff8000000000000",
  ];
  return bits.map((value) => good(`number ${value}`, "number", value, Uint8Array.from(Buffer.from(value, "hex"))));
}

/** Two's complement, by way of the number of bytes that it needs. */
function integers(): readonly Vector<FieldVector>[] {
  const values = [0n, 1n, -1n, 127n, 128n, -128n, -129n, 255n, 256n, 32767n, 32768n, -32768n, -32769n, 2n ** 63n, -(2n ** 64n), 10n ** 30n];
  return values.map((value) => {
    let bytes = 1;
    while (value < -(2n ** BigInt(8 * bytes - 1)) || value >= 2n ** BigInt(8 * bytes - 1)) bytes++;
    return good(`integer ${value}`, "bigint", `${value}`, uint(bytes, BigInt.asUintN(8 * bytes, value)));
  });
}

function others(): readonly Vector<FieldVector>[] {
  return [
    good("no bytes", "bytes", "", new Uint8Array(0)),
    good("bytes", "bytes", "00ff10", Uint8Array.of(0, 255, 16)),
    good("true", "boolean", true, Uint8Array.of(1)),
    good("false", "boolean", false, Uint8Array.of(0)),
    good("a date", "date", 1795392000123, binary64(1795392000123)),
    good("a date before 1970", "date", -86400000, binary64(-86400000)),
    good("JSON", "json", { name: "Ada", tags: [1, true, null] }, utf8ToBytes('{"name":"Ada","tags":[1,true,null]}')),
    good("JSON text", "json", "plain", utf8ToBytes('"plain"')),
  ];
}

function cborValues(): readonly Vector<FieldVector>[] {
  return CBOR_SAMPLES.map(({ diagnostic, hex: plaintext }) => ({ name: `CBOR ${diagnostic}`, type: "cbor", value: diagnostic, plaintext }));
}

const COLUMNS: Readonly<Record<string, FieldType>> = { name: "string", born: "date", photo: "bytes" };

function records(): readonly Vector<FieldVector>[] {
  const member = (name: string, content: Uint8Array): Uint8Array => {
    const bytes = utf8ToBytes(name);
    return Uint8Array.of(...uint(1, bytes.length), ...bytes, ...uint(4, content.length), ...content);
  };
  const name = member("name", utf8ToBytes("Ada"));
  const photo = member("photo", Uint8Array.of(1, 2));
  const record = (title: string, value: object, ...members: Uint8Array[]): Vector<FieldVector> => {
    return { ...good(title, "record", value, Uint8Array.from(members.flatMap((bytes) => [...bytes]))), columns: COLUMNS };
  };
  const refused = (title: string, note: string, ...members: Uint8Array[]): Vector<FieldVector> => {
    const { value: _, ...rest } = record(title, {}, ...members);
    return { ...rest, error: "malformed-envelope", breaks: "M-77", note };
  };
  return [
    record("record of all columns", { name: "Ada", born: 0, photo: "0102" }, name, member("born", binary64(0)), photo),
    record("record without one that is null", { name: "Ada", born: null, photo: "0102" }, name, photo),
    record("record of nothing", { name: null, born: null, photo: null }),
    refused("record with a column twice", "the second would win", name, name),
    refused("record with a foreign column", "it would be lost", name, member("other", Uint8Array.of(1))),
    refused("record cut short", "a byte of the last content is missing", name.subarray(0, -1)),
    refused("record cut in a name", "its length says more", Uint8Array.of(4, 0x6e)),
    refused("record with a bad name", "not well-formed UTF-8", Uint8Array.of(1, 0xff, 0, 0, 0, 0)),
    refused("record with a member of another type", "a date has 8 bytes", member("born", Uint8Array.of(1))),
  ];
}

function broken(): readonly Vector<FieldVector>[] {
  const refused = (name: string, type: FieldType, note: string, ...plaintext: number[]): Vector<FieldVector> => {
    return { name, type, plaintext: hex(Uint8Array.from(plaintext)), error: "malformed-envelope", breaks: "M-76", note };
  };
  const wrong = (name: string, type: FieldType, note: string, value: string): Vector<FieldVector> => {
    return { name, type, value, error: "invalid-argument", breaks: "M-76", note };
  };
  return [
    refused("string that is not UTF-8", "string", "a lone continuation byte", 0x80),
    refused("number of 7 bytes", "number", "8 are due", 0, 0, 0, 0, 0, 0, 0),
    refused("number of 9 bytes", "number", "8 are due", 0, 0, 0, 0, 0, 0, 0, 0, 0),
    refused("integer of no byte", "bigint", "0 takes one"),
    refused("integer 1 in two bytes", "bigint", "not as short as it goes", 0, 1),
    refused("integer -1 in two bytes", "bigint", "not as short as it goes", 0xff, 0xff),
    refused("boolean 2", "boolean", "00 or 01", 2),
    refused("boolean of two bytes", "boolean", "one byte", 0, 1),
    refused("boolean of no byte", "boolean", "one byte"),
    refused("date that is not a number", "date", "NaN", 0x7f, 0xf8, 0, 0, 0, 0, 0, 0),
    refused("date beyond 8.64e15", "date", "later than any", 0x43, 0x40, 0, 0, 0, 0, 0, 0),
    refused("JSON that is none", "json", "a lone brace", 0x7b),
    refused("JSON that is not UTF-8", "json", "Latin-1", 0x22, 0xe9, 0x22),
    ...BROKEN_CBOR.map(([what, plaintext]): Vector<FieldVector> => {
      return { name: `CBOR: ${what}`, type: "cbor", plaintext, error: "malformed-envelope", breaks: "M-114", note: what };
    }),
    wrong("string with a lone surrogate", "string", "half of a pair is no text", "a\ud800"),
  ];
}
