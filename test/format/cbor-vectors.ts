import { utf8ToBytes } from "@noble/hashes/utils.js";
import type { BrokenBytes } from "./key-record-vectors.ts";
import { EXAMPLE_RECORD, KEYS, localRecipient, run } from "./material.ts";
import { type FormatError, hex, type VectorBytes, withShortZeros } from "./vector-file.ts";
import { cborHead, join, keyRecordParts, type Part, replaced, standaloneParts, uint } from "./writer.ts";

/** Key records that break the profile of docs/format.md §7, or a limit of §3, in one place each. */
export function brokenCborRecords(): readonly BrokenBytes[] {
  return [...startAndEnd(), ...suites(), ...shapes(), ...types(), ...lengths(), ...texts(), ...heads(), ...hugeDeclarations()];
}

function startAndEnd(): readonly BrokenBytes[] {
  const record = join(standaloneParts(EXAMPLE_RECORD));
  const item = record.subarray(1);
  return [
    malformed("item without its first byte", "M-26", "83, where 9D is due", hex(item)),
    malformed("first byte of an envelope", "M-26", "9E", `9e${hex(item)}`),
    malformed("first byte of a token", "M-26", "9C", `9c${hex(item)}`),
    malformed("first byte twice", "M-57", "9D is no CBOR head", `9d${hex(record)}`),
    malformed("a zero byte after the item", "M-27", "padding is for envelopes alone", `${hex(record)}00`),
    malformed("another item after the item", "M-27", "a whole record twice", `${hex(record)}${hex(item)}`),
    malformed("a break after the item", "M-27", "FF", `${hex(record)}ff`),
  ];
}

function suites(): readonly BrokenBytes[] {
  const of = (suite: number): string => hex(join(standaloneParts(keyRecordParts(KEYS.keyCommit, [localRecipient()], suite))));
  return [
    ...[0, 2, 23, 24, 257, 4294967295].map((suite) => unsupported(`suite ${suite}`, of(suite))),
    unsupported("suite 2 and nothing that fits after it", "9d830240"),
    edited("suite as text", "M-60", "the text 1", "suite", Uint8Array.of(0x61, 0x31)),
    edited("suite as a byte string", "M-60", "one byte", "suite", Uint8Array.of(0x41, 0x01)),
    edited("suite -1", "M-56", "a negative integer", "suite", Uint8Array.of(0x20)),
  ];
}

function shapes(): readonly BrokenBytes[] {
  const none = keyRecordParts(KEYS.keyCommit, []);
  const seventeen = keyRecordParts(
    KEYS.keyCommit,
    Array.from({ length: 17 }, (_, at) => ({ ...localRecipient(), provider: "x", keyId: `k${at}`, wrapped: run(at, 1) })),
  );
  const four = replaced(EXAMPLE_RECORD, "array of 3", cborHead(4, 4));
  return [
    edited("record of two fields", "M-60", "82", "array of 3", cborHead(4, 2)),
    malformed("record of four fields", "M-60", "84, and a fourth field", `${hex(join(standaloneParts(four)))}00`),
    edited("empty record", "M-60", "80", "array of 3", cborHead(4, 0)),
    malformed("no recipient", "M-17", "an empty array", hex(join(standaloneParts(none)))),
    malformed("17 recipients", "M-17", "one too many, all well formed", hex(join(standaloneParts(seventeen)))),
    edited("more recipients than are there", "M-61", "the array says two", "recipients", cborHead(4, 2)),
    edited("fewer recipients than are there", "M-17", "the array says none", "recipients", cborHead(4, 0)),
    edited("recipient of three fields", "M-60", "83", "array of 4", cborHead(4, 3)),
    edited("recipient of five fields", "M-60", "85", "array of 4", cborHead(4, 5)),
    edited("recipient in an array of its own", "M-60", "81 before it: nested deeper", "array of 4", Uint8Array.of(0x81, 0x84)),
    malformed("10,000 nested arrays", "M-60", "81, over and over", ["9d", { repeat: "81", times: 10_000 }, "00"]),
    malformed("10,000 nested arrays in place of a recipient", "M-60", "81, over and over", [
      hex(join(standaloneParts(EXAMPLE_RECORD.slice(0, 5)))),
      { repeat: "81", times: 10_000 },
      "00",
    ]),
  ];
}

function types(): readonly BrokenBytes[] {
  return [
    malformed(
      "a map",
      "M-56",
      "a map of three pairs",
      hex(join(standaloneParts(replaced(EXAMPLE_RECORD, "array of 3", Uint8Array.of(0xa3))))),
    ),
    edited("a map in place of a recipient", "M-56", "A4", "array of 4", Uint8Array.of(0xa4)),
    edited("a tag before the record", "M-56", "tag 1", "array of 3", Uint8Array.of(0xc1, 0x83)),
    edited("the tag of self-described CBOR", "M-56", "D9 D9 F7", "array of 3", Uint8Array.of(0xd9, 0xd9, 0xf7, 0x83)),
    edited("a tag before keyCommit", "M-56", "tag 64, typed array", "keyCommit head", Uint8Array.of(0xd8, 0x40, 0x58, 0x20)),
    edited("a tag before provider", "M-56", "tag 27, generic object", "provider head", Uint8Array.of(0xd8, 0x1b, 0x65)),
    edited("alg as a big number", "M-56", "tag 2 and one byte", "alg", Uint8Array.of(0xc2, 0x41, 0x01)),
    malformed("alg as a big number of 60,000 bytes", "M-56", "tag 2", [
      hex(join(standaloneParts(EXAMPLE_RECORD.slice(0, 10)))),
      `c259${hex(uint(2, 60_000))}`,
      { repeat: "ff", times: 60_000 },
    ]),
    edited("alg as a negative integer", "M-56", "-2", "alg", Uint8Array.of(0x21)),
    edited("alg as a half float", "M-56", "1.0 in two bytes", "alg", Uint8Array.of(0xf9, 0x3c, 0x00)),
    edited("alg as a double", "M-56", "1.0 in eight bytes", "alg", Uint8Array.of(0xfb, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0)),
    edited("alg false", "M-56", "F4", "alg", Uint8Array.of(0xf4)),
    edited("alg null", "M-56", "F6", "alg", Uint8Array.of(0xf6)),
    edited("alg undefined", "M-56", "F7", "alg", Uint8Array.of(0xf7)),
    edited("alg as a simple value", "M-56", "simple 255", "alg", Uint8Array.of(0xf8, 0xff)),
    edited("keyCommit as text", "M-60", "a text of 32 bytes", "keyCommit head", cborHead(3, 32, 1)),
    edited("provider as a byte string", "M-60", "the right bytes", "provider head", cborHead(2, 5)),
    edited("keyId as a byte string", "M-60", "the right bytes", "keyId head", cborHead(2, 11)),
    edited("alg as text", "M-60", "the text 1", "alg", Uint8Array.of(0x61, 0x31)),
    edited("wrapped as text", "M-60", "the right bytes", "wrapped head", cborHead(3, 72)),
    edited("wrapped as an array", "M-60", "72 items", "wrapped head", cborHead(4, 72)),
    edited("recipients as an integer", "M-60", "1", "recipients", Uint8Array.of(0x01)),
  ];
}

function lengths(): readonly BrokenBytes[] {
  const sized = (field: "provider" | "keyId" | "keyCommit" | "wrapped", major: 2 | 3, bytes: Uint8Array): VectorBytes =>
    withShortZeros(join(standaloneParts(replaced(replaced(EXAMPLE_RECORD, `${field} head`, cborHead(major, bytes.length)), field, bytes))));
  const named = (provider: string): VectorBytes => sized("provider", 3, utf8ToBytes(provider));
  return [
    malformed("keyCommit of 31 bytes", "M-16", "one short", sized("keyCommit", 2, run(0, 31))),
    malformed("keyCommit of 33 bytes", "M-16", "one long", sized("keyCommit", 2, run(0, 33))),
    malformed("keyCommit of 16 bytes", "M-16", "a kid is not enough", sized("keyCommit", 2, KEYS.kid)),
    malformed("empty keyCommit", "M-16", "no byte", sized("keyCommit", 2, run(0, 0))),
    malformed("empty provider", "M-18", "no character", named("")),
    malformed("provider of 33 characters", "M-18", "one too many", named("p".repeat(33))),
    malformed("provider in capitals", "M-18", "A to Z are not allowed", named("LOCAL")),
    malformed("provider with an underscore", "M-18", "_", named("lo_al")),
    malformed("provider with a dot", "M-18", ".", named("lo.al")),
    malformed("provider that names a path", "M-18", "../x", named("../x")),
    malformed("provider that names a property", "M-18", "__proto__", named("__proto__")),
    malformed("provider with a NUL", "M-18", "after the name", named("local\u0000")),
    malformed("provider with a line feed", "M-18", "after the name", named("local\n")),
    malformed("provider beyond ASCII", "M-18", "U+0131 in place of i", named("az\u0131re")),
    malformed("empty keyId", "M-19", "no byte", sized("keyId", 3, run(0, 0))),
    malformed("keyId of 513 bytes", "M-19", "one too many", sized("keyId", 3, new Uint8Array(513).fill(0x6b))),
    malformed("keyId of 257 characters in 514 bytes", "M-19", "bytes count", sized("keyId", 3, utf8ToBytes("\u00e9".repeat(257)))),
    malformed("empty wrapped", "M-20", "no byte", sized("wrapped", 2, run(0, 0))),
    malformed("wrapped of 4097 bytes", "M-20", "one too many", sized("wrapped", 2, new Uint8Array(4097))),
  ];
}

function texts(): readonly BrokenBytes[] {
  const of = (name: string, ...bytes: number[]): BrokenBytes => {
    const parts = replaced(replaced(EXAMPLE_RECORD, "keyId head", cborHead(3, bytes.length)), "keyId", Uint8Array.from(bytes));
    return malformed(`keyId: ${name}`, "M-59", "not well-formed UTF-8", hex(join(standaloneParts(parts))));
  };
  return [
    of("stray continuation byte", 0x6b, 0x80),
    of("lead byte without continuation", 0xc3, 0x6b),
    of("cut before its last byte", 0xf0, 0x9f, 0x98),
    of("overlong NUL", 0xc0, 0x80),
    of("overlong slash", 0xe0, 0x80, 0xaf),
    of("overlong in four bytes", 0xf0, 0x82, 0x82, 0xac),
    of("a surrogate", 0xed, 0xa0, 0x80),
    of("a pair of surrogates", 0xed, 0xa0, 0xbd, 0xed, 0xb8, 0x80),
    of("above U+10FFFF", 0xf4, 0x90, 0x80, 0x80),
    of("five bytes", 0xf8, 0x88, 0x80, 0x80, 0x80),
    of("FE", 0xfe),
    of("Latin-1", 0x6b, 0xe9),
  ];
}

function heads(): readonly BrokenBytes[] {
  const long = (field: string, major: number, value: number, width: 1 | 2 | 4 | 8): BrokenBytes => {
    const breaks = width === 8 ? "M-57" : "M-58";
    return edited(`long head: ${field} in ${width} more bytes`, breaks, "not the shortest", field, cborHead(major, value, width));
  };
  const open = (field: string, head: number): BrokenBytes =>
    edited(`indefinite length: ${field}`, "M-57", "info 31", field, Uint8Array.of(head));
  const reserved = (info: number): BrokenBytes => edited(`alg with info ${info}`, "M-57", "reserved", "alg", Uint8Array.of(info));
  const closed = (name: string, parts: readonly Part[]): BrokenBytes =>
    malformed(name, "M-57", "info 31, and a break", hex(join(standaloneParts([...parts, ["break", Uint8Array.of(0xff)]]))));
  return [
    ...([1, 2, 4, 8] as const).flatMap((width) => [
      long("array of 3", 4, 3, width),
      long("suite", 0, 1, width),
      long("recipients", 4, 1, width),
      long("array of 4", 4, 4, width),
      long("provider head", 3, 5, width),
      long("keyId head", 3, 11, width),
      long("alg", 0, 1, width),
    ]),
    ...([2, 4, 8] as const).flatMap((width) => [long("keyCommit head", 2, 32, width), long("wrapped head", 2, 72, width)]),
    edited("long head: alg 255 in 2 more bytes", "M-58", "not the shortest", "alg", cborHead(0, 255, 2)),
    edited("long head: alg 65535 in 4 more bytes", "M-58", "not the shortest", "alg", cborHead(0, 65535, 4)),
    edited("alg 2^32", "M-57", "no info of the profile holds it", "alg", cborHead(0, 2 ** 32, 8)),
    closed("indefinite length: record", replaced(EXAMPLE_RECORD, "array of 3", Uint8Array.of(0x9f))),
    closed("indefinite length: recipients", replaced(EXAMPLE_RECORD, "recipients", Uint8Array.of(0x9f))),
    closed("indefinite length: recipient", replaced(EXAMPLE_RECORD, "array of 4", Uint8Array.of(0x9f))),
    edited("indefinite length: keyCommit in two pieces", "M-57", "5F", "keyCommit head", Uint8Array.of(0x5f, 0x58, 0x20)),
    edited("indefinite length: provider in pieces", "M-57", "7F", "provider head", Uint8Array.of(0x7f, 0x65)),
    open("keyId head", 0x7f),
    open("wrapped head", 0x5f),
    open("alg", 0x1f),
    reserved(28),
    reserved(29),
    reserved(30),
  ];
}

function hugeDeclarations(): readonly BrokenBytes[] {
  const cut = (name: string, breaks: string, fields: number, ...tail: number[]): BrokenBytes =>
    malformed(
      name,
      breaks,
      "and nothing after it",
      hex(join(standaloneParts([...EXAMPLE_RECORD.slice(0, fields), ["tail", Uint8Array.from(tail)]]))),
    );
  return [
    cut("an array of 2^32 - 1 items", "M-60", 0, 0x9a, 0xff, 0xff, 0xff, 0xff),
    cut("an array of 2^64 - 1 items", "M-57", 0, 0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff),
    cut("2^32 - 1 recipients", "M-17", 4, 0x9a, 0xff, 0xff, 0xff, 0xff),
    cut("a keyCommit of 2^32 - 1 bytes", "M-16", 2, 0x5a, 0xff, 0xff, 0xff, 0xff),
    cut("a provider of 2^32 - 1 bytes", "M-18", 6, 0x7a, 0xff, 0xff, 0xff, 0xff),
    cut("a wrapped of 2^32 - 1 bytes", "M-20", 11, 0x5a, 0xff, 0xff, 0xff, 0xff),
    cut("a wrapped of 4096 bytes that are not there", "M-63", 11, 0x59, 0x10, 0x00),
  ];
}

function edited(name: string, breaks: string, note: string, field: string, bytes: Uint8Array): BrokenBytes {
  return malformed(name, breaks, note, hex(join(standaloneParts(replaced(EXAMPLE_RECORD, field, bytes)))));
}

function malformed(name: string, breaks: string, note: string, bytes: VectorBytes, error: FormatError = "malformed-envelope"): BrokenBytes {
  return { name, bytes, error, breaks, note };
}

function unsupported(name: string, bytes: VectorBytes): BrokenBytes {
  return malformed(name, "M-6", "only suite 1 is defined", bytes, "unsupported-version");
}
