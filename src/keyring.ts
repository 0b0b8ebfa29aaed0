import { engine } from "#engine";
import { createLanePool } from "#lanes";
import { claimedPlaintextBytes, openBody, sealBody } from "./body.ts";
import { isBytes, type OwnedBytes, viewOf } from "./bytes.ts";
import type { CallOptions, ValueOptions } from "./call-options.ts";
import { type Context, KeyContext } from "./context.ts";
import { bodyBytes } from "./crypto/cobblestone.ts";
import { commitmentOf, type DataKey, generateDataKey } from "./data-key.ts";
import { EnvelockError, invalidArgument } from "./errors.ts";
import { MAX_HEADER_BYTES, type ParsedHeader, parseDetachedHeader, parseHeader, prepareHeader } from "./format/envelope.ts";
import { encodeKeyRecord, type KeyRecord, MAX_RECIPIENTS, PROVIDER_NAME, parseKeyRecord, SUITE } from "./format/key-record.ts";
import type { KeyProvider } from "./key-provider.ts";
import { currentKeyId, isFor, unwrapAny, wrapForAll } from "./recipients.ts";
import type { StreamAccess, UnlockedKey } from "./stream/beginning.ts";
import { decryptPieces } from "./stream/decrypted-pieces.ts";
import { EncryptedPieces } from "./stream/encrypted-pieces.ts";
import type { EncryptStreamOptions, StreamOptions } from "./stream/options.ts";
import { openSeekable, type SeekableBlob } from "./stream/seekable.ts";
import type { SeekableSource } from "./stream/seekable-source.ts";
import { decryptStream, type EncryptStream, encryptStream } from "./stream/streams.ts";
import type { EncryptedUpload } from "./stream/upload.ts";
import { resumeUpload, startUpload, type UploadOptions } from "./stream/uploads.ts";
import type { ByteTransform } from "./stream/web-stream.ts";

export interface KeyringOptions {
  /** Every one of them becomes a recipient of what is encrypted, and can decrypt. At most 16; with none, the keyring only decrypts. */
  readonly wrapWith?: readonly KeyProvider[];
  /** Keys that only decrypt, tried after those of `wrapWith`: the old ones. */
  readonly unwrapWith?: readonly KeyProvider[];
  /**
   * The key context: what is fixed for every data key of this keyring, such as tenant and purpose. Part of every value's context.
   * A key service may be shown it in clear, and log it.
   */
  readonly context?: Context;
}

export interface EncryptOptions extends ValueOptions {
  /** Pads the header with zeros to at least this many bytes, so that a later rewrap can be done in place. At most 65,544. */
  readonly minHeaderBytes?: number;
}

/** An envelope cut in two: the small header, which rewrap replaces, and the body, which never changes. */
export interface DetachedEnvelope {
  readonly header: Uint8Array;
  readonly body: Uint8Array;
}

/** What the library returns of the two: each owns exactly its ArrayBuffer. */
export interface OwnedDetachedEnvelope {
  readonly header: OwnedBytes;
  readonly body: OwnedBytes;
}

/**
 * Encrypts under fresh data keys that the given providers wrap, and decrypts what they can unwrap.
 *
 * Recipients are chosen by comparing their provider and key id with configuration, never by trial, and an envelope can never make
 * a provider that is not configured here do anything. Holds no data key between calls.
 *
 * @see docs/format.md §4
 */
export class Keyring {
  readonly #wrapWith: readonly KeyProvider[];
  readonly #providers: readonly KeyProvider[];
  readonly #context: KeyContext;
  readonly #streams: StreamAccess = {
    lanes: createLanePool(),
    startSealing: (options) => this.#startSealing(options),
    startOpening: (record, options) => this.#startOpening(record, options),
    encrypt: (plaintext, options) => this.encrypt(plaintext, options),
    decrypt: (envelope, options) => this.decrypt(envelope, options),
  };
  #isClosed = false;

  /**
   * @param options a provider alone stands for `{ wrapWith: [provider] }`
   * @throws `invalid-argument` for no provider at all, too many, a bad provider name or a bad context
   */
  constructor(options: KeyringOptions | KeyProvider) {
    const { wrapWith = [], unwrapWith = [], context }: KeyringOptions = "wrap" in options ? { wrapWith: [options] } : options;
    this.#wrapWith = [...wrapWith];
    this.#providers = [...new Set([...wrapWith, ...unwrapWith])];
    this.#context = new KeyContext(context);
    if (this.#providers.length === 0) throw invalidArgument("a keyring needs a provider in wrapWith or unwrapWith");
    if (this.#wrapWith.length > MAX_RECIPIENTS) throw invalidArgument(`wrapWith takes at most ${MAX_RECIPIENTS} providers`);
    for (const { name } of this.#providers) {
      if (!PROVIDER_NAME.test(name)) throw invalidArgument("a provider's name has 1 to 32 characters of a-z, 0-9 and -");
    }
  }

  /**
   * Encrypts to a self-contained envelope under a fresh data key.
   *
   * @param plaintext not to be changed before the promise settles
   * @returns the envelope, in its own ArrayBuffer
   * @throws `invalid-argument`, `closed`, and what the providers' `wrap` throws; with several failing, one error whose `cause` is an
   *   AggregateError of theirs
   */
  async encrypt(plaintext: Uint8Array, options: EncryptOptions = {}): Promise<OwnedBytes> {
    const { dataKey, header, valueContext } = await this.#startEncrypt(plaintext, options);
    try {
      const envelope = allocate(header.headerBytes + bodyBytes(plaintext.length));
      header.write(envelope);
      const pending = sealBody(dataKey, valueContext, viewOf(plaintext), envelope, header.headerBytes);
      if (pending !== undefined) await pending;
      return envelope;
    } finally {
      dataKey.destroy();
    }
  }

  /** Like `encrypt`, with header and body apart: store the header where it can be replaced. */
  async encryptDetached(plaintext: Uint8Array, options: EncryptOptions = {}): Promise<OwnedDetachedEnvelope> {
    const { dataKey, header, valueContext } = await this.#startEncrypt(plaintext, options);
    try {
      const body = allocate(bodyBytes(plaintext.length));
      const pending = sealBody(dataKey, valueContext, viewOf(plaintext), body, 0);
      if (pending !== undefined) await pending;
      return { header: written(header), body };
    } finally {
      dataKey.destroy();
    }
  }

  /**
   * Decrypts an envelope. Nothing is returned unless all of it is authentic.
   *
   * @returns the plaintext, in its own ArrayBuffer
   * @throws `malformed-envelope`, `unsupported-version`, `no-matching-provider`, `invalid-argument`, `closed` before any provider is
   *   called; `authentication-failed` if key or context do not fit or anything else was changed; and the providers' operational
   *   errors, with several failing as one error whose `cause` is an AggregateError of theirs
   */
  async decrypt(envelope: Uint8Array, options: ValueOptions = {}): Promise<OwnedBytes> {
    const bytes = this.#input(envelope, "envelope");
    const parsed = parseHeader(bytes);
    return await this.#open(parsed, bytes.subarray(parsed.headerBytes), options);
  }

  /** Like `decrypt`, of a header and a body that were kept apart. */
  async decryptDetached(envelope: DetachedEnvelope, options: ValueOptions = {}): Promise<OwnedBytes> {
    const header = this.#input(envelope?.header, "header");
    return await this.#open(parseDetachedHeader(header), this.#input(envelope.body, "body"), options);
  }

  /**
   * A stream that encrypts what is written to it, of any length, in bounded memory: `source.pipeThrough(keyring.encryptStream())`.
   * Its sides fail as `encrypt` does, and with `invalid-argument` if the source does not give `plaintextBytes`.
   *
   * @throws `invalid-argument` for bad options
   */
  encryptStream(options: EncryptStreamOptions = {}): EncryptStream {
    return encryptStream(this.#streams, options);
  }

  /**
   * A stream that decrypts an envelope written to it. Verified chunks alone come out; truncation and every change end in an error,
   * never in a clean end. Its sides fail as `decrypt` does.
   *
   * @throws `invalid-argument` for bad options
   */
  decryptStream(options: StreamOptions = {}): ByteTransform {
    return decryptStream(this.#streams, options);
  }

  /** Like `encryptStream`, from an iterable to an iterable. A piece is not to be changed before the next one is asked for. */
  encryptPieces(pieces: AsyncIterable<Uint8Array>, options: EncryptStreamOptions = {}): EncryptedPieces {
    return new EncryptedPieces(pieces, this.#streams, options);
  }

  /** Like `decryptStream`, from an iterable to an iterable. */
  decryptPieces(pieces: AsyncIterable<Uint8Array>, options: StreamOptions = {}): AsyncIterableIterator<OwnedBytes> {
    return decryptPieces(pieces, this.#streams, options);
  }

  /**
   * Opens an envelope of which only parts are to be read: fetches the header now, and later the chunks that a read needs.
   *
   * @returns the blob, which the caller closes
   * @throws as `decrypt`, and as `SeekableBlob.read` for what is wrong with the source
   */
  async openSeekable(source: SeekableSource, options: ValueOptions = {}): Promise<SeekableBlob> {
    return await openSeekable(this.#streams, source, options);
  }

  /**
   * Starts a multipart upload of known length, whose parts can be encrypted in any order and again.
   *
   * @returns the upload, which the caller closes
   * @throws as `encrypt`
   */
  async startUpload(options: UploadOptions): Promise<EncryptedUpload> {
    return await startUpload(this.#streams, options);
  }

  /**
   * Goes on with an upload after a crash, if the plaintext is still what it was: else it is a new upload under a fresh salt, and
   * `isResumed` is false.
   *
   * @param state what `exportState` gave
   * @param options as at the start, with the `partDigests` of what is to be uploaded now
   * @throws as `encrypt`, and as `decrypt` for the state
   */
  async resumeUpload(state: Uint8Array, options: UploadOptions): Promise<EncryptedUpload> {
    return await resumeUpload(this.#streams, state, options);
  }

  /**
   * Replaces the recipients with those of `wrapWith`; the data key and every body byte stay. Needs no value context.
   * A padded header keeps its size if the new recipients fit.
   *
   * Rewrap is not revocation: whoever once had the data key can still open the body. Nor does it open the body, so it does not tell
   * whether that is intact.
   *
   * @returns a new envelope, in its own ArrayBuffer
   * @throws as `decrypt`, save that `authentication-failed` speaks of the data key and the key context alone; and what the
   *   providers' `wrap` throws
   */
  async rewrap(envelope: Uint8Array, options: CallOptions = {}): Promise<OwnedBytes> {
    const bytes = this.#input(envelope, "envelope");
    const parsed = parseHeader(bytes);
    const body = bytes.subarray(parsed.headerBytes);
    claimedPlaintextBytes(body.length);
    const header = await this.#rewrapped(parsed, options);
    const rewrapped = allocate(header.headerBytes + body.length);
    header.write(rewrapped);
    rewrapped.set(body, header.headerBytes);
    return rewrapped;
  }

  /** Like `rewrap`, of a detached header: never needs the body. */
  async rewrapHeader(header: Uint8Array, options: CallOptions = {}): Promise<OwnedBytes> {
    return written(await this.#rewrapped(parseDetachedHeader(this.#input(header, "header")), options));
  }

  /**
   * Whether a rewrap would change the recipients: one is missing, was wrapped by an older key version, or is no longer in `wrapWith`.
   * Reads the header alone; asks each provider for its current version. Of one that cannot tell, every version passes as current.
   *
   * @param envelope an envelope or its header
   * @throws `malformed-envelope`, `unsupported-version`, `invalid-argument`, `closed`, and what the providers' `current` throws
   */
  async needsRewrap(envelope: Uint8Array, options: CallOptions = {}): Promise<boolean> {
    return await this.#isStale(parseHeader(this.#input(envelope, "envelope")).record, options);
  }

  /**
   * Makes a data key for field tokens and wraps it for `wrapWith`.
   *
   * @returns the data key, which the caller destroys, and its key record, which must be stored before the key's first use
   * @throws `invalid-argument`, `closed`, and what the providers' `wrap` throws
   */
  async createDataKey(options: CallOptions = {}): Promise<{ readonly dataKey: DataKey; readonly keyRecord: OwnedBytes }> {
    return await this.#withNewKey(options.signal, (dataKey, record) => ({ dataKey, keyRecord: encodeKeyRecord(record) }));
  }

  /**
   * Unwraps the data key of a key record.
   *
   * @returns the data key, which the caller destroys
   * @throws as `decrypt`
   */
  async unwrapDataKey(keyRecord: Uint8Array, options: CallOptions = {}): Promise<DataKey> {
    return await unwrapAny(this.#providers, parseKeyRecord(this.#input(keyRecord, "key record")), this.#context, options.signal);
  }

  /** Like `rewrap`, of a key record: tokens under its data key stay as they are. */
  async rewrapKeyRecord(keyRecord: Uint8Array, options: CallOptions = {}): Promise<OwnedBytes> {
    const record = parseKeyRecord(this.#input(keyRecord, "key record"));
    return encodeKeyRecord(await this.#rewrapRecord(record, options));
  }

  /** Like `needsRewrap`, of a key record. */
  async keyRecordNeedsRewrap(keyRecord: Uint8Array, options: CallOptions = {}): Promise<boolean> {
    return await this.#isStale(parseKeyRecord(this.#input(keyRecord, "key record")), options);
  }

  /**
   * Ends this keyring: later calls throw `closed`; calls and streams under way finish, then the streams' worker threads end. The
   * providers stay open; whoever made them closes them.
   */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#streams.lanes.close();
  }

  async #startSealing(options: EncryptOptions): Promise<UnlockedKey & { readonly header: OwnedBytes }> {
    const { header, ...unlocked } = await this.#newEnvelope(options);
    return { header: written(header), ...unlocked };
  }

  async #startOpening(record: KeyRecord, options: ValueOptions): Promise<UnlockedKey> {
    this.#requireOpen();
    const valueContext = this.#context.encode(options.context);
    return { dataKey: await unwrapAny(this.#providers, record, this.#context, options.signal), valueContext };
  }

  async #startEncrypt(plaintext: Uint8Array, options: EncryptOptions): Promise<Encryption> {
    this.#input(plaintext, "plaintext");
    return await this.#newEnvelope(options);
  }

  async #newEnvelope(options: EncryptOptions): Promise<Encryption> {
    const valueContext = this.#context.encode(options.context);
    const minHeaderBytes = checkedMinHeaderBytes(options.minHeaderBytes ?? 0);
    return await this.#withNewKey(options.signal, (dataKey, record) => {
      return { dataKey, valueContext, header: prepareHeader(record, minHeaderBytes) };
    });
  }

  async #withNewKey<T>(signal: AbortSignal | undefined, use: (dataKey: DataKey, record: KeyRecord) => T): Promise<T> {
    this.#requireWrapWith();
    const dataKey = generateDataKey(this.#context);
    try {
      const recipients = await wrapForAll(this.#wrapWith, dataKey, this.#context, signal);
      return use(dataKey, { suite: SUITE, keyCommit: commitmentOf(dataKey), recipients });
    } catch (error) {
      dataKey.destroy();
      throw error;
    }
  }

  async #open({ record }: ParsedHeader, body: Uint8Array, options: ValueOptions): Promise<OwnedBytes> {
    const plaintextBytes = claimedPlaintextBytes(body.length);
    const { dataKey, valueContext } = await this.#startOpening(record, options);
    try {
      return await openBody(dataKey, valueContext, body, plaintextBytes);
    } finally {
      dataKey.destroy();
    }
  }

  async #rewrapped({ record, headerBytes, paddingBytes }: ParsedHeader, options: CallOptions): Promise<PreparedHeader> {
    const rewrapped = await this.#rewrapRecord(record, options);
    const tight = prepareHeader(rewrapped, 0);
    return paddingBytes > 0 && tight.headerBytes < headerBytes ? prepareHeader(rewrapped, headerBytes) : tight;
  }

  async #rewrapRecord(record: KeyRecord, { signal }: CallOptions): Promise<KeyRecord> {
    this.#requireWrapWith();
    const dataKey = await unwrapAny(this.#providers, record, this.#context, signal);
    try {
      return { ...record, recipients: await wrapForAll(this.#wrapWith, dataKey, this.#context, signal) };
    } finally {
      dataKey.destroy();
    }
  }

  async #isStale({ recipients }: KeyRecord, { signal }: CallOptions): Promise<boolean> {
    this.#requireWrapWith();
    const isForeign = recipients.some((recipient) => !this.#wrapWith.some((provider) => isFor(provider, recipient)));
    if (isForeign || recipients.length !== this.#wrapWith.length) return true;
    for (const provider of this.#wrapWith) {
      const current = await currentKeyId(provider, signal);
      const isFresh = recipients.some((recipient) => isFor(provider, recipient) && (current ?? recipient.keyId) === recipient.keyId);
      if (!isFresh) return true;
    }
    return false;
  }

  #requireWrapWith(): void {
    this.#requireOpen();
    if (this.#wrapWith.length === 0) throw invalidArgument("this keyring only decrypts: it has no wrapWith");
  }

  #requireOpen(): void {
    if (this.#isClosed) throw new EnvelockError("closed", "this keyring has been closed");
  }

  /** The edge: from here on it is a plain Uint8Array, and the keyring is open. */
  #input(bytes: Uint8Array, what: string): Uint8Array {
    this.#requireOpen();
    if (!isBytes(bytes)) throw invalidArgument(`${what} must be a Uint8Array`);
    return viewOf(bytes);
  }
}

type PreparedHeader = ReturnType<typeof prepareHeader>;

interface Encryption extends UnlockedKey {
  readonly header: PreparedHeader;
}

function written(header: PreparedHeader): OwnedBytes {
  const bytes = new Uint8Array(header.headerBytes);
  header.write(bytes);
  return bytes;
}

function checkedMinHeaderBytes(bytes: number): number {
  if (Number.isInteger(bytes) && bytes >= 0 && bytes <= MAX_HEADER_BYTES) return bytes;
  throw invalidArgument(`minHeaderBytes is ${bytes}, expected an integer from 0 to ${MAX_HEADER_BYTES}`);
}

function allocate(bytes: number): OwnedBytes {
  try {
    return engine.allocate(bytes);
  } catch (cause) {
    throw new EnvelockError("invalid-argument", `an envelope of ${bytes} bytes does not fit one array`, { cause });
  }
}
