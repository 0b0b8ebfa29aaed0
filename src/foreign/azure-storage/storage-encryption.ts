import { isBytes, type OwnedBytes, viewOf, wipe } from "../../core/base/bytes.ts";
import { CALL_OPTIONS, type CallOptions, callSignal } from "../../core/base/call-options.ts";
import { EnvelockError, invalidArgument } from "../../core/base/errors.ts";
import { type OptionNames, refuseUnknown } from "../../core/base/options.ts";
import type { KeyWrapper } from "../../core/contracts/key-wrapper.ts";
import { checkedBytes } from "../../core/resilience/checks.ts";
import { RESILIENCE_OPTIONS, type ResilienceOptions } from "../../core/resilience/policy.ts";
import type { SeekableSource } from "../../core/stream/seekable-source.ts";
import { keyEncryptionKeyResolver } from "../../integrations/azure-sdk/key-encryption-key.ts";
import type { KeyCacheBounds } from "../../integrations/azure-sdk/unwrapped-keys.ts";
import { ofExpectedLength } from "../expected-length.ts";
import type { ForeignReader, StoredSource } from "../foreign-blob.ts";
import type { StoredMetadata } from "../metadata.ts";
import { blocksOf, joined, type PieceSource, piecesOf, streamOf } from "../pieces.ts";
import { type RewrapStorageOutcome, rewrapBlob, type StorageMetadataClient } from "./blob-rewrap.ts";
import { CbcBody, openedBlocks, requireBlocks, WINDOW_BYTES } from "./cbc.ts";
import { INNER_PREFIXES, newInner, type StorageKeyResolver, unwrappedContentKey, wrappedInner } from "./content-key.ts";
import {
  type EncryptionData,
  encryptionDataOf,
  encryptionTextFor,
  hasEncryptionData,
  type ReadRules,
  type RegionData,
} from "./encryption-data.ts";
import { LARGEST_REGION_BYTES, plaintextBytesIn, Regions, storedBytesFor } from "./regions.ts";
import { cbcLayout, openedBlob, regionLayout, type StorageBlob } from "./storage-blob.ts";

export interface AzureStorageEncryptionOptions extends ResilienceOptions {
  /** Providers that wrap keys of other formats, such as `azureKey`: the first wraps, all of them unwrap. Or a resolver by key id. */
  readonly keys: readonly [KeyWrapper, ...KeyWrapper[]] | StorageKeyResolver;
  /**
   * Reads blobs of protocol 1.0 too. They are not authenticated: a program that may write to the container can change bits of the
   * plaintext, and may find out the plaintext by trials.
   */
  readonly dangerReadV1?: boolean;
  /** The longest region to read: two of them are held in memory. Defaults to 64 MiB; the format allows 1 GiB. */
  readonly maxRegionBytes?: number;
  /** The bounds of the cache of unwrapped keys. A resolver has its own. */
  readonly cache?: KeyCacheBounds;
}

export interface StorageEncryptOptions extends CallOptions {
  /** Defaults to 2.0, which more of Microsoft's releases read. */
  readonly protocol?: "2.0" | "2.1";
  /** The plaintext bytes of a region, from 16 bytes to 1 GiB. 4 MiB under 2.0, where no other length is written. */
  readonly regionBytes?: number;
  /** The length of the source, if it is known. A source of another length fails. */
  readonly expectedBytes?: number;
}

export interface StorageDecryptOptions extends CallOptions {
  /** The plaintext's length, where it is known from elsewhere. The format itself does not show regions that are missing at the end. */
  readonly expectedBytes?: number;
}

export interface StorageStreamOptions extends StorageDecryptOptions {
  /** The stored length, such as a Content-Length. It is checked before a key is used, and a body of another length fails. */
  readonly storedBytes?: number;
}

/** A stored blob: what a client of the store gives. */
export interface StoredBody<Body> {
  readonly metadata: StoredMetadata | undefined;
  readonly body: Body;
}

/** A body and the metadata without which nothing opens it: store both in one call. */
export interface EncryptedBody<Body> {
  readonly body: Body;
  readonly metadata: Readonly<Record<"encryptiondata", string>>;
}

/**
 * Reads and writes the client-side encryption of Azure Storage. It has no switch that stores or returns plaintext: encrypting always
 * encrypts, and a blob without encryption data is an error.
 */
export interface AzureStorageEncryption extends ForeignReader {
  /** Encrypts bytes. @throws `invalid-argument`, and what the key service says */
  encrypt(plaintext: Uint8Array, options?: StorageEncryptOptions): Promise<EncryptedBody<OwnedBytes>>;

  /**
   * Encrypts a source in bounded memory. The stream fails if the source does.
   *
   * @throws `invalid-argument`, and what the key service says
   */
  encryptStream(source: PieceSource, options?: StorageEncryptOptions): Promise<EncryptedBody<ReadableStream<OwnedBytes>>>;

  /**
   * Decrypts a whole body.
   *
   * @throws `malformed-envelope`, `unsupported-version`, `no-matching-provider`, `authentication-failed`, and what the key service says
   */
  decrypt(blob: StoredBody<Uint8Array>, options?: StorageDecryptOptions): Promise<OwnedBytes>;

  /**
   * Decrypts a body as it comes, in bounded memory: each region once its tag is verified. Use what came only after the stream has ended
   * without an error.
   *
   * @throws as `decrypt`, before the stream is there for what stands in the metadata
   */
  decryptStream(blob: StoredBody<PieceSource>, options?: StorageStreamOptions): Promise<ReadableStream<OwnedBytes>>;

  /** Whether metadata has encryption data. Calls no key service. @throws `malformed-envelope` for a name in two spellings */
  recognises(blob: { readonly metadata: StoredMetadata | undefined }): boolean;

  /** Opens a blob for ranges. @throws as `decrypt` */
  open(blob: StoredSource, options?: StorageDecryptOptions): Promise<StorageBlob>;

  /**
   * Wraps a blob's content key with the current key, in its metadata alone: under the ETag, with all other metadata kept. The body is
   * neither read nor written.
   *
   * @param client a `BlobClient` of `@azure/storage-blob`, or an object with these two methods
   * @returns `current` if the current key wraps it already, `changed` if the blob changed meanwhile, twice
   * @throws as `decrypt`; `unavailable`, `access-denied` with the client's error as cause
   */
  rewrap(client: StorageMetadataClient, options?: CallOptions): Promise<RewrapStorageOutcome>;

  /** Wipes what is cached and closes the resolver. The providers stay open. Every later call throws `closed`. */
  close(): void;
}

/**
 * Makes a reader and writer of Azure Storage client-side encryption: it reads 2.0 and 2.1, 1.0 on request, and writes 2.0 and 2.1.
 *
 * @throws `invalid-argument`
 * @see docs/foreign.md
 * @example
 * ```ts
 * import { azureStorageEncryption } from "envelock/azure-storage-encryption";
 * import type { AzureKey } from "envelock/providers/azure";
 *
 * export async function seal(key: AzureKey, invoice: Uint8Array) {
 *   const encryption = azureStorageEncryption({ keys: [key] });
 *   return await encryption.encrypt(invoice); // { body, metadata }, to be stored in one call
 * }
 * ```
 */
export function azureStorageEncryption(options: AzureStorageEncryptionOptions): AzureStorageEncryption {
  refuseUnknown(options, OPTIONS, "azureStorageEncryption");
  const { keys, dangerReadV1 = false, maxRegionBytes = 64 * 1024 * 1024, cache, ...resilience } = options;
  if (typeof dangerReadV1 !== "boolean") throw invalidArgument("dangerReadV1 is true or false");
  if (!isWithin(maxRegionBytes, 1, LARGEST_REGION_BYTES)) throw invalidArgument("maxRegionBytes is an integer from 1 to 2^30");
  const resolver = resolverOf(keys, { ...resilience, ...(cache && { cache }) });
  const rules: ReadRules = { readsV1: dangerReadV1, maxRegionBytes };
  let isClosed = false;
  const requireOpen = (): void => {
    if (isClosed) throw new EnvelockError("closed", "this encryption has been closed");
  };

  const beginWriting = async (options: StorageEncryptOptions, signal: AbortSignal | undefined): Promise<Writing> => {
    requireOpen();
    const { protocol, regionBytes } = checkedLayout(options, maxRegionBytes);
    const inner = newInner(protocol);
    try {
      const wrapped = await wrappedInner(resolver, inner, signal);
      const regions = new Regions(inner.subarray(INNER_PREFIXES[protocol].length), regionBytes);
      return { metadata: { encryptiondata: encryptionTextFor({ protocol, wrapped, regionBytes }) }, regions };
    } finally {
      wipe(inner);
    }
  };
  const beginReading = async (data: EncryptionData, signal: AbortSignal | undefined): Promise<Reading> => {
    requireOpen();
    const contentKey = await unwrappedContentKey(resolver, data, signal);
    try {
      if (data.protocol === "1.0") return { data, cbc: new CbcBody(contentKey) };
      return { data, regions: new Regions(contentKey, data.regionBytes) };
    } finally {
      wipe(contentKey);
    }
  };

  const open = async (blob: StoredSource, options: StorageDecryptOptions, what: string): Promise<StorageBlob> => {
    const signal = callSignal(options, DECRYPT_OPTIONS, what);
    const expected = checkedBytes(options.expectedBytes, "expectedBytes");
    const data = encryptionDataOf(blob?.metadata, rules);
    const { size } = blob;
    if (checkedBytes(size, "size") === undefined) throw invalidArgument("the source must have a size");
    requireStored(data, size);
    const reading = await beginReading(data, signal);
    return await openedBlob(layoutOf(reading, size), blob, expected, signal);
  };

  return {
    async encrypt(plaintext, options = {}) {
      const signal = callSignal(options, ENCRYPT_OPTIONS, "encrypt");
      if (!isBytes(plaintext)) throw invalidArgument("encrypt takes a Uint8Array");
      const steady = viewOf(plaintext).slice(); // the caller may change its bytes while the key service is asked
      const expected = checkedBytes(options.expectedBytes, "expectedBytes");
      if (expected !== undefined && expected !== steady.length) throw wrongSource(`${steady.length}`, expected);
      try {
        const { metadata, regions } = await beginWriting(options, signal);
        const body = new Uint8Array(storedBytesFor(steady.length, regions.regionBytes));
        for (let index = 0, at = 0; at < steady.length; index++, at += regions.regionBytes) {
          body.set(await regions.seal(index, steady.subarray(at, at + regions.regionBytes)), index * regions.storedBytes);
        }
        return { metadata, body };
      } finally {
        wipe(steady);
      }
    },
    async encryptStream(source, options = {}) {
      const given = callSignal(options, ENCRYPT_OPTIONS, "encryptStream");
      const expected = checkedBytes(options.expectedBytes, "expectedBytes");
      const stop = new AbortController();
      const pieces = piecesOf(source, joined(given, stop));
      const { metadata, regions } = await beginWriting(options, given);
      return { metadata, body: streamOf(sealedRegions(sourceOf(pieces, expected), regions), stop) };
    },
    async decrypt(blob, options = {}) {
      const { data, body } = partsOf(blob, rules);
      if (!isBytes(body)) throw invalidArgument("the body must be a Uint8Array");
      requireStored(data, body.length);
      const opened = await open({ metadata: blob.metadata, ...sourceOfBytes(viewOf(body)) }, options, "decrypt");
      const { signal } = options;
      return await opened.read(0, Number.MAX_SAFE_INTEGER, signal === undefined ? {} : { signal });
    },
    async decryptStream(blob, options = {}) {
      const given = callSignal(options, STREAM_OPTIONS, "decryptStream");
      const expected = checkedBytes(options.expectedBytes, "expectedBytes");
      const storedBytes = checkedBytes(options.storedBytes, "storedBytes");
      const { data, body } = partsOf(blob, rules);
      if (storedBytes !== undefined) requireStored(data, storedBytes);
      const stop = new AbortController();
      const pieces = ofExpectedLength(piecesOf(body, joined(given, stop)), storedBytes);
      const reading = await beginReading(data, given);
      return streamOf(ofExpectedLength(openedPieces(pieces, reading), expected), stop);
    },
    recognises: ({ metadata }) => hasEncryptionData(metadata),
    async open(blob, options = {}) {
      return await open(blob, options, "open");
    },
    async rewrap(client, options = {}) {
      const signal = callSignal(options, CALL_OPTIONS, "rewrap");
      requireOpen();
      return await rewrapBlob(client, resolver, { ...rules, maxRegionBytes: LARGEST_REGION_BYTES }, signal); // no body is read
    },
    close() {
      isClosed = true;
      resolver.close?.();
    },
  };
}

interface Writing {
  readonly metadata: Readonly<Record<"encryptiondata", string>>;
  readonly regions: Regions;
}

type Reading =
  | { readonly data: EncryptionData & { readonly protocol: "2.0" | "2.1" }; readonly regions: Regions }
  | { readonly data: EncryptionData & { readonly protocol: "1.0" }; readonly cbc: CbcBody };

function resolverOf(
  keys: AzureStorageEncryptionOptions["keys"],
  options: ResilienceOptions & { readonly cache?: KeyCacheBounds },
): StorageKeyResolver {
  const given: unknown = keys;
  if (typeof given !== "object" || given === null) throw invalidArgument("keys are an array of providers, or a resolver");
  if ("resolve" in keys) {
    if (typeof keys.resolve !== "function") throw invalidArgument("a resolver must have resolve()");
    const [unused] = Object.entries(options).find(([, value]) => value !== undefined) ?? [];
    if (unused === undefined) return keys;
    throw invalidArgument(
      `${unused} goes with providers, and keys is a resolver`,
      "a resolver calls its key services itself: state it there",
    );
  }
  if (!Array.isArray(given) || keys.length === 0) throw invalidArgument("keys must be an array of at least one provider, or a resolver");
  for (const key of keys) {
    const isWrapper = typeof key === "object" && key !== null && "unwrapKey" in key && "wrapKey" in key && "currentKey" in key;
    if (!isWrapper)
      throw invalidArgument(
        "every key must be able to wrap keys of other formats",
        "azureKey is; for keys in this process use localStorageKeys",
      );
  }
  return keyEncryptionKeyResolver(keys, options);
}

function checkedLayout(options: StorageEncryptOptions, maxRegionBytes: number): Pick<RegionData, "protocol" | "regionBytes"> {
  const { protocol = "2.0", regionBytes = USUAL_REGION_BYTES } = options;
  if (protocol !== "2.0" && protocol !== "2.1")
    throw invalidArgument("protocol is 2.0 or 2.1", "1.0 authenticates nothing and is never written");
  if (!isWithin(regionBytes, LEAST_REGION_BYTES, LARGEST_REGION_BYTES)) throw invalidArgument("regionBytes is an integer from 16 to 2^30");
  if (protocol === "2.0" && regionBytes !== USUAL_REGION_BYTES) {
    throw invalidArgument("regions of 2.0 have 4 MiB", "other lengths are written under protocol 2.1");
  }
  if (regionBytes > maxRegionBytes)
    throw invalidArgument(`regions of ${regionBytes} bytes would not be read again: maxRegionBytes is ${maxRegionBytes}`);
  return { protocol, regionBytes };
}

function partsOf<Body>(blob: StoredBody<Body>, rules: ReadRules): { readonly data: EncryptionData; readonly body: Body } {
  const given: unknown = blob;
  if (typeof given !== "object" || given === null) throw invalidArgument("a stored blob is an object with metadata and body");
  return { data: encryptionDataOf(blob.metadata, rules), body: blob.body };
}

/** Checks a length before a key is used. @throws `malformed-envelope` */
function requireStored(data: EncryptionData, storedBytes: number): void {
  if (data.protocol === "1.0") requireBlocks(storedBytes);
  else plaintextBytesIn(storedBytes, data.regionBytes);
}

function layoutOf(reading: Reading, storedBytes: number): ReturnType<typeof regionLayout> {
  if ("regions" in reading) return regionLayout(reading.regions, reading.data.protocol, storedBytes);
  return cbcLayout(reading.cbc, reading.data.firstBlock, storedBytes);
}

function sourceOfBytes(bytes: Uint8Array): SeekableSource {
  return { size: bytes.length, read: async (start, end) => bytes.subarray(start, end) };
}

async function* sourceOf(pieces: AsyncIterable<Uint8Array>, expected: number | undefined): AsyncGenerator<Uint8Array, void, undefined> {
  let taken = 0;
  for await (const piece of pieces) {
    taken += piece.length;
    if (expected !== undefined && taken > expected) throw wrongSource(`at least ${taken}`, expected);
    yield piece;
  }
  if (expected !== undefined && taken < expected) throw wrongSource(`${taken}`, expected);
}

function wrongSource(found: string, expected: number): EnvelockError {
  return invalidArgument(`expectedBytes is ${expected}, the source gave ${found}`);
}

async function* sealedRegions(pieces: AsyncIterable<Uint8Array>, regions: Regions): AsyncGenerator<OwnedBytes, void, undefined> {
  let index = 0;
  for await (const region of blocksOf(pieces, regions.regionBytes)) yield await regions.seal(index++, region);
}

async function* openedPieces(pieces: AsyncIterable<Uint8Array>, reading: Reading): AsyncGenerator<OwnedBytes, void, undefined> {
  if ("cbc" in reading) return yield* openedBlocks(blocksOf(pieces, WINDOW_BYTES), reading.cbc, reading.data.firstBlock);
  let index = 0;
  for await (const region of blocksOf(pieces, reading.regions.storedBytes)) yield await reading.regions.open(index++, region);
}

function isWithin(value: number, least: number, most: number): boolean {
  return Number.isSafeInteger(value) && value >= least && value <= most;
}

const USUAL_REGION_BYTES: number = 4 * 1024 * 1024;
const LEAST_REGION_BYTES = 16;
const OPTIONS: OptionNames<AzureStorageEncryptionOptions> = {
  ...RESILIENCE_OPTIONS,
  keys: true,
  dangerReadV1: true,
  maxRegionBytes: true,
  cache: true,
};
const ENCRYPT_OPTIONS: OptionNames<StorageEncryptOptions> = { signal: true, protocol: true, regionBytes: true, expectedBytes: true };
const STREAM_OPTIONS: OptionNames<StorageStreamOptions> = { signal: true, expectedBytes: true, storedBytes: true };
const DECRYPT_OPTIONS: OptionNames<StorageDecryptOptions> = { signal: true, expectedBytes: true };
