import { type SharedHeader, THREE_CHUNKS_BYTES, THREE_CHUNKS_FILE } from "./body-vectors.ts";
import { SHARED_KEKS } from "./key-record-vectors.ts";
import { DATA_KEY, EXAMPLE_HEADER, flip, KEK_ID, KEYS, OBJECT, OBJECT_CONTEXT, SALT, TENANT } from "./material.ts";
import { hex, type Vector, type VectorFile } from "./vector-file.ts";
import { type BodySecrets, bodyContext, bodySecrets, CHUNK_BYTES, chunkNonce, join, type Pair, patternedChunk } from "./writer.ts";

/** docs/format.md §6.1: a part of the plaintext of a body */
export interface RangeVector {
  readonly keyContext: readonly Pair[];
  readonly context: readonly Pair[];
  /** The file beside this one of which the first `bodyBytes` are the body. */
  readonly file?: string;
  readonly bodyBytes: number;
  /** In place of a file: all of the body that the range needs, each piece after its offset in the body. */
  readonly pieces?: readonly (readonly [offset: number, bytes: string])[];
  /** The range [from, to) of the plaintext. */
  readonly from: number;
  readonly to: number;
  /** What comes out: byte i of the plaintext is i mod 251. */
  readonly start?: number;
  readonly bytes?: number;
}

export function rangeVectors(): VectorFile<RangeVector, SharedHeader> {
  const header = hex(join(EXAMPLE_HEADER));
  return {
    about:
      "docs/format.md §6.1: ranges of bodies, some of them of bodies far too long to be stored. Byte i of every plaintext is i mod 251.",
    shared: { ...SHARED_KEKS, unwrapWith: [KEK_ID], dataKey: hex(DATA_KEY), header },
    vectors: [...ofThreeChunks(), ...ofLongBodies(), ...broken()],
  };
}

const SECRETS: BodySecrets = bodySecrets(KEYS.body, SALT, bodyContext(KEYS.keyCommit, OBJECT_CONTEXT));
const PREFIX: string = hex(Uint8Array.of(...SALT, ...SECRETS.commitment));
const BODY_BYTES: number = 56 + THREE_CHUNKS_BYTES + 3 * 16;
const SEALED: number = CHUNK_BYTES + 16;

function ofThreeChunks(): readonly Vector<RangeVector>[] {
  const range = (name: string, from: number, to: number, bodyBytes = BODY_BYTES): Vector<RangeVector> => {
    const end = Math.min(to, THREE_CHUNKS_BYTES);
    return { name, ...reader(), file: THREE_CHUNKS_FILE, bodyBytes, from, to, start: Math.min(from, end), bytes: Math.max(0, end - from) };
  };
  return [
    range("the first byte", 0, 1),
    range("the last byte of chunk 0", CHUNK_BYTES - 1, CHUNK_BYTES),
    range("the first byte of chunk 1", CHUNK_BYTES, CHUNK_BYTES + 1),
    range("two bytes across chunks 0 and 1", CHUNK_BYTES - 1, CHUNK_BYTES + 1),
    range("all of chunk 1", CHUNK_BYTES, 2 * CHUNK_BYTES),
    range("from chunk 0 to chunk 2", 100, 2 * CHUNK_BYTES + 50),
    range("the last byte", THREE_CHUNKS_BYTES - 1, THREE_CHUNKS_BYTES),
    range("all of it", 0, THREE_CHUNKS_BYTES),
    range("past the end: cut there", 2 * CHUNK_BYTES + 90, 2 * CHUNK_BYTES + 200),
    range("after the end: nothing", THREE_CHUNKS_BYTES, THREE_CHUNKS_BYTES + 1),
    range("long after the end: nothing", 5 * CHUNK_BYTES, 6 * CHUNK_BYTES),
    range("within chunk 0 of a body that is cut short", 5, 10, 56 + SEALED + 30),
  ];
}

/** The last chunk of a body of `chunk + 1` chunks, of which nothing else is needed. */
function ofLongBodies(): readonly Vector<RangeVector>[] {
  return LONG.map((chunk) => {
    const sealed = hex(patternedChunk(SECRETS, chunk, 5));
    return {
      name: `chunk ${chunk}`,
      ...reader(),
      bodyBytes: 56 + chunk * SEALED + 21,
      pieces: [
        [0, PREFIX],
        [56 + chunk * SEALED, sealed],
      ],
      from: chunk * CHUNK_BYTES + 1,
      to: chunk * CHUNK_BYTES + 5,
      start: chunk * CHUNK_BYTES + 1,
      bytes: 4,
    };
  });
}

const LONG: readonly number[] = [1, 4, 5, 255, 256, 257, 65535, 65536, 2 ** 24, 2 ** 31, 2 ** 32 - 1];

function broken(): readonly Vector<RangeVector>[] {
  const refused = (
    name: string,
    breaks: string,
    note: string,
    more: Pick<RangeVector, "bodyBytes" | "from" | "to"> & Partial<RangeVector>,
    error: Vector<RangeVector>["error"] = "authentication-failed",
  ): Vector<RangeVector> => ({ name, ...reader(), ...more, ...(error !== undefined && { error }), breaks, note });
  const ofFile = { file: THREE_CHUNKS_FILE, bodyBytes: BODY_BYTES };
  const chunk = 4;
  const offset = 56 + chunk * SEALED;
  const ofPieces = (sealed: Uint8Array, prefix = PREFIX): Pick<RangeVector, "bodyBytes" | "from" | "to" | "pieces"> => ({
    bodyBytes: offset + 21,
    pieces: [
      [0, prefix],
      [offset, hex(sealed)],
    ],
    from: chunk * CHUNK_BYTES,
    to: chunk * CHUNK_BYTES + 5,
  });
  const added = SECRETS.base.map((byte, at) => (at === 11 ? byte + chunk : byte));
  const lastOf = (secrets: BodySecrets, number: number): Uint8Array => patternedChunk(secrets, number, 5);
  return [
    refused("nonce of chunk 4 by addition", "M-51", "base plus 4 in place of base xor 4", ofPieces(sealedWith(added))),
    refused("chunk 4 under the nonce of chunk 0", "M-51", "the number does not count", ofPieces(sealedWith(SECRETS.base))),
    refused("chunk 4 under the nonce of chunk 5", "M-51", "counted from 1", ofPieces(sealedWith(chunkNonce(SECRETS.base, 5)))),
    refused("tag of chunk 4 flipped", "M-53", "last byte", ofPieces(flip(lastOf(SECRETS, chunk), 20))),
    refused("commitment flipped", "M-39", "before a chunk is opened", ofPieces(lastOf(SECRETS, chunk), hex(flip(unhexed(PREFIX), 55)))),
    refused("the end of a body that is cut short", "M-55", "its last chunk is another then", {
      file: THREE_CHUNKS_FILE,
      bodyBytes: 56 + SEALED + 30,
      from: CHUNK_BYTES - 1,
      to: CHUNK_BYTES + 5,
    }),
    refused("after the end of a body that is cut short", "M-69", "nothing is not an answer before the end is verified", {
      file: THREE_CHUNKS_FILE,
      bodyBytes: 56 + SEALED + 30,
      from: 2 * CHUNK_BYTES,
      to: 2 * CHUNK_BYTES + 5,
    }),
    refused(
      "a body that ends in a full chunk",
      "M-50",
      "no body has this length",
      { file: THREE_CHUNKS_FILE, bodyBytes: 56 + SEALED, from: 0, to: 1 },
      "malformed-envelope",
    ),
    refused(
      "a body without a chunk",
      "M-50",
      "salt and commitment alone",
      { file: THREE_CHUNKS_FILE, bodyBytes: 56, from: 0, to: 1 },
      "malformed-envelope",
    ),
    refused("an end before the start", "M-69", "no range", { ...ofFile, from: 2, to: 1 }, "invalid-argument"),
    refused("another value context", "M-39", "the object is another", {
      ...ofFile,
      from: 0,
      to: 1,
      context: [["object", "invoices/8.pdf"]],
    }),
  ];
}

function sealedWith(nonce: Uint8Array): Uint8Array {
  return patternedChunk({ ...SECRETS, base: chunkNonce(nonce, 4) }, 4, 5); // 4 twice: the nonce as it is given
}

function unhexed(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text, "hex"));
}

function reader(): Pick<RangeVector, "keyContext" | "context"> {
  return { keyContext: TENANT, context: OBJECT };
}
