import { toBase64 } from "../../core/base/base64.ts";
import { concatBytes, toHex } from "../../core/base/bytes.ts";
import { CALL_OPTIONS, callSignal } from "../../core/base/call-options.ts";
import { EnvelockError, invalidArgument } from "../../core/base/errors.ts";
import { type OptionNames, readArgument, refuseUnknown } from "../../core/base/options.ts";
import type { BlobContent, BlobStore, BlobUpload, HeaderChange, StoredBlob } from "../blob-store.ts";
import { sourceChanged } from "../failures.ts";
import { base64Length, conditionsOf, gatheredBytes } from "../http.ts";
import { PageMarkers } from "../page-markers.ts";
import type { AzureCalls, AzureConditions, AzureContent } from "./calls.ts";
import { type AzureContainerClient, clientCalls } from "./client-calls.ts";
import { AzureRefusal, settled } from "./refusals.ts";
import { type AzureSasContainer, sasCalls } from "./sas-calls.ts";

export interface AzureBlobsOptions {
  /**
   * Whether a digest of each key is kept in blob index tags, so that `findStale` can search. Needs the right to tags, which accounts with a
   * hierarchical namespace do not have. Defaults to true for a client, for a SAS to whether it grants `t`, for a function that gives one to
   * false. A rewrap reads the tags of a blob all the same, because its commit would wipe them: `false` states that these blobs have none.
   */
  readonly indexTags?: boolean;
  /** The lease of a blob, if this program holds one. */
  readonly leaseId?: (name: string) => string | undefined;
  /** The access tier of new blobs, such as `Cool`. Defaults to the account's, which costs less with versioning. */
  readonly tier?: string;
  /** The largest blob that a rewrap sends anew when it was not stored in blocks. Defaults to 32 MiB. */
  readonly mostResentBytes?: number;
  /**
   * What the service compares with each block that arrives. `md5`, the default, costs as much time as encryption. `none` leaves a block to
   * TLS, which verifies every byte up to the service, and to the tags of the envelope, which reveal any other byte when it is read. `none` is
   * what `@azure/storage-blob` does by default.
   */
  readonly blockDigest?: "md5" | "none";
}

/**
 * Keeps blobs in a container of Azure Blob Storage: with a `ContainerClient` of `@azure/storage-blob`, or with `fetch` and a SAS alone.
 *
 * The header of an envelope is a block of its own. A rewrap stages a new one and commits the block list again under If-Match, with all that
 * a commit wipes: metadata, tags, content headers, a tier that was set, the lease. The body is neither read nor copied.
 *
 * @throws `invalid-argument` for bad options, or a URL that is not https
 * @example
 * ```ts
 * import { Keyring } from "envelock";
 * import { encryptedStore } from "envelock/blobs";
 * import { azureBlobs } from "envelock/blobs/azure";
 *
 * export const blobsOf = (keyring: Keyring, sas: string) =>
 *   encryptedStore(keyring, azureBlobs({ url: "https://acme.blob.core.windows.net/invoices", sas }), { context: (name) => ({ object: name }) });
 * ```
 */
export function azureBlobs(container: AzureContainerClient | AzureSasContainer, options: AzureBlobsOptions = {}): BlobStore {
  refuseUnknown(options, OPTIONS, "azureBlobs");
  const { indexTags, leaseId = () => undefined, tier, mostResentBytes = 32 * 1024 * 1024, blockDigest = "md5" } = options;
  if (blockDigest !== "md5" && blockDigest !== "none") throw invalidArgument('blockDigest is "md5" or "none"');
  if (typeof leaseId !== "function") throw invalidArgument("leaseId is a function of the name of a blob");
  const calls = readArgument("the container of azureBlobs", () => callsOf(container, indexTags, blockDigest === "md5"));
  const markers = new PageMarkers();
  const at = (name: string, signal?: AbortSignal): AzureConditions => {
    const lease = leaseId(name);
    return { ...(signal && { signal }), ...(lease !== undefined && { leaseId: lease }) };
  };
  const place: Place = { calls, at, tier, mostResentBytes };
  return {
    header: "block",
    blocks: BLOCKS,
    async create(name, content, call = {}) {
      callSignal(call, CALL_OPTIONS, "create")?.throwIfAborted();
      return upload(place, name, content);
    },
    open: (name, firstBytes, call = {}) => opened(place, name, firstBytes, callSignal(call, CALL_OPTIONS, "open")),
    async delete(name, { ifMatch, signal } = {}) {
      return await settled({ missing: () => false, changed: () => false }, async () => {
        await calls.remove(name, { ...at(name, signal), ...(ifMatch !== undefined && { ifMatch }) });
        return true;
      });
    },
    async list({ prefix = "", after, limit }, call = {}) {
      const signal = callSignal(call, CALL_OPTIONS, "list");
      return await markers.page({ prefix, after, limit }, (marker) => calls.list(prefix, marker, limit, signal ? { signal } : {}));
    },
    ...(calls.hasTags && {
      findByKey: async (digest, { prefix = "", after }, call = {}) => {
        const signal = callSignal(call, CALL_OPTIONS, "findByKey");
        const [place = "0", marker = ""] = (after ?? "0 ").split(/ (.*)/s);
        const tag = TAG_NAMES[Number(place)];
        const where = tag === undefined ? `"${MORE_KEYS}" = '1'` : `"${tag}" = '${digest}'`;
        const found = await calls.findByTags(where, marker === "" ? undefined : marker, MOST_FOUND, signal ? { signal } : {});
        const names = found.entries.map(({ name }) => name).filter((name) => name.startsWith(prefix));
        const isLast = found.marker === undefined && Number(place) >= TAG_NAMES.length;
        return { names, ...(!isLast && { next: found.marker === undefined ? `${Number(place) + 1} ` : `${place} ${found.marker}` }) };
      },
    }),
  };
}

interface Place {
  readonly calls: AzureCalls;
  at(name: string, signal?: AbortSignal): AzureConditions;
  readonly tier: string | undefined;
  readonly mostResentBytes: number;
}

function callsOf(container: AzureContainerClient | AzureSasContainer, indexTags: boolean | undefined, hasDigests: boolean): AzureCalls {
  if (typeof container === "object" && container !== null) {
    if ("getBlockBlobClient" in container) return clientCalls(container, indexTags, hasDigests);
    if ("url" in container) {
      refuseUnknown(container, SAS_OPTIONS, "azureBlobs");
      return sasCalls(container, indexTags, hasDigests);
    }
  }
  throw invalidArgument("azureBlobs takes a ContainerClient, or an object with the url and the sas of a container");
}

/** Staged blocks of an upload that ends early stay with the service, unseen, for a week: it has no call that removes them. */
function upload({ calls, at, tier }: Place, name: string, content: BlobContent): BlobUpload {
  const own = toHex(crypto.getRandomValues(new Uint8Array(8)));
  const idOf = (index: number): string => btoa(`${own}${`${index}`.padStart(8, "0")}`);
  let count = 0;
  return {
    async put(index, bytes, call = {}) {
      const signal = callSignal(call, CALL_OPTIONS, "put");
      await settled({}, () => calls.stageBlock(name, idOf(index), bytes, at(name, signal)));
      count = Math.max(count, index + 1);
    },
    async commit(condition, call = {}) {
      const signal = callSignal(call, CALL_OPTIONS, "commit");
      const ids = Array.from({ length: count }, (_, index) => idOf(index));
      const all: AzureContent = {
        metadata: content.metadata,
        headers: { blobContentType: "application/octet-stream" },
        tags: calls.hasTags ? tagsOf(content.keys) : {},
        tier,
      };
      const taken = { changed: CHANGED, ...("ifNone" in condition && { taken: CHANGED }) };
      return await settled(taken, async () => ({
        etag: await calls.commitBlocks(name, ids, all, { ...at(name, signal), ...conditionsOf(condition) }),
      }));
    },
    abort: async () => undefined,
  };
}

async function opened(place: Place, name: string, firstBytes: number, signal: AbortSignal | undefined): Promise<StoredBlob | undefined> {
  const { calls, at } = place;
  const head = await settled({ missing: () => undefined }, async () => {
    try {
      const { body, ...head } = await calls.download(name, 0, firstBytes, at(name, signal));
      return { ...head, first: await gatheredBytes(body, firstBytes) };
    } catch (error) {
      if (!(error instanceof AzureRefusal && error.kind === "empty")) throw error;
      const { etag, metadata } = await calls.properties(name, at(name, signal));
      return { etag, metadata, totalBytes: 0, first: new Uint8Array(0) };
    }
  });
  if (head === undefined) return undefined;
  const { etag, metadata, totalBytes, first } = head;
  return {
    size: totalBytes,
    etag,
    metadata,
    first,
    async *read(start, end, { ifMatch, signal: given }) {
      const gone = (): never => {
        throw sourceChanged(name);
      };
      const { body } = await settled({ changed: gone, missing: gone }, () =>
        calls.download(name, start, end, { ...at(name, given), ifMatch }),
      );
      yield* body;
    },
    async replaceHeader(change, call = {}) {
      const given = callSignal(call, CALL_OPTIONS, "replaceHeader");
      given?.throwIfAborted();
      return await settled({ changed: CHANGED, missing: CHANGED, held: () => "not-possible" as const }, () =>
        rewrapped(place, name, etag, change, given),
      );
    },
  };
}

// docs/blobs.md: what a bare commit wipes is sent again
async function rewrapped(
  { calls, at, mostResentBytes }: Place,
  name: string,
  etag: string,
  { ownHeaderBytes, header, keys }: HeaderChange,
  signal: AbortSignal | undefined,
): Promise<"replaced" | "changed" | "not-possible"> {
  const conditions = { ...at(name, signal), ifMatch: etag };
  const { etag: listed, blocks } = await calls.committedBlocks(name, at(name, signal));
  if (listed !== etag) return "changed";
  const [first, ...others] = blocks;
  const { metadata, headers, tier, bytes, tagCount, encryptionScope, isHeld } = await calls.properties(name, conditions);
  if (isHeld) return "not-possible";
  const isTagged = tagCount > 0 || !calls.isWithoutTags;
  const tags = isTagged ? await knownTags(() => calls.tags(name, at(name, signal))) : {};
  const ownTag = [...TAG_NAMES, MORE_KEYS].find((tag) => tags[tag] !== undefined);
  const before = ownTag === undefined ? undefined : tags[ownTag];
  const content: AzureContent = {
    metadata: { ...metadata, envelock_keys: keys.join(".") },
    headers, // the MD5 property is not among them: it would no longer fit
    tags: {
      ...Object.fromEntries(Object.entries(tags).filter(([tag]) => tag !== MORE_KEYS && !TAG_NAMES.includes(tag))),
      ...((calls.hasTags || before !== undefined) && tagsOf(keys)),
    },
    tier,
    encryptionScope,
  };
  const guarded = { ...conditions, ...(before !== undefined && { ifTags: `"${ownTag}" = '${before}'` }) };
  if (first?.bytes === ownHeaderBytes) {
    const id = toBase64(crypto.getRandomValues(new Uint8Array(base64Length(first.id))));
    await calls.stageBlock(name, id, header, { ...at(name, signal), ...(encryptionScope !== undefined && { encryptionScope }) });
    await calls.commitBlocks(name, [id, ...others.map((block) => block.id)], content, guarded);
    return "replaced";
  }
  if (bytes > mostResentBytes) return "not-possible";
  const { body } = await calls.download(name, 0, bytes, conditions);
  const all = await gatheredBytes(body, bytes);
  if (all.length !== bytes) return "changed";
  await calls.putBlob(name, concatBytes(header, all.subarray(ownHeaderBytes)), content, guarded);
  return "replaced";
}

/** Reads tags that are sent again. @throws `access-denied` with a hint: a commit without them would wipe them */
async function knownTags(read: () => Promise<Readonly<Record<string, string>>>): Promise<Readonly<Record<string, string>>> {
  try {
    return await settled({ unsupported: () => ({}) }, read); // an account with a hierarchical namespace has no tags
  } catch (error) {
    if (!EnvelockError.is(error) || error.code !== "access-denied") throw error;
    const hint =
      "grant the right to tags (`t` of a SAS, tags/read and tags/write of an identity), or state indexTags: false if these blobs have none";
    throw new EnvelockError("access-denied", "a rewrap may not read the tags of the blob, which its commit would wipe", {
      cause: error,
      whose: "service",
      hint,
    });
  }
}

function tagsOf(keys: readonly string[]): Readonly<Record<string, string>> {
  if (keys.length > TAG_NAMES.length) return { [MORE_KEYS]: "1" };
  return Object.fromEntries(TAG_NAMES.flatMap((tag, at) => (keys[at] === undefined ? [] : [[tag, keys[at] ?? ""]])));
}

const CHANGED = (): "changed" => "changed";
const OPTIONS: OptionNames<AzureBlobsOptions> = { indexTags: true, leaseId: true, tier: true, mostResentBytes: true, blockDigest: true };
const SAS_OPTIONS: OptionNames<AzureSasContainer> = { url: true, sas: true, fetch: true, silenceMs: true, clock: true };
/** One tag for each key that wraps a blob. A blob has at most ten tags, and the application wants some of them. */
const TAG_NAMES: readonly string[] = ["envelock_1", "envelock_2", "envelock_3", "envelock_4"];
/** The only tag of a blob with more keys: every search looks at it, and so finds it once. */
const MORE_KEYS = "envelock_more";
/** The most that the service gives in one page. */
const MOST_FOUND = 5000;
const BLOCKS = {
  isHeaderApart: true,
  bytes: 8 * 1024 * 1024,
  leastBytes: 1,
  mostBytes: 4000 * 1024 * 1024,
  mostBlocks: 50_000,
  areEqual: false,
  inFlight: 4,
} as const;
