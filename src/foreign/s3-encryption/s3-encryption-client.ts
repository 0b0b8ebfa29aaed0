import { engine } from "#engine";
import { ascii, concatBytes, isBytes, type OwnedBytes, viewOf, wipe } from "../../core/base/bytes.ts";
import { CALL_OPTIONS, type CallOptions, callSignal } from "../../core/base/call-options.ts";
import { authenticationFailed, EnvelockError, invalidArgument, malformed } from "../../core/base/errors.ts";
import { type OptionNames, refuseUnknown } from "../../core/base/options.ts";
import { hkdfExpand, hkdfExtract } from "../../core/crypto/hkdf.ts";
import { checkedBytes, requireRange } from "../../core/resilience/checks.ts";
import { CheckedSource } from "../../core/stream/seekable-source.ts";
import { otherLength } from "../expected-length.ts";
import { closedBlob, type ForeignBlob, type ForeignReader, type StoredSource } from "../foreign-blob.ts";
import type { StoredMetadata } from "../metadata.ts";
import { type PieceSource, piecesOf, streamOf } from "../pieces.ts";
import { MasterKeys, openedGcm, type S3MasterKey } from "./master-keys.ts";
import { isS3Encrypted, type S3Description, s3DescriptionOf } from "./object-metadata.ts";

export interface S3EncryptionClientOptions {
  /** The keys that data keys were wrapped with. */
  readonly keys: readonly [S3MasterKey, ...S3MasterKey[]];
  /**
   * The longest body to read. An object is one GCM message: it is held in memory as a whole, twice, and handed out once its tag is
   * verified. Defaults to 64 MiB; at most 1 GiB.
   */
  readonly maxBytes?: number;
}

/** An object as it is stored. */
export interface S3StoredObject<Body> {
  /** The user metadata, with names as the SDK gives them: without `x-amz-meta-`. */
  readonly metadata: StoredMetadata | undefined;
  readonly body: Body;
  /** The text of the object `NAME.instruction`, where the client kept the key there. */
  readonly instructionFile?: string | undefined;
}

export interface S3DecryptOptions extends CallOptions {
  /** The plaintext's length, where it is known from elsewhere. */
  readonly expectedBytes?: number;
}

/** Reads objects that the Amazon S3 Encryption Client wrote. */
export interface S3EncryptionClient extends ForeignReader {
  /**
   * Decrypts an object. Nothing is returned before the tag of the whole object is verified; under format 3 also the commitment to its key.
   *
   * @throws `malformed-envelope`, with `detail` `too-large` above `maxBytes`; `unsupported-version`, `no-matching-provider`,
   *   `authentication-failed`, and what KMS says
   */
  decrypt(object: S3StoredObject<Uint8Array | PieceSource>, options?: S3DecryptOptions): Promise<OwnedBytes>;

  /** Whether metadata or an instruction file says that the client encrypted the object. Calls no key service. */
  recognises(object: Pick<StoredSource, "metadata" | "instructionFile">): boolean;

  /**
   * Opens an object as a whole: reads it, verifies it, and keeps the plaintext in memory until it is closed.
   *
   * @throws as `decrypt`, and as the source
   */
  open(object: StoredSource, options?: S3DecryptOptions): Promise<ForeignBlob>;

  /** Wipes the keys. Every later call throws `closed`. */
  close(): void;
}

/**
 * Makes a reader of the Amazon S3 Encryption Client's formats 2 and 3 with AES-GCM, under AES, RSA and KMS keys. It writes nothing: store
 * new objects as envelopes.
 *
 * @throws `invalid-argument`
 * @see docs/foreign.md
 * @example
 * ```ts
 * import { s3EncryptionClient } from "envelock/s3-encryption-client";
 *
 * export async function read(aesKey: Uint8Array, metadata: Record<string, string>, body: ReadableStream<Uint8Array>): Promise<Uint8Array> {
 *   return await s3EncryptionClient({ keys: [{ aesKey }] }).decrypt({ metadata, body });
 * }
 * ```
 */
export function s3EncryptionClient(options: S3EncryptionClientOptions): S3EncryptionClient {
  refuseUnknown(options, OPTIONS, "s3EncryptionClient");
  const { keys, maxBytes = 64 * 1024 * 1024 } = options;
  if (!Number.isSafeInteger(maxBytes) || maxBytes < TAG_BYTES || maxBytes > MOST_BYTES)
    throw invalidArgument("maxBytes is an integer from 16 to 2^30");
  const masterKeys = new MasterKeys(keys);
  const decrypt = async (
    description: S3Description,
    sealed: Uint8Array,
    { expectedBytes }: S3DecryptOptions,
    signal: AbortSignal | undefined,
  ): Promise<OwnedBytes> => {
    if (sealed.length < TAG_BYTES) throw malformed(`the body has ${sealed.length} bytes, expected at least ${TAG_BYTES}`);
    const found = sealed.length - TAG_BYTES;
    if (expectedBytes !== undefined && found !== expectedBytes) throw otherLength(`${found}`, expectedBytes);
    const dataKey = await masterKeys.unwrap(description, signal);
    try {
      return await openedBody(description, dataKey, sealed);
    } finally {
      wipe(dataKey);
    }
  };
  return {
    async decrypt(object, options = {}) {
      const signal = callSignal(options, DECRYPT_OPTIONS, "decrypt");
      const expectedBytes = checkedBytes(options.expectedBytes, "expectedBytes");
      const description = descriptionOf(object);
      const sealed = await wholeBody(object.body, maxBytes, signal);
      return await decrypt(description, sealed, { ...(expectedBytes !== undefined && { expectedBytes }) }, signal);
    },
    recognises: ({ metadata, instructionFile }) => isS3Encrypted(metadata, instructionFile),
    async open(object, options = {}) {
      const signal = callSignal(options, DECRYPT_OPTIONS, "open");
      const expectedBytes = checkedBytes(options.expectedBytes, "expectedBytes");
      const description = descriptionOf(object);
      const source = new CheckedSource(object);
      if (source.size > maxBytes) throw tooLarge(maxBytes);
      const sealed = await source.read(0, source.size, signal);
      const plaintext = await decrypt(description, sealed, { ...(expectedBytes !== undefined && { expectedBytes }) }, signal);
      return heldBlob(plaintext, `s3-encryption-client-${description.format}`);
    },
    close: () => masterKeys.close(),
  };
}

function descriptionOf(object: Pick<StoredSource, "metadata" | "instructionFile">): S3Description {
  const given: unknown = object;
  if (typeof given !== "object" || given === null) throw invalidArgument("a stored object has metadata and body");
  const { metadata, instructionFile } = object;
  if (instructionFile !== undefined && typeof instructionFile !== "string")
    throw invalidArgument("instructionFile is the text of that object");
  return s3DescriptionOf(metadata, instructionFile);
}

/** A blob in memory. Its plaintext was verified as a whole. */
function heldBlob(plaintext: OwnedBytes, format: string): ForeignBlob {
  let isClosed = false;
  const part = (start: number, end: number, options: CallOptions, what: string): OwnedBytes => {
    callSignal(options, CALL_OPTIONS, what)?.throwIfAborted();
    requireRange(start, end);
    if (isClosed) throw closedBlob();
    return plaintext.slice(start, end);
  };
  return {
    format,
    async size(options = {}) {
      part(0, 0, options, "size");
      return plaintext.length;
    },
    async read(start, end, options = {}) {
      return part(start, end, options, "read");
    },
    stream(start = 0, end = Number.MAX_SAFE_INTEGER, options = {}) {
      part(start, start, options, "stream");
      requireRange(start, end);
      const last = Math.min(end, plaintext.length);
      const pieces = async function* (): AsyncGenerator<OwnedBytes, void, undefined> {
        for (let next = start; next < last; next += PIECE_BYTES) yield part(next, Math.min(last, next + PIECE_BYTES), options, "stream");
      };
      return streamOf(pieces(), new AbortController());
    },
    close() {
      isClosed = true;
      wipe(plaintext);
    },
  };
}

async function openedBody(description: S3Description, dataKey: OwnedBytes, sealed: Uint8Array): Promise<OwnedBytes> {
  if (description.format === 2) return await openedGcm(await contentKey(dataKey), description.startingBytes, new Uint8Array(0), sealed);
  const { messageId, commitment } = description;
  const seed = hkdfExtract("sha512", messageId, dataKey);
  const [derived, committed] = [
    hkdfExpand("sha512", seed, [SUITE_BYTES, ascii("DERIVEKEY")], 32),
    hkdfExpand("sha512", seed, [SUITE_BYTES, ascii("COMMITKEY")], 28),
  ];
  try {
    if (!engine.timingSafeEqual(committed, commitment)) throw authenticationFailed();
    return await openedGcm(await contentKey(derived), new Uint8Array(12).fill(1), SUITE_BYTES, sealed);
  } finally {
    wipe(seed, derived, committed);
  }
}

function contentKey(key: Uint8Array): ReturnType<typeof crypto.subtle.importKey> {
  return crypto.subtle.importKey("raw", new Uint8Array(key), "AES-GCM", false, ["decrypt"]);
}

async function wholeBody(body: Uint8Array | PieceSource, maxBytes: number, signal: AbortSignal | undefined): Promise<Uint8Array> {
  if (isBytes(body)) {
    if (body.length > maxBytes) throw tooLarge(maxBytes);
    return viewOf(body);
  }
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of piecesOf(body, signal)) {
    bytes += piece.length;
    if (bytes > maxBytes) throw tooLarge(maxBytes);
    pieces.push(piece.slice()); // the source may use its memory again
  }
  return concatBytes(...pieces);
}

function tooLarge(maxBytes: number): EnvelockError {
  return new EnvelockError("malformed-envelope", `the object has more than maxBytes, ${maxBytes}`, {
    detail: "too-large",
    hint: "an object of this format is verified as a whole and so held in memory: raise maxBytes if there is room for it twice",
  });
}

const TAG_BYTES = 16;
const PIECE_BYTES: number = 1024 * 1024;
const MOST_BYTES: number = 2 ** 30;
/** Content algorithm 115. */
const SUITE_BYTES: Uint8Array = Uint8Array.of(0, 115);
const OPTIONS: OptionNames<S3EncryptionClientOptions> = { keys: true, maxBytes: true };
const DECRYPT_OPTIONS: OptionNames<S3DecryptOptions> = { signal: true, expectedBytes: true };
