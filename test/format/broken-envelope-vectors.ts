import type { EnvelopeVector } from "./envelope-vectors.ts";
import {
  EXAMPLE_BODY,
  EXAMPLE_ENVELOPE,
  EXAMPLE_HEADER,
  EXAMPLE_RECORD,
  flip,
  INVOICE,
  KEK_ID,
  KEYS,
  localRecipient,
  OBJECT,
  OBJECT_CONTEXT,
  OLD_KEK_ID,
  OTHER_DATA_KEY,
  OTHER_KEYS,
  OTHER_TENANT,
  run,
  SALT,
  TENANT,
} from "./material.ts";
import { type FormatError, hex, type Vector, withShortZeros } from "./vector-file.ts";
import { bodyParts, headerParts, join, keyRecordParts, type Pair, type Part, replaced, uint, type WrittenRecipient } from "./writer.ts";

/** Envelopes that break a rule of docs/format.md §4, or of what they are made of, in one place each. */
export function brokenEnvelopes(): readonly Vector<EnvelopeVector>[] {
  return [
    ...prefixes(),
    tooLongHeader(),
    ...paddings(),
    ...truncated(),
    ...detached(),
    ...swaps(),
    ...flips(),
    ...contexts(),
    ...unmatched(),
  ];
}

// the same key context, value context and KEK, another data key and salt
const OTHER_HEADER: readonly Part[] = headerParts(
  keyRecordParts(OTHER_KEYS.keyCommit, [localRecipient({ dataKey: OTHER_DATA_KEY, nonce: run(0x50, 24) })]),
);
const OTHER_BODY: readonly Part[] = bodyParts(OTHER_KEYS, run(0x68, 24), OBJECT_CONTEXT, INVOICE);

function prefixes(): readonly Vector<EnvelopeVector>[] {
  const edited = (name: string, breaks: string, note: string, field: string, bytes: Uint8Array): Vector<EnvelopeVector> =>
    broken(name, breaks, note, replaced(EXAMPLE_ENVELOPE, field, bytes));
  const recordBytes = join(EXAMPLE_RECORD).length;
  const version = (value: number): Vector<EnvelopeVector> =>
    broken(
      `version ${value}`,
      "M-29",
      "only version 1 is defined",
      replaced(EXAMPLE_ENVELOPE, "version", uint(1, value)),
      "unsupported-version",
    );
  const suite2 = replaced(EXAMPLE_ENVELOPE, "suite", uint(1, 2));
  return [
    edited("first byte of a key record", "M-28", "9D", "first byte", uint(1, 0x9d)),
    edited("first byte of a token", "M-28", "9C", "first byte", uint(1, 0x9c)),
    edited("first byte 9F", "M-28", "an indefinite array of CBOR", "first byte", uint(1, 0x9f)),
    edited("first byte of zero", "M-28", "00", "first byte", uint(1, 0)),
    broken("plain text", "M-28", "JSON is never ciphertext", [["json", new TextEncoder().encode('{"kty":"oct"}')]]),
    version(0),
    version(2),
    version(255),
    broken(
      "version 2 before everything else",
      "M-3",
      "reserved bytes and H are wrong as well",
      [["prefix", Uint8Array.of(0x9e, 2, 1, 1, 0, 0, 0, 0)]],
      "unsupported-version",
    ),
    broken("suite 2", "M-6", "only suite 1 is defined", suite2, "unsupported-version"),
    broken(
      "suite 2 before the padding",
      "M-3",
      "the padding is wrong as well",
      replaced(replaced(padded(), "suite", uint(1, 2)), "padding", run(1, 4)),
      "unsupported-version",
    ),
    edited("first reserved byte", "M-30", "01 00", "reserved", Uint8Array.of(1, 0)),
    edited("second reserved byte", "M-30", "00 01", "reserved", Uint8Array.of(0, 1)),
    edited("H of zero", "M-31", "no record", "H", uint(4, 0)),
    edited("H of 65537", "M-31", "over the limit", "H", uint(4, 65537)),
    edited("H of 2^32 - 1", "M-31", "over the limit", "H", uint(4, 0xffffffff)),
    edited("H of 2^31", "M-31", "no negative number either", "H", uint(4, 0x80000000)),
    edited("H past the end", "M-31", "65536, which are not there", "H", uint(4, 65536)),
    edited("H a byte short", "M-61", "the record is cut", "H", uint(4, recordBytes - 1)),
    edited("H a byte long", "M-32", "the first byte of the salt is no padding", "H", uint(4, recordBytes + 1)),
    edited("H of one", "M-61", "only the first head", "H", uint(4, 1)),
    broken(
      "H of all the bytes",
      "M-32",
      "the whole body as padding",
      replaced(EXAMPLE_ENVELOPE, "H", uint(4, join(EXAMPLE_ENVELOPE).length - 8)),
    ),
    edited("encrypted key record", "M-57", "9D stands where the item is due", "array of 3", Uint8Array.of(0x9d, 0x83)),
  ];
}

function padded(): readonly Part[] {
  return [...headerParts(EXAMPLE_RECORD, join(EXAMPLE_RECORD).length + 4), ...EXAMPLE_BODY];
}

/** All bytes that `H` speaks of are there, so that only the limit can refuse it. */
function tooLongHeader(): Vector<EnvelopeVector> {
  return broken("H of 65537, with the padding to match", "M-31", "one over the limit", [
    ...headerParts(EXAMPLE_RECORD, 65537),
    ...EXAMPLE_BODY,
  ]);
}

function paddings(): readonly Vector<EnvelopeVector>[] {
  const filled = (name: string, note: string, ...bytes: number[]): Vector<EnvelopeVector> =>
    broken(name, "M-32", note, replaced(padded(), "padding", Uint8Array.from(bytes)));
  const nothing = [...EXAMPLE_HEADER.slice(0, 3), ["H", uint(4, 16)], ["padding", new Uint8Array(16)], ...EXAMPLE_BODY] satisfies Part[];
  return [
    filled("padding: first byte", "of four", 1, 0, 0, 0),
    filled("padding: last byte", "of four", 0, 0, 0, 0x80),
    filled("padding of ones", "of four", 0xff, 0xff, 0xff, 0xff),
    filled("padding of CBOR null", "no second item", 0xf6, 0xf6, 0xf6, 0xf6),
    broken("padding without a record", "M-60", "16 zero bytes", nothing),
  ];
}

function truncated(): readonly Vector<EnvelopeVector>[] {
  return EXAMPLE_ENVELOPE.map(([field], index) => {
    const parts = EXAMPLE_ENVELOPE.slice(0, index);
    if (field === "chunk 0 tag") {
      return broken("cut before chunk 0 tag", "M-51", "its last 16 bytes of ciphertext stand for a tag", parts, "authentication-failed");
    }
    const breaks = index < 4 ? "M-28" : index < EXAMPLE_HEADER.length ? "M-31" : "M-50";
    return broken(`cut before ${field}`, breaks, "nothing after it", parts);
  });
}

function detached(): readonly Vector<EnvelopeVector>[] {
  const header = join(EXAMPLE_HEADER);
  const body = join(EXAMPLE_BODY);
  const apart = (
    name: string,
    breaks: string,
    note: string,
    headerBytes: Uint8Array,
    bodyBytes: Uint8Array,
    error: FormatError = "malformed-envelope",
  ): Vector<EnvelopeVector> => {
    return { name, header: hex(headerBytes), body: hex(bodyBytes), ...reader(), error, breaks, note };
  };
  return [
    apart("detached header with a byte after it", "M-33", "padding belongs inside H", Uint8Array.of(...header, 0), body),
    apart("detached header with its body", "M-33", "an envelope is no header", join(EXAMPLE_ENVELOPE), body),
    apart("detached header cut short", "M-31", "a byte is missing", header.subarray(0, -1), body),
    apart("detached key record in place of a header", "M-28", "9D", join([["first byte", uint(1, 0x9d)], ...EXAMPLE_RECORD]), body),
    apart("detached body without its salt", "M-50", "shorter than any body", header, body.subarray(24)),
    apart("detached body: empty", "M-50", "no byte", header, run(0, 0)),
    apart("detached body cut short", "M-51", "a byte of the tag is missing", header, body.subarray(0, -1), "authentication-failed"),
    apart(
      "detached body with a byte after it",
      "M-51",
      "the tag is elsewhere then",
      header,
      Uint8Array.of(...body, 0),
      "authentication-failed",
    ),
    apart(
      "detached header before body",
      "M-39",
      "the body begins with the header",
      header,
      join(EXAMPLE_ENVELOPE),
      "authentication-failed",
    ),
    apart(
      "header of one, body of the other",
      "M-39",
      "two envelopes of one KEK and one context",
      header,
      join(OTHER_BODY),
      "authentication-failed",
    ),
  ];
}

function swaps(): readonly Vector<EnvelopeVector>[] {
  const failed = (
    name: string,
    breaks: string,
    note: string,
    header: readonly Part[],
    body: readonly Part[],
    unwrapWith = [KEK_ID],
  ): Vector<EnvelopeVector> => {
    return { ...broken(name, breaks, note, [...header, ...body], "authentication-failed"), unwrapWith };
  };
  const planted = localRecipient({ kekId: OLD_KEK_ID, dataKey: OTHER_DATA_KEY, nonce: run(0x51, 24) });
  const salamander = keyRecordParts(KEYS.keyCommit, [localRecipient(), planted]);
  const commitOfPlanted = keyRecordParts(OTHER_KEYS.keyCommit, [localRecipient(), planted]);
  const commitSwapped = bodyParts(KEYS, SALT, OBJECT_CONTEXT, INVOICE).map(([field, bytes]): Part => {
    const other = OTHER_BODY.find(([name]) => name === field)?.[1] ?? bytes;
    return [field, field === "commitment" ? other : bytes];
  });
  return [
    failed("swapped headers: ours on the other's body", "M-39", "two envelopes of one KEK and one context", EXAMPLE_HEADER, OTHER_BODY),
    failed("swapped headers: the other's on our body", "M-39", "and back", OTHER_HEADER, EXAMPLE_BODY),
    failed(
      "recipient that wraps another data key",
      "M-38",
      "keyCommit is that of the first, this reader has the second",
      headerParts(salamander),
      EXAMPLE_BODY,
      [OLD_KEK_ID],
    ),
    failed(
      "recipient that wraps another data key, keyCommit its own",
      "M-39",
      "unwraps and matches, but the body is of the first",
      headerParts(commitOfPlanted),
      EXAMPLE_BODY,
      [OLD_KEK_ID],
    ),
    failed(
      "the first of two recipients, keyCommit of the second",
      "M-38",
      "the reader has the first",
      headerParts(commitOfPlanted),
      OTHER_BODY,
      [KEK_ID],
    ),
    failed("commitment of another body", "M-39", "bytes 24 to 56", EXAMPLE_HEADER, commitSwapped),
  ];
}

function flips(): readonly Vector<EnvelopeVector>[] {
  const flipped = (field: string, at: number, breaks: string): Vector<EnvelopeVector> => {
    const bytes = EXAMPLE_ENVELOPE.find(([name]) => name === field)?.[1] ?? run(0, 0);
    const parts = replaced(EXAMPLE_ENVELOPE, field, flip(bytes, at));
    return broken(`flipped: ${field}, byte ${at}`, breaks, "one bit", parts, "authentication-failed");
  };
  return [
    flipped("keyCommit", 0, "M-38"),
    flipped("keyCommit", 31, "M-38"),
    flipped("wrapped", 0, "M-24"),
    flipped("wrapped", 71, "M-65"),
    flipped("salt", 0, "M-39"),
    flipped("salt", 23, "M-39"),
    flipped("commitment", 0, "M-39"),
    flipped("commitment", 31, "M-39"),
    flipped("chunk 0 ciphertext", 0, "M-51"),
    flipped("chunk 0 ciphertext", 20, "M-51"),
    flipped("chunk 0 tag", 0, "M-65"),
    flipped("chunk 0 tag", 15, "M-65"),
  ];
}

function contexts(): readonly Vector<EnvelopeVector>[] {
  const failed = (
    name: string,
    breaks: string,
    keyContext: readonly Pair[],
    context: readonly Pair[],
    error: FormatError = "authentication-failed",
  ): Vector<EnvelopeVector> => {
    return { ...broken(name, breaks, "the envelope is that of the example", EXAMPLE_ENVELOPE, error), keyContext, context };
  };
  return [
    failed("another value context", "M-39", TENANT, [["object", "invoices/8.pdf"]]),
    failed("no value context", "M-15", TENANT, []),
    failed("another name for the same value", "M-39", TENANT, [["path", "invoices/7.pdf"]]),
    failed("a pair more", "M-39", TENANT, [...OBJECT, ["version", "1"]]),
    failed("key and value the other way round", "M-39", TENANT, [["invoices/7.pdf", "object"]]),
    failed("value context in capitals", "M-8", TENANT, [["object", "INVOICES/7.PDF"]]),
    failed("another key context", "M-38", OTHER_TENANT, OBJECT),
    failed("no key context", "M-38", [], OBJECT),
    failed("key context given as value context", "M-38", [], [...TENANT, ...OBJECT]),
    failed("value context given as key context", "M-38", [...TENANT, ...OBJECT], []),
    failed("one key, two values", "M-14", TENANT, [["tenant", "globex"], ...OBJECT], "invalid-argument"),
    failed("empty key", "M-11", TENANT, [["", "invoices/7.pdf"]], "invalid-argument"),
    failed("lone surrogate", "M-10", TENANT, [["object", "invoices/\ud800"]], "invalid-argument"),
    {
      ...failed("a bad context and no matching recipient", "M-3", TENANT, [["", "x"]], "invalid-argument"),
      unwrapWith: [OLD_KEK_ID],
    },
    {
      ...broken("a bad context and a body cut short", "M-3", "the length of the body comes first", EXAMPLE_HEADER),
      context: [["", "x"]],
    },
  ];
}

function unmatched(): readonly Vector<EnvelopeVector>[] {
  const stranger: WrittenRecipient = { ...localRecipient(), keyId: "https://vault.example/keys/k/1", provider: "azure-key-vault" };
  return [
    {
      ...broken("opened with the old KEK alone", "M-35", "the envelope is of the new one", EXAMPLE_ENVELOPE, "no-matching-provider"),
      unwrapWith: [OLD_KEK_ID],
    },
    broken(
      "recipient of a service",
      "M-35",
      "not configured",
      [...headerParts(keyRecordParts(KEYS.keyCommit, [stranger])), ...EXAMPLE_BODY],
      "no-matching-provider",
    ),
    broken(
      "recipient of a service, keyCommit flipped too",
      "M-3",
      "nothing is unwrapped",
      [...headerParts(keyRecordParts(flip(KEYS.keyCommit, 0), [stranger])), ...EXAMPLE_BODY],
      "no-matching-provider",
    ),
    broken(
      "recipient of a service, body cut short too",
      "M-3",
      "the length of the body comes first",
      headerParts(keyRecordParts(KEYS.keyCommit, [stranger])),
    ),
  ];
}

function broken(
  name: string,
  breaks: string,
  note: string,
  parts: readonly Part[],
  error: FormatError = "malformed-envelope",
): Vector<EnvelopeVector> {
  return { name, envelope: withShortZeros(join(parts)), ...reader(), error, breaks, note };
}

function reader(): { keyContext: readonly Pair[]; context: readonly Pair[]; unwrapWith: readonly string[] } {
  return { keyContext: TENANT, context: OBJECT, unwrapWith: [KEK_ID] };
}
