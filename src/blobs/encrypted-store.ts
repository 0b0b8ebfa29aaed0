import { CALL_OPTIONS, type CallOptions, callSignal } from "../core/base/call-options.ts";
import { type Clock, systemClock } from "../core/base/clock.ts";
import type { Context } from "../core/base/context.ts";
import { EnvelockError, invalidArgument } from "../core/base/errors.ts";
import { type OptionNames, refuseUnknown, shownValue } from "../core/base/options.ts";
import { inspectEnvelope } from "../core/keyring/inspect.ts";
import { type Keyring, requireKeyring, streamsOf } from "../core/keyring/keyring.ts";
import { checkedBytes } from "../core/resilience/checks.ts";
import { openSeekable } from "../core/stream/seekable.ts";
import { streamPieces } from "../core/stream/stream-pieces.ts";
import { type BlobHead, headOf } from "./blob-head.ts";
import type { BlobCondition, BlobEntry, BlobPage, BlobStore } from "./blob-store.ts";
import { type BlobDescription, checkedDescription, openedDescription } from "./description.ts";
import { EncryptedBlob } from "./encrypted-blob.ts";
import { blobMissing } from "./failures.ts";
import { type BlobKey, keyDigest, keyDigestsOf } from "./key-digest.ts";
import { checkedName } from "./name.ts";
import { PinnedSource } from "./pinned-source.ts";
import type { BlobProgress } from "./progress.ts";
import { type Persistence, repeated } from "./retries.ts";
import { type BlobSource, knownBytesOf, type SealUploadOptions, sealUpload } from "./seal-upload.ts";
import { type BlobHandlerOptions, blobHandler } from "./serve.ts";
import { type BlobTap, type PutResult, writeBlob } from "./write-blob.ts";

export interface EncryptedStoreOptions {
  /**
   * Makes the context of a blob from its name: what it is called wherever it lies, or better an id that stays when it is moved. Never the
   * URL, because a blob opens only under the context that it was put with.
   */
  readonly context: (name: string) => Context;
  /** Notes which keys wrap which blob, for stores without an index: a table of the application. */
  readonly ledger?: BlobLedger;
  /** Defaults to the machine's. */
  readonly clock?: Clock;
}

/** A place where an application notes which keys wrap which blob. It only says where to look: the header of the blob decides. */
export interface BlobLedger {
  /** Adds keys to those of a blob. Called before a change, so that no blob is ever under a key that is not noted. */
  note(name: string, keys: readonly BlobKey[]): Promise<void>;
  /** Leaves these keys of a blob and no other. Called after a change; without it a search looks at more blobs than it must. */
  settle?(name: string, keys: readonly BlobKey[]): Promise<void>;
  /** Removes a blob. */
  forget(name: string): Promise<void>;
  /** Gives the names of the blobs that were noted with this key. */
  find(key: BlobKey): AsyncIterable<string>;
}

export interface PutOptions extends SealUploadOptions, CallOptions {
  /** What the blob is, stored encrypted beside it. */
  readonly describe?: BlobDescription;
  /** Sees the plaintext on its way, and may veto before the commit. */
  readonly tap?: BlobTap;
  /** Replaces the version with this ETag, and no other. Without it and `replace`, the name must be free. */
  readonly ifMatch?: string;
  /** Replaces whatever has the name. */
  readonly replace?: boolean;
  /** Called with each block that the store has taken. */
  readonly onProgress?: (progress: BlobProgress) => void;
}

export interface BlobDeleteOptions extends CallOptions {
  /** Removes the version with this ETag, and no other. */
  readonly ifMatch?: string;
}

export interface BlobListOptions extends CallOptions {
  /** Only names that begin with this. */
  readonly prefix?: string;
  /** Only names after this one, to go on where an earlier run ended. */
  readonly after?: string;
}

export interface FindStaleOptions extends BlobListOptions {
  /** Only blobs that this key wraps, whether or not it is the current one. Uses the index of the store, else the ledger. */
  readonly wrappedBy?: BlobKey;
}

/** What became of a rewrap. `changed`: another process changed the blob twice meanwhile. `not-possible`: the store cannot do it for this blob. */
export type RewrapOutcome = "rewrapped" | "current" | "changed" | "not-possible";

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
  refuseUnknown(options, OPTIONS, "encryptedStore");
  const { context, ledger, clock = systemClock } = options;
  if (typeof context !== "function") throw invalidArgument("context must be a function that makes a blob's context from its name");
  for (const method of ["create", "open", "delete", "list"] as const) {
    if (typeof store?.[method] !== "function") throw invalidArgument(`a blob store has a method \`${method}\``);
  }
  return new EncryptedStore(requireKeyring(keyring, "keyring"), store, context, ledger, clock);
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
  }

  /**
   * Encrypts a source into the store. The blob appears once all of it is stored, and only if the source was whole: a file that its parser
   * cut, a stream that was destroyed and a source of another length end in an error, and nothing appears.
   *
   * @param source read once, block by block, in bounded memory; bytes must not change before the promise settles
   * @param options read when the method is called
   * @throws `invalid-argument`, with `detail` `blob-exists` or `blob-changed` where the condition does not hold, `source-truncated`,
   *   `too-large` or `other-length` for what is wrong with the source; what the source and the tap throw; as `Keyring.encrypt`; and the
   *   store's errors, after five attempts
   */
  async put(name: string, source: BlobSource, options: PutOptions = {}): Promise<PutResult> {
    const signal = callSignal(options, PUT_OPTIONS, "put");
    const { expectedBytes, maxBytes, describe, tap, onProgress } = options;
    const plaintextBytes = checkedBytes(expectedBytes, "expectedBytes") ?? knownBytesOf(source);
    const own = checkedName(name);
    const call = {
      name: own,
      context: { ...this.#context(own) },
      pieces: sealUpload(source, {
        ...(plaintextBytes !== undefined && { expectedBytes: plaintextBytes }),
        ...(maxBytes !== undefined && { maxBytes }),
      }),
      plaintextBytes,
      description: describe === undefined ? undefined : checkedDescription(describe),
      tap: checkedTap(tap),
      condition: conditionOf(options),
      onProgress,
      signal,
    };
    const note = async (header: Uint8Array): Promise<void> => await this.#ledger?.note(own, keysOf(header));
    const { header, ...result } = await writeBlob(streamsOf(this.#keyring), this.#store, { ...call, note }, this.#clock);
    await this.#ledger?.settle?.(own, keysOf(header));
    return result;
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
    const context = { ...this.#context(own) };
    const head = await this.#head(own, signal);
    if (head === undefined) throw blobMissing(own);
    const source = new PinnedSource(own, head, {
      clock: this.#clock,
      open: (given) => repeated(() => this.#store.open(own, FIRST_READ_BYTES, optional(given)), { clock: this.#clock, signal: given }),
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
      const head = await this.#head(own, signal);
      if (head === undefined) throw blobMissing(own);
      if (!(await this.#keyring.needsRewrap(head.header, optional(signal)))) return "current";
      const header = await this.#keyring.rewrapHeader(head.header, optional(signal));
      const keys = await keyDigestsOf(header);
      const change = { ownHeaderBytes: head.ownHeaderBytes, header, keys };
      await this.#ledger?.note(own, keysOf(header));
      const outcome = await repeated(() => head.blob.replaceHeader(change, optional(signal)), this.#persistence(signal));
      if (outcome === "not-possible") return outcome;
      if (outcome === "replaced") {
        await this.#ledger?.settle?.(own, keysOf(header));
        return "rewrapped";
      }
    }
    return "changed";
  }

  /**
   * Finds blobs that `rewrap` would change, or with `wrappedBy` those that a key wraps. Candidates come from the index or the ledger where
   * there is one and `wrappedBy` asks for it, else from the list; the header of each decides.
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
    return this.#stale(wrappedBy && { provider: wrappedBy.provider, keyId: wrappedBy.keyId }, page, signal);
  }

  async *#stale(
    wrappedBy: BlobKey | undefined,
    page: Omit<BlobPage, "limit">,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<string, void, undefined> {
    for await (const name of this.#candidates(wrappedBy, page, signal)) {
      const head = await this.#head(name, signal).catch((error: unknown) => foreign(error));
      if (head === undefined) continue;
      const isMeant =
        wrappedBy === undefined
          ? await this.#keyring.needsRewrap(head.header, optional(signal))
          : keysOf(head.header).some(({ provider, keyId }) => provider === wrappedBy.provider && keyId === wrappedBy.keyId);
      if (isMeant) yield name;
    }
  }

  /**
   * Checks a stored blob. `ends` opens the header, the first and the last chunk, which finds a blob that was cut, stored in the wrong order
   * at its end, or put under another key: three reads, under 50 kB. `all` opens everything.
   *
   * @returns its length and version
   * @throws as `get` and `SeekableBlob.read`
   */
  async verify(
    name: string,
    extent: "ends" | "all" = "ends",
    options: CallOptions = {},
  ): Promise<{ readonly plaintextBytes: number; readonly etag: string }> {
    const signal = callSignal(options, CALL_OPTIONS, "verify");
    if (extent !== "ends" && extent !== "all") throw invalidArgument(`verify takes "ends" or "all", not ${shownValue(extent)}`);
    const blob = await this.get(name, optional(signal));
    try {
      if (extent === "ends") await blob.read(0, 1, optional(signal));
      else for await (const _ of streamPieces(blob.stream(0, Number.MAX_SAFE_INTEGER, optional(signal))));
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
    const isDeleted = await repeated(() => this.#store.delete(own, condition), this.#persistence(signal));
    if (isDeleted) await this.#ledger?.forget(own);
    return isDeleted;
  }

  /** Lists what the store holds, by name. Sizes are those of the envelopes. @throws the iteration throws the store's errors */
  list(options: BlobListOptions = {}): AsyncGenerator<BlobEntry, void, undefined> {
    const signal = callSignal(options, LIST_OPTIONS, "list");
    const { prefix, after } = options;
    requireText({ prefix, after });
    return this.#listed(prefix, after, signal);
  }

  async *#listed(
    prefix: string | undefined,
    after: string | undefined,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<BlobEntry, void, undefined> {
    let last = after;
    for (;;) {
      const page: BlobPage = { limit: PAGE, ...(prefix !== undefined && { prefix }), ...(last !== undefined && { after: last }) };
      const entries = await repeated(() => this.#store.list(page, optional(signal)), this.#persistence(signal));
      requirePage(entries, last);
      yield* entries;
      last = entries.at(-1)?.name;
      if (entries.length < PAGE) return;
    }
  }

  async *#candidates(
    wrappedBy: BlobKey | undefined,
    page: Omit<BlobPage, "limit">,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<string, void, undefined> {
    if (wrappedBy !== undefined && this.#store.findByKey !== undefined) {
      const digest = await keyDigest(wrappedBy);
      let next: string | undefined;
      do {
        const from = { ...(page.prefix !== undefined && { prefix: page.prefix }), ...(next !== undefined && { after: next }) };
        const found = await repeated(async () => await this.#store.findByKey?.(digest, from, optional(signal)), this.#persistence(signal));
        yield* found?.names ?? [];
        next = found?.next;
      } while (next !== undefined);
    } else if (wrappedBy !== undefined && this.#ledger !== undefined) {
      for await (const name of this.#ledger.find(wrappedBy)) if (page.prefix === undefined || name.startsWith(page.prefix)) yield name;
    } else {
      for await (const { name } of this.list({ ...page, ...optional(signal) })) yield name;
    }
  }

  async #head(name: string, signal: AbortSignal | undefined): Promise<BlobHead | undefined> {
    return await repeated(async () => {
      const blob = await this.#store.open(name, FIRST_READ_BYTES, optional(signal));
      return blob === undefined ? undefined : await headOf(name, blob, signal);
    }, this.#persistence(signal));
  }

  #persistence(signal: AbortSignal | undefined): Persistence {
    return { clock: this.#clock, signal };
  }
}

function conditionOf({ ifMatch, replace }: PutOptions): BlobCondition {
  requireText({ ifMatch });
  if (replace !== undefined && typeof replace !== "boolean") throw invalidArgument("replace is true or false");
  if (ifMatch !== undefined && replace === true) throw invalidArgument("put takes ifMatch or replace, and both are given");
  if (ifMatch !== undefined) return { ifMatch };
  return replace === true ? { always: true } : { ifNone: "*" };
}

function requireText(given: Readonly<Record<string, string | undefined>>): void {
  for (const [name, value] of Object.entries(given)) {
    if (value !== undefined && typeof value !== "string") throw invalidArgument(`${name} must be text`);
  }
}

function requireKey(key: BlobKey): void {
  if (typeof key?.provider === "string" && typeof key.keyId === "string") return;
  throw invalidArgument("wrappedBy names a key by the texts provider and keyId", "`inspect` of an envelope gives them for each recipient.");
}

/** A page that does not go on would be asked for again and again. Names with characters from U+D800 on have two orders. */
function requirePage(entries: readonly BlobEntry[], after: string | undefined): void {
  const isList = Array.isArray(entries) && entries.every((entry) => typeof entry?.name === "string");
  const end = isList ? entries.at(-1)?.name : undefined;
  const goesOn = end === undefined || after === undefined || end > after || (end !== after && /[\ud800-\uffff]/.test(end + after));
  if (isList && goesOn) return;
  throw new EnvelockError("provider-failure", "the store gave a page of a list that is none, or that does not go on", {
    hint: "`blobConformance` of envelock/blobs/conformance finds what a store lacks",
  });
}

function checkedTap(tap: BlobTap | undefined): BlobTap | undefined {
  if (tap === undefined || typeof tap?.onPiece === "function") return tap;
  throw invalidArgument("a tap has a method onPiece");
}

function keysOf(header: Uint8Array): readonly BlobKey[] {
  return inspectEnvelope(header, header.length).recipients.map(({ provider, keyId }) => ({ provider, keyId }));
}

/** A blob that is no envelope is none of ours: a search passes over it. */
function foreign(error: unknown): undefined {
  if (EnvelockError.is(error) && error.code === "malformed-envelope") return undefined;
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

function optional(signal: AbortSignal | undefined): CallOptions {
  return signal === undefined ? {} : { signal };
}

const OPTIONS: OptionNames<EncryptedStoreOptions> = { context: true, ledger: true, clock: true };
const PUT_OPTIONS: OptionNames<PutOptions> = {
  ...CALL_OPTIONS,
  expectedBytes: true,
  maxBytes: true,
  describe: true,
  tap: true,
  ifMatch: true,
  replace: true,
  onProgress: true,
};
const DELETE_OPTIONS: OptionNames<BlobDeleteOptions> = { ...CALL_OPTIONS, ifMatch: true };
const LIST_OPTIONS: OptionNames<BlobListOptions> = { ...CALL_OPTIONS, prefix: true, after: true };
const STALE_OPTIONS: OptionNames<FindStaleOptions> = { ...LIST_OPTIONS, wrappedBy: true };
/** Header, salt, commitment and often the first chunk. With it a read of 1 MiB stays within 33 KiB of what was asked for, wherever it begins. */
const FIRST_READ_BYTES = 16_368;
const REWRAP_ATTEMPTS = 2;
const PAGE = 1000;
