import { CALL_OPTIONS, type CallOptions, callSignal } from "../core/base/call-options.ts";
import { type Clock, systemClock } from "../core/base/clock.ts";
import { type Context, copiedContext } from "../core/base/context.ts";
import { EnvelockError, invalidArgument } from "../core/base/errors.ts";
import { refuseUnknown, requireMethods, shownValue } from "../core/base/options.ts";
import { type Keyring, requireKeyring, streamsOf } from "../core/keyring/keyring.ts";
import { checkedBytes } from "../core/resilience/checks.ts";
import { openSeekable } from "../core/stream/seekable.ts";
import { streamPieces } from "../core/stream/stream-pieces.ts";
import type { BlobHead } from "./blob-head.ts";
import { type BlobPlaces, found, headIn, listed, openedIn, optional } from "./blob-search.ts";
import type { BlobEntry, BlobStore } from "./blob-store.ts";
import { noteBlobTable } from "./blob-table.ts";
import { type BlobDescription, checkedDescription, openedDescription } from "./description.ts";
import { BLOB_STREAM_OPTIONS, type BlobStreamOptions, EncryptedBlob } from "./encrypted-blob.ts";
import {
  type BlobDeleteOptions,
  type BlobListOptions,
  checkedTap,
  conditionOf,
  DELETE_OPTIONS,
  type EncryptedStoreOptions,
  type FindStaleOptions,
  LIST_OPTIONS,
  PUT_OPTIONS,
  type PutOptions,
  type RewrapOutcome,
  requireKey,
  requireText,
  STALE_OPTIONS,
  STORE_OPTIONS,
} from "./encrypted-store-options.ts";
import { blobMissing, isConditionError } from "./failures.ts";
import { keyDigestsOf, keysOf } from "./key-digest.ts";
import { type BlobLedger, checkedLedger, dropHeader, noteHeader } from "./ledger.ts";
import { checkedName } from "./name.ts";
import { PinnedSource } from "./pinned-source.ts";
import { checkedListener } from "./progress.ts";
import { type Persistence, repeated } from "./retries.ts";
import { type BlobSource, knownBytesOf, sealUpload } from "./seal-upload.ts";
import { type BlobHandlerOptions, blobHandler } from "./serve.ts";
import { type PutResult, writeBlob } from "./write-blob.ts";

/**
 * Makes a store of encrypted blobs from a keyring and a place that keeps bytes. Blobs are envelopes with the header in the object, so that
 * the command line and `keyring.decrypt` open them too.
 *
 * @throws `invalid-argument` for unknown options, a keyring of another copy of the package, or a store that lacks a method
 * @example
 * ```ts
 * import { Keyring } from "envelock";
 * import { encryptedStore } from "envelock/blobs";
 * import { fileBlobs } from "envelock/blobs/files";
 *
 * export async function keep(keyring: Keyring, invoice: Uint8Array): Promise<Uint8Array> {
 *   const store = encryptedStore(keyring, fileBlobs("/var/lib/invoices"), { context: (name) => ({ object: name }) });
 *   await store.put("2026/7.pdf", invoice, { describe: { name: "Invoice 7.pdf", type: "application/pdf" } });
 *   const blob = await store.get("2026/7.pdf");
 *   try {
 *     return await blob.read(0, 100);
 *   } finally {
 *     blob.close();
 *   }
 * }
 * ```
 */
export function encryptedStore(keyring: Keyring, store: BlobStore, options: EncryptedStoreOptions): EncryptedStore {
  refuseUnknown(options, STORE_OPTIONS, "encryptedStore");
  const { context, ledger, clock = systemClock } = options;
  if (typeof context !== "function") throw invalidArgument("context must be a function that makes a blob's context from its name");
  requireMethods(store, ["create", "open", "delete", "list"], "encryptedStore takes a blob store");
  return new EncryptedStore(requireKeyring(keyring, "keyring"), store, context, checkedLedger(ledger), clock);
}

/** Encrypted blobs in a store. Use `encryptedStore`. */
export class EncryptedStore {
  readonly #keyring: Keyring;
  readonly #store: BlobStore;
  readonly #context: (name: string) => Context;
  readonly #ledger: BlobLedger | undefined;
  readonly #clock: Clock;

  constructor(keyring: Keyring, store: BlobStore, context: EncryptedStoreOptions["context"], ledger: BlobLedger | undefined, clock: Clock) {
    this.#keyring = keyring;
    this.#store = store;
    this.#context = context;
    this.#ledger = ledger;
    this.#clock = clock;
    noteBlobTable(this, {
      keyring,
      places: this.#places,
      contextOf: (name) => this.#contextOf(name),
      mustFold: (head) => this.#mustFold(head),
    });
  }

  /**
   * Encrypts a source into the store. The blob appears once all of it is stored, and only if the source was whole: a file that its parser
   * cut, a stream that was destroyed and a source of another length end in an error, and nothing appears.
   *
   * @param source read once, block by block, in bounded memory; bytes must not change before the promise settles
   * @param options read when the method is called
   * @throws `invalid-argument`, with `detail` `blob-exists` or `blob-changed` where the condition does not hold, `source-used`,
   *   `source-truncated`, `too-large` or `other-length` for what is wrong with the source; what the source and the tap throw; as
   *   `Keyring.encrypt`; and the store's errors, after five attempts
   */
  async put(name: string, source: BlobSource, options: PutOptions = {}): Promise<PutResult> {
    const signal = callSignal(options, PUT_OPTIONS, "put");
    const { expectedBytes, maxBytes, describe, tap, onProgress } = options;
    const plaintextBytes = checkedBytes(expectedBytes, "expectedBytes") ?? knownBytesOf(source);
    const own = checkedName(name);
    const call = {
      name: own,
      context: this.#contextOf(own),
      pieces: sealUpload(source, {
        ...(plaintextBytes !== undefined && { expectedBytes: plaintextBytes }),
        ...(maxBytes !== undefined && { maxBytes }),
      }),
      plaintextBytes,
      description: describe === undefined ? undefined : checkedDescription(describe),
      tap: checkedTap(tap),
      condition: conditionOf(options),
      onProgress: checkedListener(onProgress),
      signal,
    };
    let [before, noted]: readonly (Uint8Array | undefined)[] = [];
    const note = async (header: Uint8Array): Promise<void> => {
      if (!("ifNone" in call.condition)) before = await this.#notedHeader(own, signal);
      await noteHeader(this.#ledger, own, header);
      noted = header;
    };
    try {
      const result = await writeBlob(streamsOf(this.#keyring), this.#store, { ...call, note }, this.#clock);
      await dropHeader(this.#ledger, own, before);
      return result;
    } catch (error) {
      if (isConditionError(error)) await dropHeader(this.#ledger, own, noted); // no other blob ever has this header
      throw error;
    }
  }

  /**
   * Opens a blob for reading: one request, and one unwrap.
   *
   * @returns the blob, which the caller closes
   * @throws `invalid-argument`, with `detail` `blob-missing` if there is none; as `Keyring.openSeekable`; and the store's errors
   */
  async get(name: string, options: CallOptions = {}): Promise<EncryptedBlob> {
    const signal = callSignal(options, CALL_OPTIONS, "get");
    const own = checkedName(name);
    const context = this.#contextOf(own);
    const head = await headIn(this.#places, own, signal);
    if (head === undefined) throw blobMissing(own);
    const source = new PinnedSource(own, head, {
      clock: this.#clock,
      open: (given) => openedIn(this.#places, own, given),
    });
    const { envelock_about: token } = head.blob.metadata;
    let describe = (): BlobDescription | undefined => undefined;
    const blob = await openSeekable(streamsOf(this.#keyring), source, { context, ...optional(signal) }, (dataKey) => {
      if (token !== undefined) describe = settled(() => openedDescription(dataKey, context, token));
    });
    return new EncryptedBlob(own, blob, source, this.#clock, describe);
  }

  /**
   * Makes a handler that serves blobs to GET and HEAD requests: ranges, ETag, preconditions, 404 for a blob that is not there. Answers say
   * `nosniff`, and `attachment` unless `disposition` is `inline`.
   *
   * @throws `invalid-argument` for bad options; the handler throws as `get`
   */
  httpHandler(options: BlobHandlerOptions): (request: Request) => Promise<Response> {
    return blobHandler((name, signal) => this.get(name, { signal }), options);
  }

  /**
   * Wraps the data key of a blob for the present keys of the keyring, and leaves every byte of the body as it is. Readers that have the
   * blob open go on. What a store keeps of old versions (snapshots, soft-deleted blobs, versions) keeps its old header.
   *
   * @throws `invalid-argument`, with `detail` `blob-missing` if there is none; as `Keyring.rewrapHeader`; and the store's errors
   */
  async rewrap(name: string, options: CallOptions = {}): Promise<RewrapOutcome> {
    const signal = callSignal(options, CALL_OPTIONS, "rewrap");
    const own = checkedName(name);
    for (let attempt = 1; attempt <= REWRAP_ATTEMPTS; attempt++) {
      const head = await headIn(this.#places, own, signal).catch(archived);
      if (head === "archived") return "not-possible";
      if (head === undefined) throw blobMissing(own);
      const isStale = await this.#keyring.needsRewrap(head.header, optional(signal));
      if (!isStale && !this.#mustFold(head)) return "current";
      const header = isStale ? await this.#keyring.rewrapHeader(head.header, optional(signal)) : head.header;
      const keys = await keyDigestsOf(header);
      const change = { ownHeaderBytes: head.ownHeaderBytes, header, keys };
      await noteHeader(this.#ledger, own, header);
      const outcome = await repeated(() => head.blob.replaceHeader(change, optional(signal)), this.#persistence(signal));
      if (outcome === "not-possible") return outcome;
      if (outcome === "replaced") {
        if (isStale) await dropHeader(this.#ledger, own, head.header);
        return "rewrapped";
      }
    }
    return "changed";
  }

  /**
   * Finds blobs that `rewrap` would change, or with `wrappedBy` those that a key wraps. Candidates come from the index or the ledger where
   * there is one and `wrappedBy` asks for it, else from the list; the header of each decides. A blob whose header cannot be read (archived,
   * damaged, refused, of a later version) is among them: nothing tells that it does not need the key.
   *
   * @returns names, one at a time; `after` goes on from one of them, except with an index or a ledger
   * @throws the iteration throws as `Keyring.needsRewrap`, and the store's errors
   */
  findStale(options: FindStaleOptions = {}): AsyncGenerator<string, void, undefined> {
    const signal = callSignal(options, STALE_OPTIONS, "findStale");
    const { wrappedBy, prefix, after } = options;
    requireText({ prefix, after });
    if (wrappedBy !== undefined) requireKey(wrappedBy);
    const page = { ...(prefix !== undefined && { prefix }), ...(after !== undefined && { after }) };
    const key = wrappedBy && { provider: wrappedBy.provider, keyId: wrappedBy.keyId };
    const isMeant = async (head: BlobHead): Promise<boolean> => {
      if (key === undefined) return this.#mustFold(head) || (await this.#keyring.needsRewrap(head.header, optional(signal)));
      return keysOf(head.header).some(({ provider, keyId }) => provider === key.provider && keyId === key.keyId);
    };
    return found(this.#places, key, page, isMeant, signal);
  }

  /**
   * Checks a stored blob. `ends` opens the header, the first and the last chunk, which finds a blob that was cut, stored in the wrong order
   * at its end, or put under another key: three reads, under 50 kB. `all` opens everything, and tells `onProgress` how far it has come.
   *
   * @returns its length and version
   * @throws as `get` and `SeekableBlob.read`
   */
  async verify(
    name: string,
    extent: "ends" | "all" = "ends",
    options: BlobStreamOptions = {},
  ): Promise<{ readonly plaintextBytes: number; readonly etag: string }> {
    const signal = callSignal(options, BLOB_STREAM_OPTIONS, "verify");
    const { lanes } = options;
    const onProgress = checkedListener(options.onProgress);
    if (extent !== "ends" && extent !== "all") throw invalidArgument(`verify takes "ends" or "all", not ${shownValue(extent)}`);
    const blob = await this.get(name, optional(signal));
    try {
      if (extent === "ends") await blob.read(0, 1, optional(signal));
      else {
        const stream = blob.stream(0, Number.MAX_SAFE_INTEGER, {
          ...optional(signal),
          ...(lanes !== undefined && { lanes }),
          ...(onProgress && { onProgress }),
        });
        for await (const _ of streamPieces(stream));
      }
      return { plaintextBytes: await blob.size(optional(signal)), etag: blob.etag };
    } finally {
      blob.close();
    }
  }

  /**
   * Removes a blob.
   *
   * @returns false if there is none, or with `ifMatch` another version
   * @throws `invalid-argument`, and the store's errors
   */
  async delete(name: string, options: BlobDeleteOptions = {}): Promise<boolean> {
    const signal = callSignal(options, DELETE_OPTIONS, "delete");
    const { ifMatch } = options;
    requireText({ ifMatch });
    const own = checkedName(name);
    const condition = { ...optional(signal), ...(ifMatch !== undefined && { ifMatch }) };
    const before = await this.#notedHeader(own, signal);
    const isDeleted = await repeated(() => this.#store.delete(own, condition), this.#persistence(signal));
    if (isDeleted) await dropHeader(this.#ledger, own, before);
    return isDeleted;
  }

  /** Lists what the store holds, by name. Sizes are those of the envelopes. @throws the iteration throws the store's errors */
  list(options: BlobListOptions = {}): AsyncGenerator<BlobEntry, void, undefined> {
    const signal = callSignal(options, LIST_OPTIONS, "list");
    const { prefix, after } = options;
    requireText({ prefix, after });
    const page = { ...(prefix !== undefined && { prefix }), ...(after !== undefined && { after }) };
    return listed(this.#places, page, signal);
  }

  /** Asks for the context of a blob. Nothing, or a promise of one, would bind the blob to no context at all. */
  #contextOf(name: string): Context {
    const context = this.#context(name);
    if (context === undefined) throw invalidArgument("context gave undefined", "it returns the context of the name: { object: name }");
    return copiedContext(context);
  }

  /** The header that is in force now, if there is a ledger: it is dropped once the blob has been replaced or removed. */
  async #notedHeader(name: string, signal: AbortSignal | undefined): Promise<Uint8Array | undefined> {
    if (this.#ledger === undefined) return undefined;
    const head = await headIn(this.#places, name, signal).catch(() => undefined); // what cannot be read now stays noted
    signal?.throwIfAborted();
    return head?.header;
  }

  /** Whether a header that stands beside the blob belongs into it: in stores that keep none beside. */
  #mustFold(head: BlobHead): boolean {
    return head.isOverlaid && this.#store.header !== "overlay";
  }

  get #places(): BlobPlaces {
    return { store: this.#store, ledger: this.#ledger, clock: this.#clock };
  }

  #persistence(signal: AbortSignal | undefined): Persistence {
    return { clock: this.#clock, signal };
  }
}

/** A store that archived a blob gives its header to nobody. */
function archived(error: unknown): "archived" {
  if (EnvelockError.is(error) && error.detail === "archived") return "archived";
  throw error;
}

/** Runs it at once, and gives its result or its failure later. */
function settled<T>(run: () => T): () => T {
  try {
    const result = run();
    return () => result;
  } catch (error) {
    return () => {
      throw error;
    };
  }
}

const REWRAP_ATTEMPTS = 2;
