import { runtimeFetch } from "#fetch";
import { CALL_OPTIONS, type CallOptions, callSignal } from "../../core/base/call-options.ts";
import { type Clock, systemClock } from "../../core/base/clock.ts";
import { EnvelockError, invalidArgument } from "../../core/base/errors.ts";
import { type OptionNames, readArgument, refuseUnknown, requireMethods, shownValue } from "../../core/base/options.ts";
import type { BlobEntry, BlobPage, BlobStore, BlockRules, StoredBlob } from "../blob-store.ts";
import { sourceChanged } from "../failures.ts";
import { type BlobFetch, gatheredBytes, SILENCE_MS, type Wire } from "../http.ts";
import type { BlobLock } from "../lock.ts";
import { checkedName, isBlobName } from "../name.ts";
import { type BlobOverlays, blobsBeside, overlaidBlobs } from "../overlays.ts";
import { annotations } from "./annotations.ts";
import { type S3Calls, type S3ContentHeaders, type S3StorageClass, STORAGE_CLASSES } from "./calls.ts";
import type { S3ClientBucket } from "./client.ts";
import { clientCalls } from "./client-calls.ts";
import { fetchCalls } from "./fetch-calls.ts";
import { rewrittenInPlace } from "./in-place.ts";
import { guardedCalls, type S3Mode, type S3Traits, traitsOf } from "./modes.ts";
import { called, S3Refusal, settled } from "./refusals.ts";
import type { S3Request, S3Signer } from "./requests.ts";
import { LEAST_PART_BYTES, S3Upload } from "./s3-upload.ts";
import { sidecars } from "./sidecars.ts";
import { S3Place, type S3SignedBucket } from "./signing.ts";

/** A bucket that another program signs requests for: a server, for a browser that holds no credentials. */
export interface S3PresignedBucket {
  /** Gives the URL for a request. All of its headers are to be signed, and are sent. `s3Presigner` does so. */
  readonly presign: (request: S3Request) => string | Promise<string>;
  /** Defaults to the global one. */
  readonly fetch?: BlobFetch;
  /** How long the service may be silent. Defaults to 60,000 ms. */
  readonly silenceMs?: number;
  readonly clock?: Clock;
}

export interface S3BlobsOptions {
  /** The service that is spoken to: nothing is guessed. */
  readonly mode: S3Mode;
  /**
   * Where a rewrap puts a new header. `sidecar`, the default: an object of its own beside the blob. `in-place`: the object is written anew,
   * its body copied by the service; such a store regards every other header beside a blob as stale. `annotation`: text beside the object,
   * with `aws` alone. An object with `read`, `write` and `remove`: a table of the application.
   */
  readonly rewrap?: "sidecar" | "in-place" | "annotation" | BlobOverlays;
  /** Needed by the mode `no-conditions`, and for `delete` with `ifMatch` by `r2` and `minio`. */
  readonly lock?: BlobLock;
  /** The storage class of new objects. Defaults to the bucket's, which stands where a server signs requests. */
  readonly storageClass?: S3StorageClass;
}

/**
 * Keeps blobs in a bucket of S3, or of a service that speaks its protocol: with `fetch` and credentials, with a client of
 * `@aws-sdk/client-s3`, or with URLs that a server signs.
 *
 * Objects cannot be changed in part. A rewrap leaves them as they are and writes the new header beside them, unless `rewrap` says otherwise.
 *
 * @throws `invalid-argument` for bad options, a URL that is not https, or a mode that is not known
 * @example
 * ```ts
 * import { Keyring } from "envelock";
 * import { encryptedStore } from "envelock/blobs";
 * import { type S3Credentials, s3Blobs } from "envelock/blobs/s3";
 *
 * export function blobsOf(keyring: Keyring, credentials: () => Promise<S3Credentials>) {
 *   const url = "https://acme-invoices.s3.eu-central-1.amazonaws.com";
 *   const store = s3Blobs({ url, region: "eu-central-1", credentials }, { mode: "aws" });
 *   return encryptedStore(keyring, store, { context: (name) => ({ object: name }) });
 * }
 * ```
 */
export function s3Blobs(bucket: S3SignedBucket | S3ClientBucket | S3PresignedBucket, options: S3BlobsOptions): BlobStore {
  refuseUnknown(options, OPTIONS, "s3Blobs");
  const { mode, rewrap = "sidecar", lock, storageClass } = options;
  const traits = traitsOf(mode);
  if (lock !== undefined && typeof lock !== "function") throw invalidArgument("lock is a function that runs work alone");
  if (storageClass !== undefined && !STORAGE_CLASSES.has(storageClass)) {
    throw invalidArgument(`storageClass is ${shownValue(storageClass)}, expected one of ${[...STORAGE_CLASSES].join(", ")}`);
  }
  const reach = readArgument("the bucket of s3Blobs", () => reachOf(bucket));
  if (storageClass !== undefined && reach.isPresigned) throw noStorageClass();
  const calls = guardedCalls(reach.calls, traits, lock);
  const headers: S3ContentHeaders = {
    ContentType: "application/octet-stream",
    ...(storageClass !== undefined && { StorageClass: storageClass }),
  };
  const place: Place = { calls, clock: reach.clock, traits, headers };
  const objects = objectStore(place);
  const beside = sidecars(calls, traits.hasConditionalDeletes || lock !== undefined);
  if (rewrap === "sidecar") return overlaidBlobs(objects, beside);
  if (rewrap === "annotation") {
    if (!traits.mayHaveAnnotations || reach.isPresigned) throw noAnnotations(mode);
    return overlaidBlobs(objects, annotations(calls));
  }
  if (rewrap === "in-place") {
    if (!traits.hasConditionalWrites || !reach.canCopy) throw notInPlace();
    return folding(objects, beside);
  }
  requireMethods(rewrap, ["read", "write", "remove"], '`rewrap` is "sidecar", "in-place", "annotation", or a place for overlays');
  return overlaidBlobs(objects, rewrap);
}

interface Place {
  readonly calls: S3Calls;
  readonly clock: Clock;
  readonly traits: S3Traits;
  readonly headers: S3ContentHeaders;
}

/** How a bucket is reached. */
interface Reach {
  readonly calls: S3Calls;
  readonly clock: Clock;
  readonly isPresigned: boolean;
  /** Whether the service can be told to copy a part of an object. */
  readonly canCopy: boolean;
}

function reachOf(bucket: S3SignedBucket | S3ClientBucket | S3PresignedBucket): Reach {
  if (typeof bucket === "object" && bucket !== null) {
    if ("client" in bucket) {
      refuseUnknown(bucket, CLIENT_OPTIONS, "s3Blobs");
      requireMethods(bucket.client, ["send"], "s3Blobs takes a client");
      requireMethods(bucket.commands, COMMANDS, "s3Blobs takes the commands of @aws-sdk/client-s3");
      if (typeof bucket.bucket !== "string" || bucket.bucket === "") throw invalidArgument("bucket is the name of a bucket");
      return { calls: clientCalls({ ...bucket }), clock: systemClock, isPresigned: false, canCopy: true };
    }
    if ("presign" in bucket) {
      refuseUnknown(bucket, PRESIGNED_OPTIONS, "s3Blobs");
      const { presign } = bucket;
      if (typeof presign !== "function") throw invalidArgument("presign is a function that gives the URL for a request");
      const wire = wireOf(bucket);
      return { calls: fetchCalls(wire, presigner(presign), ""), clock: wire.clock, isPresigned: true, canCopy: false };
    }
    if ("url" in bucket) {
      refuseUnknown(bucket, SIGNED_OPTIONS, "s3Blobs");
      const [wire, signed] = [wireOf(bucket), new S3Place(bucket)];
      const calls = fetchCalls(wire, signed.signer(), signed.bucket ?? "");
      return { calls, clock: wire.clock, isPresigned: false, canCopy: signed.bucket !== undefined };
    }
  }
  throw invalidArgument(
    "s3Blobs takes a bucket",
    "give { url, region, credentials }, { client, commands, bucket } of @aws-sdk/client-s3, or { presign }",
  );
}

function wireOf({ fetch = runtimeFetch, silenceMs = SILENCE_MS, clock = systemClock }: Partial<Wire>): Wire {
  return { fetch, silenceMs, clock };
}

function presigner(presign: S3PresignedBucket["presign"]): S3Signer {
  return {
    async sign(request) {
      const url = await presign(request);
      if (typeof url === "string" && URL.canParse(url)) return { url, headers: request.headers };
      throw new EnvelockError("provider-failure", "presign gave no URL", { whose: "caller" });
    },
  };
}

/** Objects without anything beside them. */
function objectStore(place: Place): BlobStore {
  const { calls, clock, traits, headers } = place;
  return {
    header: "copy",
    blocks: { ...BLOCKS, areEqual: traits.arePartsEqual },
    async create(name, { metadata }, call = {}) {
      callSignal(call, CALL_OPTIONS, "create")?.throwIfAborted();
      const content = { metadata: storedMetadata(metadata), headers };
      return new S3Upload({ calls, clock, key: checkedName(name), content, checksTotal: traits.checksTotal });
    },
    open: (name, firstBytes, call = {}) => opened(place, name, firstBytes, callSignal(call, CALL_OPTIONS, "open")),
    async delete(name, call = {}) {
      const signal = callSignal(call, DELETE_OPTIONS, "delete");
      signal?.throwIfAborted();
      const { ifMatch } = call;
      const key = checkedName(name);
      const given = signal ? { signal } : {};
      return await settled({ missing: () => false, changed: () => false }, async () => {
        const { etag } = await calls.head(key, given); // a delete does not tell whether there was something
        if (ifMatch !== undefined && etag !== ifMatch) return false;
        await calls.remove(key, { ...given, ...(ifMatch !== undefined && { ifMatch }) });
        return true;
      });
    },
    async list(page, call = {}) {
      const signal = callSignal(call, CALL_OPTIONS, "list");
      signal?.throwIfAborted();
      return await pageOf(calls, page, signal);
    },
  };
}

async function opened(place: Place, name: string, firstBytes: number, signal: AbortSignal | undefined): Promise<StoredBlob | undefined> {
  const { calls } = place;
  const key = checkedName(name);
  const given = signal ? { signal } : {};
  signal?.throwIfAborted();
  const found = await settled({ missing: () => undefined }, async () => {
    try {
      const { body, ...head } = await calls.get(key, 0, firstBytes, given);
      return { ...head, first: await gatheredBytes(body, firstBytes) };
    } catch (error) {
      if (!(error instanceof S3Refusal && error.kind === "empty")) throw error;
      const { etag, metadata, bytes } = await calls.head(key, given);
      return { etag, metadata, totalBytes: bytes, first: new Uint8Array(0) };
    }
  });
  if (found === undefined) return undefined;
  const { etag, metadata, totalBytes, first } = found;
  return {
    size: totalBytes,
    etag,
    metadata: ownMetadata(metadata),
    first,
    async *read(start, end, { ifMatch, signal: pinnedSignal }) {
      const gone = (): never => {
        throw sourceChanged(name);
      };
      const { body } = await settled({ changed: gone, missing: gone }, () =>
        calls.get(key, start, end, { ifMatch, ...(pinnedSignal && { signal: pinnedSignal }) }),
      );
      yield* body;
    },
    async replaceHeader(change, call = {}) {
      const changeSignal = callSignal(call, CALL_OPTIONS, "replaceHeader");
      changeSignal?.throwIfAborted();
      const { clock, traits } = place;
      const { arePartsEqual, checksTotal } = traits;
      return await rewrittenInPlace({ calls, clock, key, etag, arePartsEqual, checksTotal }, change, changeSignal);
    },
  };
}

/** Writes objects anew in place, and takes in what stands beside them. */
function folding(objects: BlobStore, beside: BlobOverlays): BlobStore {
  return blobsBeside({
    store: objects,
    overlays: beside,
    header: "copy",
    async replace(name, { blob, overlay }, change, signal) {
      const call = signal === undefined ? {} : { signal };
      const outcome = await blob.replaceHeader(change, call);
      if (outcome === "replaced" && overlay !== undefined) await beside.remove(name, overlay.version, call);
      return outcome;
    },
  });
}

async function pageOf(
  calls: S3Calls,
  { prefix = "", after, limit }: BlobPage,
  signal: AbortSignal | undefined,
): Promise<readonly BlobEntry[]> {
  const entries: BlobEntry[] = [];
  let last = after;
  for (;;) {
    const page = await called(() => calls.list(prefix, last, limit, signal ? { signal } : {}));
    entries.push(...page.entries.filter(({ name }) => isBlobName(name)));
    const end = page.entries.at(-1)?.name;
    if (page.isLast || entries.length >= limit) return entries.slice(0, limit);
    if (end === undefined || end === last)
      throw new EnvelockError("provider-failure", "the store gave a page of a list that does not go on");
    last = end;
  }
}

/** Names of metadata with hyphens: proxies drop headers with underscores. @throws `invalid-argument` if there is too much */
function storedMetadata(metadata: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const entries = Object.entries(metadata).map(([name, value]) => [name.replaceAll("_", "-"), value] as const);
  const bytes = entries.reduce((sum, [name, value]) => sum + name.length + value.length, 0);
  if (bytes <= MOST_METADATA_BYTES) return Object.fromEntries(entries);
  throw new EnvelockError("invalid-argument", `the metadata of the blob takes ${bytes} bytes, and S3 keeps ${MOST_METADATA_BYTES}`, {
    detail: "too-large",
    hint: "shorten the description",
  });
}

function ownMetadata(metadata: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(metadata).map(([name, value]) => [name.startsWith("envelock-") ? name.replaceAll("-", "_") : name, value]),
  );
}

function noAnnotations(mode: S3Mode): EnvelockError {
  return invalidArgument(
    `rewrap "annotation" needs the mode aws, and a client or credentials; this is ${mode}`,
    "other services replace the object by its annotation",
  );
}

function noStorageClass(): EnvelockError {
  return invalidArgument(
    "storageClass is not for a bucket whose requests a server signs",
    "the server decides what objects cost: set a life-cycle rule of the bucket",
  );
}

function notInPlace(): EnvelockError {
  return invalidArgument(
    'rewrap "in-place" needs a service with conditions, a client or credentials, and a URL that names the bucket',
    "give the bucket as the path of the URL",
  );
}

const OPTIONS: OptionNames<S3BlobsOptions> = { mode: true, rewrap: true, lock: true, storageClass: true };
const SIGNED_OPTIONS: OptionNames<S3SignedBucket> = {
  url: true,
  region: true,
  credentials: true,
  fetch: true,
  silenceMs: true,
  clock: true,
};
const CLIENT_OPTIONS: OptionNames<S3ClientBucket> = { client: true, commands: true, bucket: true };
const PRESIGNED_OPTIONS: OptionNames<S3PresignedBucket> = { presign: true, fetch: true, silenceMs: true, clock: true };
const DELETE_OPTIONS: OptionNames<CallOptions & { readonly ifMatch?: string }> = { ...CALL_OPTIONS, ifMatch: true };
const COMMANDS = [
  "GetObjectCommand",
  "HeadObjectCommand",
  "GetObjectTaggingCommand",
  "PutObjectCommand",
  "DeleteObjectCommand",
  "ListObjectsV2Command",
  "CreateMultipartUploadCommand",
  "UploadPartCommand",
  "UploadPartCopyCommand",
  "CompleteMultipartUploadCommand",
  "AbortMultipartUploadCommand",
] as const;
const MOST_METADATA_BYTES = 2048;
const BLOCKS: BlockRules = {
  isHeaderApart: false,
  bytes: 8 * 1024 * 1024,
  leastBytes: LEAST_PART_BYTES,
  mostBytes: 5 * 1024 * 1024 * 1024,
  mostBlocks: 10_000,
  areEqual: false,
  inFlight: 4,
};
