import { createLanePool } from "#lanes";
import { oldestOf } from "../base/ages.ts";
import type { OwnedBytes } from "../base/bytes.ts";
import type { CallOptions, DataKeyOptions, ValueOptions } from "../base/call-options.ts";
import { type Context, KeyContext } from "../base/context.ts";
import type { JsonValue } from "../base/json.ts";
import { markClass, notOwn } from "../base/own-class.ts";
import type { KeyProvider } from "../contracts/key-provider.ts";
import type { DataKey } from "../data-key/data-key.ts";
import { DataKeySource } from "../key-source/data-key-source.ts";
import { checkedFilter, type ForgetFilter } from "../key-source/forget-filter.ts";
import { resiliencePolicy } from "../resilience/policy.ts";
import type { StreamAccess } from "../stream/beginning.ts";
import { decryptPieces } from "../stream/decrypted-pieces.ts";
import { EncryptedPieces } from "../stream/encrypted-pieces.ts";
import type { EncryptStreamOptions, StreamOptions } from "../stream/options.ts";
import { openSeekable, type SeekableBlob } from "../stream/seekable.ts";
import type { SeekableSource } from "../stream/seekable-source.ts";
import { decryptStream, type EncryptStream, encryptStream } from "../stream/streams.ts";
import type { EncryptedUpload } from "../stream/upload.ts";
import { resumeUpload, startUpload, type UploadOptions } from "../stream/uploads.ts";
import type { ByteTransform } from "../stream/web-stream.ts";
import { Observer } from "../telemetry/observer.ts";
import type { EncryptOptions } from "./calls.ts";
import { type DetachedEnvelope, Envelopes, type OwnedDetachedEnvelope } from "./envelopes.ts";
import { KeyRecords } from "./key-records.ts";
import { KeyringLife } from "./keyring-life.ts";
import { type KeyringOptions, type KeyringStatus, parseKeyringOptions } from "./keyring-options.ts";
import { Operations } from "./operations.ts";
import { decryptJson, decryptText, encryptJson, encryptText } from "./text-values.ts";

// Filled by the static block. The library may use these parts of a keyring; the public surface does not show them.
let lifeIn: (keyring: Keyring) => KeyringLife;
let recordsIn: (keyring: Keyring) => KeyRecords;
let streamsIn: (keyring: Keyring) => StreamAccess;
let isOwn: (value: unknown) => value is Keyring;

/**
 * Encrypts under fresh data keys that the given providers wrap, and decrypts what they can unwrap.
 *
 * Recipients are chosen by comparing their provider and key id with configuration, never by trial. So an envelope cannot make any provider
 * act that is not configured here. A keyring holds no data key between calls, unless `reuse` or `cache` ask for it.
 *
 * @see docs/format.md §4
 * @example
 * const keyring = new Keyring({ wrapWith: [localKey({ keyId: "orders-2026", key })], context: { tenant: "acme" } });
 * const envelope = await keyring.encrypt(bytes, { context: { object: "invoices/7.pdf" } });
 * const plaintext = await keyring.decrypt(envelope, { context: { object: "invoices/7.pdf" } });
 */
export class Keyring {
  readonly #life: KeyringLife;
  readonly #operations: Operations;
  readonly #envelopes: Envelopes;
  readonly #keyRecords: KeyRecords;
  readonly #streams: StreamAccess = {
    lanes: createLanePool(),
    encodeContext: (context) => this.#operations.context.encode(context),
    startSealing: (options) => this.#envelopes.startSealing(options),
    startOpening: (record, options) => this.#envelopes.startOpening(record, options),
    encrypt: (plaintext, options) => this.encrypt(plaintext, options),
    decrypt: (envelope, options) => this.decrypt(envelope, options),
  };

  static {
    markClass(Keyring.prototype, "Keyring");
    lifeIn = (keyring) => keyring.#life;
    recordsIn = (keyring) => keyring.#keyRecords;
    streamsIn = (keyring) => keyring.#streams;
    isOwn = (value): value is Keyring => typeof value === "object" && value !== null && #life in value;
  }

  /**
   * @param options a provider alone stands for `{ wrapWith: [provider] }`
   * @throws `invalid-argument` for an unknown option, no provider at all, too many, one that is none, a bad context, a bound out of
   *   range, and a `cache` or `guards` of another copy of the package
   */
  constructor(options: KeyringOptions | KeyProvider) {
    const given = parseKeyringOptions(options);
    const { wrapWith = [], unwrapWith = [], context, randomness, reuse, cache, onEvent, telemetry, gate } = given;
    const policy = resiliencePolicy(given);
    this.#life = new KeyringLife(gate, policy.tenant?.id);
    const keyContext = new KeyContext(context);
    const isObserved = onEvent !== undefined || telemetry !== undefined;
    const observer = isObserved ? new Observer(policy.clock, onEvent, telemetry, policy.tenant) : undefined;
    const source = new DataKeySource({ wrapWith, unwrapWith, randomness, keyContext, policy, reuse, cache, observer });
    this.#operations = new Operations(source, keyContext, observer, this.#life);
    this.#envelopes = new Envelopes(this.#operations);
    this.#keyRecords = new KeyRecords(this.#operations);
  }

  /**
   * Encrypts to a self-contained envelope under a fresh data key.
   *
   * @param plaintext must not change before the promise settles
   * @returns the envelope, in its own ArrayBuffer
   * @throws `invalid-argument`, `closed`, and what the providers' `wrap` throws; with several failing, one error whose `cause` is an
   *   AggregateError of theirs
   */
  encrypt(plaintext: Uint8Array, options: EncryptOptions = {}): Promise<OwnedBytes> {
    return this.#envelopes.encrypt(plaintext, options);
  }

  /** Encrypts like `encrypt`, with header and body apart: store the header where it can be replaced. */
  encryptDetached(plaintext: Uint8Array, options: EncryptOptions = {}): Promise<OwnedDetachedEnvelope> {
    return this.#envelopes.encryptDetached(plaintext, options);
  }

  /**
   * Decrypts an envelope. Nothing is returned unless all of it is authentic.
   *
   * @returns the plaintext, in its own ArrayBuffer
   * @throws `malformed-envelope`, `unsupported-version`, `no-matching-provider`, `invalid-argument`, `closed` before any provider is
   *   called; `authentication-failed` if key or context do not fit or anything else was changed; and the providers' operational
   *   errors, with several failing as one error whose `cause` is an AggregateError of theirs
   */
  decrypt(envelope: Uint8Array, options: ValueOptions = {}): Promise<OwnedBytes> {
    return this.#envelopes.decrypt(envelope, options);
  }

  /** Decrypts like `decrypt`, from a header and a body that were kept apart. */
  decryptDetached(envelope: DetachedEnvelope, options: ValueOptions = {}): Promise<OwnedBytes> {
    return this.#envelopes.decryptDetached(envelope, options);
  }

  /**
   * Encrypts well-formed text as its UTF-8. Otherwise like `encrypt`.
   *
   * @throws as `encrypt`
   * @example
   * const envelope = await keyring.encryptText("for your eyes only", { context: { object: "notes/7" } });
   */
  encryptText(text: string, options: EncryptOptions = {}): Promise<OwnedBytes> {
    return encryptText(this, text, options);
  }

  /**
   * Decrypts an envelope of text. Otherwise like `decrypt`.
   *
   * @throws as `decrypt`, and `malformed-envelope` if the plaintext is authentic and not UTF-8
   * @example
   * const text = await keyring.decryptText(envelope, { context: { object: "notes/7" } });
   */
  decryptText(envelope: Uint8Array, options: ValueOptions = {}): Promise<string> {
    return decryptText(this, envelope, options);
  }

  /**
   * Encrypts a value as JSON. Refuses values that JSON would drop or change, such as undefined, NaN or a Date. Otherwise like `encrypt`.
   *
   * @param value read when the method is called
   * @throws as `encrypt`
   * @example
   * const envelope = await keyring.encryptJson({ name: "Ada", born: 1815 });
   */
  encryptJson(value: JsonValue, options: EncryptOptions = {}): Promise<OwnedBytes> {
    return encryptJson(this, value, options);
  }

  /**
   * Decrypts an envelope of JSON. Otherwise like `decrypt`.
   *
   * @returns a value of any JSON shape, which the caller checks
   * @throws as `decrypt`, and `malformed-envelope` if the plaintext is authentic and not JSON
   * @example
   * const value = await keyring.decryptJson(envelope);
   */
  decryptJson(envelope: Uint8Array, options: ValueOptions = {}): Promise<JsonValue> {
    return decryptJson(this, envelope, options);
  }

  /**
   * Makes a stream that encrypts bytes of any length in bounded memory: `source.pipeThrough(keyring.encryptStream())`. Its sides fail as
   * `encrypt` does, and with `invalid-argument` if the source does not give exactly `plaintextBytes`.
   *
   * @throws `invalid-argument` for bad options
   */
  encryptStream(options: EncryptStreamOptions = {}): EncryptStream {
    return encryptStream(this.#streams, options);
  }

  /**
   * Makes a stream that decrypts an envelope. It gives out verified chunks alone. Truncation and every change end in an error, never in a
   * clean end. Its sides fail as `decrypt` does.
   *
   * @throws `invalid-argument` for bad options
   */
  decryptStream(options: StreamOptions = {}): ByteTransform {
    return decryptStream(this.#streams, options);
  }

  /** Encrypts like `encryptStream`, from an iterable to an iterable. A piece must not change before the next one is asked for. */
  encryptPieces(pieces: AsyncIterable<Uint8Array>, options: EncryptStreamOptions = {}): EncryptedPieces {
    return new EncryptedPieces(pieces, this.#streams, options);
  }

  /** Decrypts like `decryptStream`, from an iterable to an iterable. */
  decryptPieces(pieces: AsyncIterable<Uint8Array>, options: StreamOptions = {}): AsyncIterableIterator<OwnedBytes> {
    return decryptPieces(pieces, this.#streams, options);
  }

  /**
   * Opens an envelope to read parts of it. Fetches the header now, and later the chunks that a read needs.
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
   * Continues an upload after a crash, if the plaintext is unchanged. Otherwise it starts a new upload under a fresh salt, with `isResumed`
   * false.
   *
   * @param state the result of `exportState`
   * @param options as at the start, with the `partDigests` of the present plaintext
   * @throws as `encrypt`, and as `decrypt` for the state
   */
  async resumeUpload(state: Uint8Array, options: UploadOptions): Promise<EncryptedUpload> {
    return await resumeUpload(this.#streams, state, options);
  }

  /**
   * Replaces the recipients with those of `wrapWith`; the data key and every body byte stay. Needs no value context.
   * A padded header keeps its size if the new recipients fit.
   *
   * A rewrap is no revocation: a reader that once had the data key can still open the body. A rewrap does not open the body either, so it
   * does not tell whether the body is intact.
   *
   * @returns a new envelope, in its own ArrayBuffer
   * @throws as `decrypt`, except that `authentication-failed` speaks of the data key and the key context alone; and what the
   *   providers' `wrap` throws
   */
  rewrap(envelope: Uint8Array, options: CallOptions = {}): Promise<OwnedBytes> {
    return this.#envelopes.rewrap(envelope, options);
  }

  /** Rewraps a detached header like `rewrap`. Never needs the body. */
  rewrapHeader(header: Uint8Array, options: CallOptions = {}): Promise<OwnedBytes> {
    return this.#envelopes.rewrapHeader(header, options);
  }

  /**
   * Whether a rewrap would change the recipients: one is missing, was wrapped by an older key version, or is no longer in `wrapWith`. Reads
   * the header alone and asks each provider for its current version. If a provider cannot tell, all its versions pass as current.
   *
   * @param envelope an envelope or its header
   * @throws `malformed-envelope`, `unsupported-version`, `invalid-argument`, `closed`, and what the providers' `current` throws
   */
  needsRewrap(envelope: Uint8Array, options: CallOptions = {}): Promise<boolean> {
    return this.#envelopes.needsRewrap(envelope, options);
  }

  /** The context that is fixed for every data key of this keyring: frozen. */
  get context(): Context {
    return this.#operations.context.map;
  }

  /**
   * Makes a data key for field tokens and wraps it for `wrapWith`.
   *
   * @returns the data key, which the caller destroys, and its key record, which must be stored before the key's first use
   * @throws `invalid-argument`, `closed`, and what the providers' `wrap` throws
   */
  createDataKey(options: DataKeyOptions = {}): Promise<{ readonly dataKey: DataKey; readonly keyRecord: OwnedBytes }> {
    return this.#keyRecords.create(options);
  }

  /**
   * Unwraps the data key of a key record.
   *
   * @returns the data key, which the caller destroys
   * @throws as `decrypt`
   */
  unwrapDataKey(keyRecord: Uint8Array, options: DataKeyOptions = {}): Promise<DataKey> {
    return this.#keyRecords.unwrap(keyRecord, options);
  }

  /** Rewraps a key record like `rewrap`. Tokens under its data key stay as they are. */
  rewrapKeyRecord(keyRecord: Uint8Array, options: DataKeyOptions = {}): Promise<OwnedBytes> {
    return this.#keyRecords.rewrap(keyRecord, options);
  }

  /** Whether `rewrapKeyRecord` would change the recipients of a key record, like `needsRewrap`. */
  keyRecordNeedsRewrap(keyRecord: Uint8Array, options: CallOptions = {}): Promise<boolean> {
    return this.#keyRecords.needsRewrap(keyRecord, options);
  }

  /**
   * Wipes data keys that `cache` and `reuse` keep, and those whose unwrap is in flight: after a revocation, or when a tenant leaves. Takes
   * a plain object, so that it can be sent to every process.
   *
   * @param filter selects the data keys; without it all are wiped
   * @returns how many were wiped
   */
  forget(filter: ForgetFilter = {}): number {
    const checked = checkedFilter(filter);
    return this.#operations.source.forget(checked) + this.#life.forget(checked);
  }

  /** Returns the state of the providers and the cache, for a health check or a test. */
  status(): KeyringStatus {
    const { providers, randomness, cachedDataKeys, hasReusedDataKey, oldestMs } = this.#operations.source;
    return { providers, randomness, cachedDataKeys, hasReusedDataKey, oldestDataKeyMs: oldestOf([oldestMs, this.#life.oldestMs()]) };
  }

  /**
   * Ends this keyring. Later calls throw `closed`. Calls and streams in flight finish, then the streams' worker threads end. Data keys that
   * it keeps are wiped. The providers stay open, and a cache that the caller made stays as it is: their maker closes them.
   */
  async close(): Promise<void> {
    this.#life.close();
    this.#operations.source.close();
    await this.#streams.lanes.close();
  }
}

/** Returns the subscriptions to the end of a keyring's data keys. */
export function lifeOf(keyring: Keyring): KeyringLife {
  return lifeIn(keyring);
}

/** Returns the calls of a keyring for key records, also for parsed ones. */
export function keyRecordsOf(keyring: Keyring): KeyRecords {
  return recordsIn(keyring);
}

/** Returns the parts of a keyring that streams are made of. */
export function streamsOf(keyring: Keyring): StreamAccess {
  return streamsIn(keyring);
}

/** Refuses a value that is no keyring of this copy of the package. @throws `invalid-argument` */
export function requireKeyring(value: unknown, what: string): Keyring {
  if (isOwn(value)) return value;
  throw notOwn(value, "Keyring", what);
}
