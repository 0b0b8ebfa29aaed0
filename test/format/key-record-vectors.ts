import { brokenCborRecords } from "./cbor-vectors.ts";
import {
  DATA_KEY,
  EXAMPLE_RECORD,
  flip,
  KEK_ID,
  KEKS,
  KEYS,
  localRecipient,
  OLD_KEK_ID,
  OLD_RECIPIENT,
  OTHER_DATA_KEY,
  OTHER_KEYS,
  OTHER_TENANT,
  run,
  TENANT,
} from "./material.ts";
import { orderVectors, UNICODE_KEKS } from "./order-vectors.ts";
import { type Broken, type FormatError, hex, type Vector, type VectorBytes, type VectorFile, withShortZeros } from "./vector-file.ts";
import { derive, encodeContext, join, keyRecordParts, type Pair, type Part, standaloneParts, type WrittenRecipient } from "./writer.ts";

/** docs/format.md §3, §7 */
export interface KeyRecordVector {
  readonly record: VectorBytes;
  readonly keyContext: readonly Pair[];
  /** The KEKs that are configured, by their names in `shared`; a list names the versions of one KEK. */
  readonly unwrapWith: readonly (string | readonly string[])[];
  readonly dataKey?: string;
  readonly keyCommit?: string;
  readonly recipients?: number;
}

export interface SharedKeks {
  /** Keys of provider `local`: key id to 32 bytes. */
  readonly keks: Readonly<Record<string, string>>;
}

export const SHARED_KEKS: SharedKeks = { keks: hexed(KEKS) };

function hexed(keks: Readonly<Record<string, Uint8Array>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(keks).map(([name, kek]) => [name, hex(kek)]));
}

export function keyRecordVectors(): VectorFile<KeyRecordVector, SharedKeks> {
  return {
    about: "docs/format.md §3 and §7: key records that stand alone.",
    shared: { keks: { ...SHARED_KEKS.keks, ...hexed(UNICODE_KEKS) } },
    vectors: [
      ...good(),
      ...brokenCborRecords().map((broken) => asRecord(broken)),
      tooLong(),
      ...truncated(),
      ...unauthentic(),
      ...unmatched(),
      ...orderVectors(),
      laterSuite(),
    ],
  };
}

function good(): readonly Vector<KeyRecordVector>[] {
  const foreign = (keyId: string, more: Partial<WrittenRecipient> = {}): WrittenRecipient => {
    return { provider: "azure-key-vault", keyId, alg: 3, wrapped: new Uint8Array(256).fill(0x5a), ...more };
  };
  const mine = localRecipient();
  const bad = localRecipient({ dataKey: OTHER_DATA_KEY });
  const sixteen = Array.from({ length: 15 }, (_, at) => foreign(`https://vault.example/keys/k/${at}`, { wrapped: run(at, 40), alg: 6 }));
  return [
    opens("example", [mine]),
    opens("no key context", [localRecipient({ keyContext: [] })], []),
    opens("two recipients, the first is known", [mine, OLD_RECIPIENT], TENANT, [KEK_ID]),
    opens("two recipients, the second is known", [mine, OLD_RECIPIENT], TENANT, [OLD_KEK_ID]),
    opens("two recipients, both are known", [mine, OLD_RECIPIENT], TENANT, [OLD_KEK_ID, KEK_ID]),
    opens("16 recipients", [...sixteen, mine]),
    opens("beside an unknown algorithm", [foreign("k", { alg: 11 }), foreign("k", { alg: 4294967295 }), mine]),
    opens("beside the shortest of everything", [{ provider: "-", keyId: "k", alg: 0, wrapped: run(0, 1) }, mine]),
    opens("beside the longest provider and key id", [foreign("\u00e9".repeat(256), { provider: `${"a0-".repeat(10)}zz` }), mine]),
    opens("beside a key id of hostile text", [foreign("../../etc/passwd\u0000"), foreign("__proto__"), foreign("\ufeffk"), mine]),
    opens(
      "the first recipient is refused, the second opens",
      [localRecipient({ kekId: OLD_KEK_ID, keyContext: OTHER_TENANT }), mine],
      TENANT,
      [OLD_KEK_ID, KEK_ID],
    ),
    opens("three recipients are refused, the fourth opens", [bad, bad, bad, mine]),
    opens("beside the longest wrapped key", [foreign("k", { wrapped: new Uint8Array(4096) }), mine]),
    opens("65536 bytes", fillingRecipients(65536)),
  ];
}

function opens(
  name: string,
  recipients: readonly WrittenRecipient[],
  keyContext: readonly Pair[] = TENANT,
  unwrapWith = [KEK_ID],
): Vector<KeyRecordVector> {
  const { keyCommit } = derive(DATA_KEY, encodeContext(keyContext));
  const record = withShortZeros(join(standaloneParts(keyRecordParts(keyCommit, recipients))));
  return { name, record, keyContext, unwrapWith, dataKey: hex(DATA_KEY), keyCommit: hex(keyCommit), recipients: recipients.length };
}

/** A valid recipient and fifteen others that fill the record up to `bytes`, the leading 9D not counted. */
function fillingRecipients(bytes: number): readonly WrittenRecipient[] {
  const filler = (wrapped: number): WrittenRecipient => {
    return { provider: "x", keyId: "k".repeat(300), alg: 10, wrapped: new Uint8Array(wrapped) };
  };
  const all = [localRecipient(), ...Array.from({ length: 14 }, () => filler(4084)), filler(3000)];
  const missing = bytes - join(keyRecordParts(KEYS.keyCommit, all)).length;
  return [...all.slice(0, -1), filler(3000 + missing)];
}

function tooLong(): Vector<KeyRecordVector> {
  const parts = keyRecordParts(KEYS.keyCommit, fillingRecipients(65537));
  return asRecord({
    name: "65537 bytes",
    bytes: withShortZeros(join(standaloneParts(parts))),
    error: "malformed-envelope",
    breaks: "M-62",
    note: "every field keeps its limit, the whole does not",
  });
}

/** What a later suite allows is not known: the limit of this page is not its own. */
function laterSuite(): Vector<KeyRecordVector> {
  return asRecord({
    name: "suite 2 in a long record",
    bytes: ["9d8302", { repeat: "00", times: 70_000 }],
    error: "unsupported-version",
    breaks: "M-62",
    note: "the suite comes before the length",
  });
}

function truncated(): readonly Vector<KeyRecordVector>[] {
  const parts = standaloneParts(EXAMPLE_RECORD);
  return parts.map(([field], index) => {
    const note = index === 0 ? "no byte at all" : `cut before ${field}`;
    const breaks = index === 0 ? "M-26" : "M-61";
    return asRecord({ name: `cut before ${field}`, bytes: hex(join(parts.slice(0, index))), error: "malformed-envelope", breaks, note });
  });
}

function unauthentic(): readonly Vector<KeyRecordVector>[] {
  const refused = (
    name: string,
    breaks: string,
    note: string,
    parts: readonly Part[],
    keyContext: readonly Pair[] = TENANT,
    unwrapWith = [KEK_ID],
  ) => asRecord({ name, bytes: hex(join(standaloneParts(parts))), error: "authentication-failed", breaks, note }, keyContext, unwrapWith);
  const withRecipient = (recipient: WrittenRecipient, keyCommit: Uint8Array = KEYS.keyCommit): readonly Part[] =>
    keyRecordParts(keyCommit, [recipient]);
  const mine = localRecipient();
  const flipped = (at: number): WrittenRecipient => ({ ...mine, wrapped: flip(mine.wrapped, at) });
  const bad = localRecipient({ dataKey: OTHER_DATA_KEY });
  const suite2 = derive(DATA_KEY, encodeContext(TENANT), 2);
  return [
    refused("keyCommit: first bit flipped", "M-38", "the data key does not match", withRecipient(mine, flip(KEYS.keyCommit, 0))),
    refused("keyCommit: last byte flipped", "M-38", "the half beyond the kid counts too", withRecipient(mine, flip(KEYS.keyCommit, 31))),
    refused("keyCommit of zeros", "M-38", "not computed at all", withRecipient(mine, new Uint8Array(32))),
    refused("keyCommit of another data key", "M-38", "of the data key that is not wrapped here", withRecipient(mine, OTHER_KEYS.keyCommit)),
    refused("recipient of another data key", "M-38", "opens, but breaks the commitment", withRecipient(bad)),
    refused("keyCommit under another suite", "M-38", "derived with suite byte 2", withRecipient(mine, suite2.keyCommit)),
    refused(
      "keyCommit without key context",
      "M-38",
      "as if the record had no tenant",
      withRecipient(mine, derive(DATA_KEY, encodeContext([])).keyCommit),
    ),
    refused("nonce flipped", "M-24", "first byte of wrapped", withRecipient(flipped(0))),
    refused("second half of the nonce flipped", "M-24", "byte 23 of wrapped", withRecipient(flipped(23))),
    refused("ciphertext flipped", "M-24", "byte 24 of wrapped", withRecipient(flipped(24))),
    refused("tag flipped", "M-65", "last byte of wrapped", withRecipient(flipped(71))),
    refused("tag cut to 12 bytes", "M-23", "wrapped has 68 bytes", withRecipient({ ...mine, wrapped: mine.wrapped.subarray(0, 68) })),
    refused("wrapped a byte short", "M-23", "71 bytes", withRecipient({ ...mine, wrapped: mine.wrapped.subarray(0, 71) })),
    refused("wrapped a byte long", "M-23", "73 bytes", withRecipient({ ...mine, wrapped: Uint8Array.of(...mine.wrapped, 0) })),
    refused("wrapped of one byte", "M-23", "shorter than its nonce", withRecipient({ ...mine, wrapped: run(0, 1) })),
    ...[0, 2, 3, 6, 10, 11, 4294967295].map((alg) =>
      refused(
        `algorithm ${alg} for a key of algorithm 1`,
        "M-23",
        "the local key knows algorithm 1 alone",
        withRecipient({ ...mine, alg }),
      ),
    ),
    refused(
      "wrapped under the key id of another version",
      "M-21",
      "the bytes are those of the other key",
      withRecipient({ ...OLD_RECIPIENT, keyId: KEK_ID }),
      TENANT,
      [KEK_ID, OLD_KEK_ID],
    ),
    refused(
      "wrap AAD of another key id",
      "M-24",
      "right key, but it names another",
      withRecipient(localRecipient({ aadKeyId: OLD_KEK_ID })),
    ),
    refused(
      "wrap AAD of another provider",
      "M-24",
      "right key, but it names another",
      withRecipient(localRecipient({ aadProvider: "other" })),
    ),
    refused("wrap AAD of another suite", "M-24", "suite byte 2", withRecipient(localRecipient({ suite: 2 }))),
    refused("wrap AAD of another key context", "M-24", "another tenant", withRecipient(localRecipient({ keyContext: OTHER_TENANT }))),
    refused("read with another key context", "M-24", "the record is of acme, the reader of globex", EXAMPLE_RECORD, OTHER_TENANT),
    refused("read without key context", "M-24", "the record is of acme, the reader gives none", EXAMPLE_RECORD, []),
    refused("read with a pair more", "M-24", "the reader adds a purpose", EXAMPLE_RECORD, [...TENANT, ["purpose", "documents"]]),
    refused(
      "four recipients are refused, the fifth would open",
      "M-37",
      "at most four unwraps",
      keyRecordParts(KEYS.keyCommit, [bad, bad, bad, bad, mine]),
    ),
    refused("every recipient is refused", "M-38", "of two KEKs", keyRecordParts(OTHER_KEYS.keyCommit, [mine, OLD_RECIPIENT]), TENANT, [
      KEK_ID,
      OLD_KEK_ID,
    ]),
  ];
}

function unmatched(): readonly Vector<KeyRecordVector>[] {
  const { wrapped } = localRecipient();
  const foreign = (name: string, note: string, provider: string, keyId: string): Vector<KeyRecordVector> => {
    const parts = keyRecordParts(KEYS.keyCommit, [{ provider, keyId, alg: 1, wrapped }]);
    const error: FormatError = "no-matching-provider";
    return asRecord({ name, bytes: hex(join(standaloneParts(parts))), error, breaks: "M-35", note });
  };
  return [
    foreign("another provider", "same key id", "other", KEK_ID),
    foreign("provider with a suffix", "local-2 is not local", "local-2", KEK_ID),
    foreign("provider cut short", "loca is not local", "loca", KEK_ID),
    foreign("another key id", "not configured", "local", OLD_KEK_ID),
    foreign("key id cut short", "a prefix is no match", "local", KEK_ID.slice(0, -1)),
    foreign("key id with a suffix", "nor is what it begins", "local", `${KEK_ID}1`),
    foreign("key id with a NUL", "compared whole", "local", `${KEK_ID}\u0000`),
    foreign("key id in capitals", "case counts", "local", KEK_ID.toUpperCase()),
    foreign("key id with white space", "nothing is trimmed", "local", ` ${KEK_ID}`),
    foreign("key id with a byte-order mark", "no decoder may swallow it", "local", `\ufeff${KEK_ID}`),
    foreign("key id that names a path", "never opened", "local", `../${KEK_ID}`),
    foreign("key id that names a host", "never called", "local", `https://vault.example/keys/${KEK_ID}`),
    foreign("key id that names a property", "never looked up", "local", "__proto__"),
    asRecord(
      {
        name: "no KEK of the record is configured",
        bytes: hex(join(standaloneParts(EXAMPLE_RECORD))),
        error: "no-matching-provider",
        breaks: "M-35",
        note: "the record is of the new KEK, the reader has the old one",
      },
      TENANT,
      [OLD_KEK_ID],
    ),
  ];
}

export interface BrokenBytes extends Broken {
  readonly name: string;
  readonly bytes: VectorBytes;
}

function asRecord(
  { bytes, ...rest }: BrokenBytes,
  keyContext: readonly Pair[] = TENANT,
  unwrapWith: readonly string[] = [KEK_ID],
): Vector<KeyRecordVector> {
  return { ...rest, record: bytes, keyContext, unwrapWith };
}
