import { gcm } from "@noble/ciphers/aes.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { SHARED_KEKS, type SharedKeks } from "./key-record-vectors.ts";
import {
  DATA_KEY,
  EXAMPLE_HEADER,
  flip,
  KEK_ID,
  KEYS,
  OBJECT,
  OBJECT_CONTEXT,
  OTHER_TENANT,
  patterned,
  run,
  SALT,
  TENANT,
} from "./material.ts";
import { type BytesPiece, type FormatError, hex, type Vector, type VectorBytes, type VectorFile } from "./vector-file.ts";
import {
  bodyContext,
  bodyParts,
  bodySecrets,
  CHUNK_BYTES,
  chunkNonce,
  derive,
  encodeContext,
  join,
  type Pair,
  type Part,
  uint,
} from "./writer.ts";

/** docs/format.md §6 */
export interface BodyVector {
  readonly keyContext: readonly Pair[];
  /** What the value adds. */
  readonly context: readonly Pair[];
  readonly salt?: string;
  /** Byte i of the plaintext is i mod 251. */
  readonly plaintextBytes?: number;
  readonly chunkKey?: string;
  readonly nonceBase?: string;
  readonly commitment?: string;
  readonly bodyBytes?: number;
  readonly sha256?: string;
  /** Left out of long bodies, which a writer makes from what stands above. */
  readonly body?: VectorBytes;
  /** The file beside this one that holds the body. */
  readonly file?: string;
}

export interface SharedHeader extends SharedKeks {
  readonly unwrapWith: readonly string[];
  readonly dataKey: string;
  /** The detached header of every body of the file. */
  readonly header: string;
}

export function bodyVectors(): VectorFile<BodyVector, SharedHeader> {
  const header = hex(join(EXAMPLE_HEADER));
  return {
    about: "docs/format.md §6: bodies under the data key of one detached header. Byte i of every plaintext is i mod 251.",
    shared: { ...SHARED_KEKS, unwrapWith: [KEK_ID], dataKey: hex(DATA_KEY), header },
    vectors: [...GOOD_BYTES.map(good), ...truncated(), ...chunks(), ...flips(), ...sealedOtherwise(), ...contexts()],
  };
}

export const THREE_CHUNKS_FILE = "body-3-chunks.bin";
export const THREE_CHUNKS_BYTES: number = 2 * CHUNK_BYTES + 100;
const THREE_CHUNKS = "3 chunks";
const TWO_CHUNKS = "16385 bytes";

export function bodyOf(plaintextBytes: number, salt: Uint8Array = SALT): readonly Part[] {
  return bodyParts(KEYS, salt, OBJECT_CONTEXT, patterned(plaintextBytes));
}

const GOOD_BYTES: readonly number[] = [
  0,
  1,
  15,
  16,
  17,
  CHUNK_BYTES - 1,
  CHUNK_BYTES,
  CHUNK_BYTES + 1,
  2 * CHUNK_BYTES,
  THREE_CHUNKS_BYTES,
  // the first chunk number whose nonce a sum gives wrong, and the first of two bytes
  4 * CHUNK_BYTES + 7,
  256 * CHUNK_BYTES + 5,
];

function good(plaintextBytes: number): Vector<BodyVector> {
  const body = join(bodyOf(plaintextBytes));
  const secrets = bodySecrets(KEYS.body, SALT, bodyContext(KEYS.keyCommit, OBJECT_CONTEXT));
  const isThree = plaintextBytes === THREE_CHUNKS_BYTES;
  return {
    name: isThree ? THREE_CHUNKS : `${plaintextBytes} bytes`,
    ...reader(),
    salt: hex(SALT),
    plaintextBytes,
    chunkKey: hex(secrets.key),
    nonceBase: hex(secrets.base),
    commitment: hex(secrets.commitment),
    bodyBytes: body.length,
    sha256: hex(sha256(body)),
    ...(body.length < 200 ? { body: hex(body) } : {}),
    ...(isThree ? { file: THREE_CHUNKS_FILE } : {}),
  };
}

const chunkAt = (chunk: number): number => 56 + 16400 * chunk;

function truncated(): readonly Vector<BodyVector>[] {
  const total = chunkAt(2) + 100 + 16;
  const cut = (to: number, error: FormatError): Vector<BodyVector> => {
    const note = error === "malformed-envelope" ? "no body has this length" : "the last chunk is another then";
    return broken(`3 chunks, cut to ${to} bytes`, error === "malformed-envelope" ? "M-50" : "M-51", note, [of(THREE_CHUNKS, 0, to)], error);
  };
  return [
    ...[0, 1, 23, 24, 55, 56, 57, 71].map((to) => cut(to, "malformed-envelope")),
    ...[72, 73, chunkAt(1) - 16, chunkAt(1) - 1].map((to) => cut(to, "authentication-failed")),
    { ...cut(chunkAt(1), "malformed-envelope"), breaks: "M-52", note: "ends in a full chunk" },
    ...[chunkAt(1) + 1, chunkAt(1) + 15].map((to) => cut(to, "malformed-envelope")),
    ...[chunkAt(1) + 16, chunkAt(2) - 1].map((to) => cut(to, "authentication-failed")),
    { ...cut(chunkAt(2), "malformed-envelope"), breaks: "M-52", note: "ends in a full chunk" },
    ...[chunkAt(2) + 1, chunkAt(2) + 15].map((to) => cut(to, "malformed-envelope")),
    ...[chunkAt(2) + 16, total - 16, total - 1].map((to) => cut(to, "authentication-failed")),
    broken("one full chunk and no empty one after it", "M-52", "16384 bytes of plaintext take two chunks", [
      of("16384 bytes", 0, chunkAt(1)),
    ]),
  ];
}

function chunks(): readonly Vector<BodyVector>[] {
  const prefix = of(THREE_CHUNKS, 0, 56);
  const [c0, c1, c2] = [
    of(THREE_CHUNKS, chunkAt(0), chunkAt(1)),
    of(THREE_CHUNKS, chunkAt(1), chunkAt(2)),
    of(THREE_CHUNKS, chunkAt(2), chunkAt(2) + 116),
  ];
  const emptyLast = of("32768 bytes", chunkAt(2), chunkAt(2) + 16);
  const failed = (name: string, note: string, ...pieces: BytesPiece[]): Vector<BodyVector> =>
    broken(name, "M-51", note, [prefix, ...pieces], "authentication-failed");
  return [
    failed("chunks 0 and 1 swapped", "both full", c1, c0, c2),
    failed("chunk 0 twice", "in place of chunk 1", c0, c0, c2),
    failed("chunk 1 twice", "in place of chunk 0", c1, c1, c2),
    failed("chunk 0 repeated", "four chunks", c0, c0, c1, c2),
    failed("chunk 1 repeated", "four chunks", c0, c1, c1, c2),
    failed("chunk 0 left out", "two chunks", c1, c2),
    failed("chunk 1 left out", "two chunks", c0, c2),
    failed("the last chunk alone", "one chunk", c2),
    failed("the last chunk first", "its bytes lie across the chunks", c2, c0, c1),
    failed("the last chunk twice", "read as one longer chunk", c0, c1, c2, c2),
    failed("a full chunk after the last", "four chunks, the third of them mixed", c0, c1, c2, c0),
    failed("16 bytes after the last chunk", "as if it were longer", c0, c1, c2, hex(new Uint8Array(16))),
    failed("a byte after the last chunk", "as if it were longer", c0, c1, c2, "00"),
    failed("an empty last chunk that nobody sealed", "16 bytes of a tag at most", c0, c1, hex(flip(new Uint8Array(16), 0))),
    broken(
      "empty last chunk of a shorter body",
      "M-51",
      "chunk 0 is full, its end is that of 32768 bytes",
      [prefix, c0, emptyLast],
      "authentication-failed",
    ),
    broken(
      "salt of another body",
      "M-39",
      "and the commitment of this one",
      [hex(join(bodyOf(0, run(0x61, 24))).subarray(0, 24)), of(THREE_CHUNKS, 24, chunkAt(2) + 116)],
      "authentication-failed",
    ),
    broken(
      "salt and commitment of another body",
      "M-51",
      "they fit each other, the chunks do not fit them",
      [hex(join(bodyOf(0, run(0x61, 24))).subarray(0, 56)), of(THREE_CHUNKS, 56, chunkAt(2) + 116)],
      "authentication-failed",
    ),
  ];
}

function flips(): readonly Vector<BodyVector>[] {
  const body = join(bodyOf(THREE_CHUNKS_BYTES));
  const flipped = (place: string, at: number, breaks: string): Vector<BodyVector> => {
    const byte = hex(flip(body.subarray(at, at + 1), 0));
    return broken(
      `flipped: ${place}`,
      breaks,
      `byte ${at}`,
      [of(THREE_CHUNKS, 0, at), byte, of(THREE_CHUNKS, at + 1, body.length)],
      "authentication-failed",
    );
  };
  return [
    flipped("first byte of the salt", 0, "M-39"),
    flipped("last byte of the salt", 23, "M-39"),
    flipped("first byte of the commitment", 24, "M-39"),
    flipped("last byte of the commitment", 55, "M-39"),
    flipped("first byte of chunk 0", 56, "M-54"),
    flipped("tag of chunk 0", chunkAt(1) - 1, "M-65"),
    flipped("first byte of chunk 1", chunkAt(1), "M-54"),
    flipped("tag of chunk 1", chunkAt(2) - 16, "M-65"),
    flipped("first byte of chunk 2", chunkAt(2), "M-54"),
    flipped("tag of chunk 2", body.length - 1, "M-54"),
  ];
}

function sealedOtherwise(): readonly Vector<BodyVector>[] {
  const valueContext = OBJECT_CONTEXT;
  const context = bodyContext(KEYS.keyCommit, valueContext);
  const secrets = bodySecrets(KEYS.body, SALT, context);
  const plaintext = patterned(16);
  const sealed = (
    name: string,
    breaks: string,
    note: string,
    chunk: Uint8Array,
    commitment: Uint8Array = secrets.commitment,
  ): Vector<BodyVector> => broken(name, breaks, note, hex(Uint8Array.of(...SALT, ...commitment, ...chunk)), "authentication-failed");
  const committed = (name: string, note: string, bodyKey: Uint8Array, other: Uint8Array, aead?: string): Vector<BodyVector> => {
    const { key, base, commitment } = bodySecrets(bodyKey, SALT, other, aead);
    return sealed(name, "M-39", note, gcm(key, base).encrypt(plaintext), commitment);
  };
  const little = gcm(
    secrets.key,
    secrets.base.map((byte, at) => (at === 0 ? byte ^ 1 : byte)),
  ).encrypt(Uint8Array.of(CHUNK_BYTES % 251));
  return [
    sealed("numbered from 1", "M-51", "chunk 0 sealed as chunk 1", gcm(secrets.key, chunkNonce(secrets.base, 1)).encrypt(plaintext)),
    broken(
      "little-endian counter",
      "M-51",
      "chunk 1 sealed with base xor 01 00 .. 00",
      [of(TWO_CHUNKS, 0, chunkAt(1)), hex(little)],
      "authentication-failed",
    ),
    sealed("with AAD", "M-51", "the AAD of a chunk is empty", gcm(secrets.key, secrets.base, uint(1, 0)).encrypt(plaintext)),
    sealed("under K_body itself", "M-5", "and not under what the salt derives", gcm(KEYS.body, secrets.base).encrypt(plaintext)),
    committed("under the data key itself", "input key DK in place of K_body", DATA_KEY, context),
    committed("of another suite", "suite byte 2 in the context", KEYS.body, bodyContext(KEYS.keyCommit, valueContext, 2)),
    committed("without keyCommit", "label and value context alone", KEYS.body, Uint8Array.of(...context.subarray(0, 18), ...valueContext)),
    committed("without context", "Cobblestone-256 with an empty context", KEYS.body, run(0, 0)),
    committed("for AES-128", "another AEAD name", KEYS.body, context, "AEAD_AES_128_GCM"),
    committed(
      "of another key context",
      "keyCommit of the other tenant",
      KEYS.body,
      bodyContext(derive(DATA_KEY, encodeContext(OTHER_TENANT)).keyCommit, valueContext),
    ),
  ];
}

function contexts(): readonly Vector<BodyVector>[] {
  const body = hex(join(bodyOf(16)));
  const failed = (
    name: string,
    breaks: string,
    context: readonly Pair[],
    error: FormatError = "authentication-failed",
  ): Vector<BodyVector> => {
    return { ...broken(name, breaks, "the body is that of 16 bytes", body, error), context };
  };
  return [
    failed("another value context", "M-39", [["object", "invoices/8.pdf"]]),
    failed("no value context", "M-39", []),
    failed("value context of two pairs", "M-39", [...OBJECT, ["version", "2"]]),
    failed("empty key", "M-11", [["", ""]], "invalid-argument"),
  ];
}

function broken(
  name: string,
  breaks: string,
  note: string,
  body: VectorBytes,
  error: FormatError = "malformed-envelope",
): Vector<BodyVector> {
  return { name, ...reader(), body, error, breaks, note };
}

function of(name: string, from: number, to: number): BytesPiece {
  return { of: name, from, to };
}

function reader(): Pick<BodyVector, "keyContext" | "context"> {
  return { keyContext: TENANT, context: OBJECT };
}
