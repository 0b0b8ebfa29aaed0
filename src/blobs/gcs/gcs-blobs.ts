import { runtimeFetch } from "#fetch";
import { CALL_OPTIONS, type CallOptions, callSignal } from "../../core/base/call-options.ts";
import { type Clock, systemClock } from "../../core/base/clock.ts";
import { crc32c } from "../../core/base/crc32c.ts";
import { EnvelockError, invalidArgument } from "../../core/base/errors.ts";
import { type OptionNames, readArgument, refuseUnknown, requireMethods, shownValue } from "../../core/base/options.ts";
import type { BlobEntry, BlobPage, BlobStore, BlockRules, StoredBlob } from "../blob-store.ts";
import { sourceChanged } from "../failures.ts";
import { type BlobFetch, gatheredBytes, SILENCE_MS, safeBase } from "../http.ts";
import { checkedName } from "../name.ts";
import { type BlobOverlays, overlaidBlobs } from "../overlays.ts";
import { checksumText, type GcsCallOptions, GcsCalls } from "./calls.ts";
import { BLOCK_STEP_BYTES, GcsUpload } from "./gcs-upload.ts";
import { fitsMetadata, overlayOf, ownMetadata, removedBeside, writtenBeside } from "./metadata-headers.ts";
import { type GcsObject, isGeneration } from "./object.ts";
import { settled } from "./refusals.ts";
import { type GcsTokenSource, tokensOf } from "./tokens.ts";

/** A bucket of Google Cloud Storage, over its JSON API: no SDK is needed. */
export interface GcsBucket {
  /** The name of the bucket. */
  readonly bucket: string;
  /** An access token with the scope `devstorage.read_write` or `cloud-platform`, or what gives one. */
  readonly token: GcsTokenSource;
  /** The origin of the service. Defaults to `https://storage.googleapis.com`. Set it for Private Service Connect and for an emulator. */
  readonly url?: string;
  /** Defaults to the global one. */
  readonly fetch?: BlobFetch;
  /** How long the service may be silent. Defaults to 60,000 ms. */
  readonly silenceMs?: number;
  readonly clock?: Clock;
}

export interface GcsBlobsOptions {
  /**
   * Where a rewrap puts a new header. `metadata`, the default: the metadata of the object, or an object beside it that the metadata names if
   * the header is too long. An object with `read`, `write` and `remove`: a table of the application.
   */
  readonly rewrap?: "metadata" | BlobOverlays;
  /** The storage class of new objects. Defaults to the bucket's. */
  readonly storageClass?: GcsStorageClass;
}

export type GcsStorageClass = "STANDARD" | "NEARLINE" | "COLDLINE" | "ARCHIVE";

/**
 * Keeps blobs in a bucket of Google Cloud Storage. The generation of an object is its ETag.
 *
 * Objects cannot be changed in part. A rewrap leaves the bytes as they are and writes the new header into the metadata of the object, under
 * a condition, so that the generation stays and readers go on.
 *
 * @throws `invalid-argument` for bad options, or a URL that is not https
 * @example
 * ```ts
 * import { Keyring } from "envelock";
 * import { encryptedStore } from "envelock/blobs";
 * import { gcsBlobs } from "envelock/blobs/gcs";
 *
 * export function blobsOf(keyring: Keyring, token: () => Promise<string>) {
 *   return encryptedStore(keyring, gcsBlobs({ bucket: "acme-invoices", token }), { context: (name) => ({ object: name }) });
 * }
 * ```
 */
export function gcsBlobs(bucket: GcsBucket, options: GcsBlobsOptions = {}): BlobStore {
  refuseUnknown(options, OPTIONS, "gcsBlobs");
  const { rewrap = "metadata", storageClass } = options;
  if (storageClass !== undefined && !STORAGE_CLASSES.has(storageClass)) {
    throw invalidArgument(`storageClass is ${shownValue(storageClass)}, expected one of ${[...STORAGE_CLASSES].join(", ")}`);
  }
  const calls = readArgument("the bucket of gcsBlobs", () => callsOf(bucket));
  const objects = objectStore(calls, storageClass);
  if (rewrap === "metadata") return objects;
  requireMethods(rewrap, ["read", "write", "remove"], '`rewrap` is "metadata", or a place for overlays');
  return overlaidBlobs(objects, rewrap);
}

function callsOf(given: GcsBucket): GcsCalls {
  refuseUnknown(given, BUCKET_OPTIONS, "gcsBlobs");
  const { bucket, token, url = SERVICE, fetch = runtimeFetch, silenceMs = SILENCE_MS, clock = systemClock } = given;
  if (typeof bucket !== "string" || !BUCKET_NAME.test(bucket)) {
    throw invalidArgument("bucket is the name of a bucket: 3 to 222 lower-case letters, digits, dots, hyphens and underscores");
  }
  const base = safeBase(url);
  if (
    base === undefined ||
    base.pathname !== "/" ||
    base.search !== "" ||
    base.hash !== "" ||
    base.username !== "" ||
    base.password !== ""
  ) {
    throw invalidArgument("the url of Cloud Storage is the origin of the service, by https; http is for this machine alone");
  }
  return new GcsCalls({ fetch, silenceMs, clock }, { base, bucket, token: tokensOf(token) });
}

function objectStore(calls: GcsCalls, storageClass: GcsStorageClass | undefined): BlobStore {
  return {
    header: "overlay",
    blocks: BLOCKS,
    async create(name, { metadata, condition }, call = {}) {
      callSignal(call, CALL_OPTIONS, "create")?.throwIfAborted();
      const content = { metadata: storedMetadata(metadata), ...(storageClass !== undefined && { storageClass }) };
      return new GcsUpload({ calls, name: checkedName(name), content, condition });
    },
    open: (name, firstBytes, call = {}) => opened(calls, name, firstBytes, { signal: callSignal(call, CALL_OPTIONS, "open") }),
    async delete(name, call = {}) {
      const signal = callSignal(call, DELETE_OPTIONS, "delete");
      signal?.throwIfAborted();
      const { ifMatch } = call;
      const own = checkedName(name);
      if (ifMatch !== undefined && !isGeneration(ifMatch)) return false;
      return await settled({ missing: () => false, changed: () => false }, async () => {
        const object = await calls.describe(own, { signal });
        if (ifMatch !== undefined && object.generation !== ifMatch) return false;
        await calls.remove(own, ifMatch === undefined ? {} : { ifGenerationMatch: ifMatch }, { signal });
        await removedBeside(calls, object, { signal });
        return true;
      });
    },
    async list(page, call = {}) {
      const signal = callSignal(call, CALL_OPTIONS, "list");
      signal?.throwIfAborted();
      return await pageOf(calls, page, { signal });
    },
    async findByKey(digest, { prefix, after }, call = {}) {
      const signal = callSignal(call, CALL_OPTIONS, "findByKey");
      signal?.throwIfAborted();
      const query = {
        ...(prefix !== undefined && { prefix }),
        ...(after !== undefined && { pageToken: after }),
        maxResults: `${MOST_LISTED}`,
      };
      const { objects, next } = await listed(calls, query, { signal });
      const names = objects.filter(({ metadata }) => mayBeUnder(digest, metadata)).map(({ name }) => name);
      return { names, ...(next !== undefined && { next }) };
    },
  };
}

async function opened(calls: GcsCalls, name: string, firstBytes: number, options: GcsCallOptions): Promise<StoredBlob | undefined> {
  options.signal?.throwIfAborted();
  const own = checkedName(name);
  return await settled({ missing: () => undefined }, async () => {
    for (let attempt = 1; ; attempt++) {
      const [object, { generation, first }] = await Promise.all([
        calls.describe(own, options),
        beginningOf(calls, own, firstBytes, options),
      ]);
      const overlay = await overlayOf(calls, object, options);
      // another write came between the two answers, or between the metadata and what it names
      const isTorn = (generation !== undefined && generation !== object.generation) || first.length < Math.min(firstBytes, object.size);
      if (!isTorn && (overlay !== "moved" || attempt >= MOST_LOOKS)) {
        requireChecksum(object, first);
        return storedBlob(calls, object, first, overlay === "moved" ? undefined : overlay);
      }
      if (attempt >= MOST_LOOKS)
        throw new EnvelockError("unavailable", "the object changes faster than it can be read", { whose: "service" });
    }
  });
}

/** Reads the first bytes. An object without bytes has no range to ask for. */
async function beginningOf(
  calls: GcsCalls,
  name: string,
  firstBytes: number,
  options: GcsCallOptions,
): Promise<{ readonly generation: string | undefined; readonly first: Uint8Array }> {
  return await settled({ empty: () => ({ generation: undefined, first: new Uint8Array(0) }) }, async () => {
    const { generation, body } = await calls.media(name, 0, firstBytes, {}, options);
    return { generation, first: await gatheredBytes(body, firstBytes) };
  });
}

/** Compares the checksum of an object that was read as a whole. @throws `unavailable` */
function requireChecksum({ size, crc32c: expected }: GcsObject, bytes: Uint8Array): void {
  if (bytes.length !== size || expected === undefined || checksumText(crc32c(bytes)) === expected) return;
  throw new EnvelockError("unavailable", "bytes changed on their way from the store: their checksum does not fit", {
    detail: "checksum",
    whose: "service",
  });
}

function storedBlob(calls: GcsCalls, object: GcsObject, first: Uint8Array, overlay: StoredBlob["overlay"]): StoredBlob {
  const { name, size, generation, metadata } = object;
  return {
    size,
    etag: generation,
    metadata: ownMetadata(metadata),
    first,
    ...(overlay !== undefined && { overlay }),
    async *read(start, end, { ifMatch, signal }) {
      const gone = (): never => {
        throw sourceChanged(name);
      };
      if (!isGeneration(ifMatch)) gone();
      const { body } = await settled({ changed: gone, missing: gone }, () =>
        calls.media(name, start, end, { ifGenerationMatch: ifMatch }, { signal }),
      );
      yield* body;
    },
    async replaceHeader(change, call = {}) {
      const signal = callSignal(call, CALL_OPTIONS, "replaceHeader");
      signal?.throwIfAborted();
      return await writtenBeside(calls, object, change, { signal });
    },
  };
}

/** The service counts from an offset that it includes, and may give fewer than it was asked for. */
async function pageOf(calls: GcsCalls, { prefix, after, limit }: BlobPage, options: GcsCallOptions): Promise<readonly BlobEntry[]> {
  const entries: BlobEntry[] = [];
  let pageToken: string | undefined;
  do {
    const query = {
      ...(prefix !== undefined && { prefix }),
      ...(after !== undefined && { startOffset: after }),
      ...(pageToken !== undefined && { pageToken }),
      maxResults: `${Math.min(limit + 1, MOST_LISTED)}`,
    };
    const page = await listed(calls, query, options);
    for (const { name, size, generation } of page.objects) if (name !== after) entries.push({ name, size, etag: generation });
    if (page.next !== undefined && page.next === pageToken)
      throw new EnvelockError("provider-failure", "the store gave a page of a list that does not go on", { whose: "service" });
    pageToken = page.next;
  } while (pageToken !== undefined && entries.length < limit);
  return entries.slice(0, limit);
}

async function listed(calls: GcsCalls, query: Readonly<Record<string, string>>, options: GcsCallOptions): ReturnType<GcsCalls["list"]> {
  const missing = (): never => {
    throw invalidArgument("there is no such bucket", "create the bucket first");
  };
  return await settled({ missing }, () => calls.list(query, options));
}

/** An object whose metadata says nothing of keys may be under any: its header decides. */
function mayBeUnder(digest: string, { envelock_keys: keys }: Readonly<Record<string, string>>): boolean {
  return keys === undefined || keys.split(".").includes(digest);
}

/** @throws `invalid-argument` if there is too much */
function storedMetadata(metadata: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  if (fitsMetadata(metadata)) return { ...metadata };
  throw new EnvelockError("invalid-argument", "the metadata of the blob is more than Cloud Storage keeps: 8 KiB, and 4 KiB a value", {
    detail: "too-large",
    hint: "shorten the description",
  });
}

const SERVICE = "https://storage.googleapis.com";
const BUCKET_NAME = /^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$/;
const STORAGE_CLASSES: ReadonlySet<string> = new Set<GcsStorageClass>(["STANDARD", "NEARLINE", "COLDLINE", "ARCHIVE"]);
const OPTIONS: OptionNames<GcsBlobsOptions> = { rewrap: true, storageClass: true };
const BUCKET_OPTIONS: OptionNames<GcsBucket> = { bucket: true, token: true, url: true, fetch: true, silenceMs: true, clock: true };
const DELETE_OPTIONS: OptionNames<CallOptions & { readonly ifMatch?: string }> = { ...CALL_OPTIONS, ifMatch: true };
/** The most that the service gives in one page. */
const MOST_LISTED = 1000;
/** How often an object that changes meanwhile is looked at. */
const MOST_LOOKS = 3;
const BLOCKS: BlockRules = {
  isHeaderApart: false,
  bytes: 8 * 1024 * 1024,
  leastBytes: BLOCK_STEP_BYTES,
  mostBytes: 64 * 1024 * 1024,
  mostBlocks: 655_361, // an object has 5 TiB at most
  areEqual: false,
  inFlight: 1,
};
