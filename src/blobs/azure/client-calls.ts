import { md5 } from "#md5";
import { EnvelockError } from "../../core/base/errors.ts";
import { streamPieces } from "../../core/stream/stream-pieces.ts";
import { unanswered } from "../failures.ts";
import { abortable, droppable, quoted, retryAfterMs, totalOf, withHead } from "../http.ts";
import type { AzureCalls, AzureConditions, AzureContent, AzurePage } from "./calls.ts";
import { azureError } from "./refusals.ts";

/** The part of `ContainerClient` of `@azure/storage-blob` that is used. */
export interface AzureContainerClient {
  getBlockBlobClient(name: string): AzureBlockBlobClient;
  listBlobsFlat(options: { prefix?: string; abortSignal?: AbortSignal }): AzurePaged<AzureListPage>;
  findBlobsByTags(where: string, options: { abortSignal?: AbortSignal }): AzurePaged<AzureFoundPage>;
}

/** The part of `BlockBlobClient` of `@azure/storage-blob` that is used. */
export interface AzureBlockBlobClient {
  download(offset: number, count: number, options: AzureCallOptions & { maxRetryRequests: number }): Promise<AzureClientDownload>;
  getProperties(options: AzureCallOptions): Promise<AzureClientProperties>;
  getTags(options: AzureCallOptions): Promise<{ tags: Record<string, string> }>;
  stageBlock(
    id: string,
    body: Uint8Array,
    length: number,
    options: {
      abortSignal?: AbortSignal;
      conditions?: { leaseId?: string };
      encryptionScope?: string;
      transactionalContentMD5?: Uint8Array;
    },
  ): Promise<unknown>;
  commitBlockList(ids: string[], options: AzureCommitOptions): Promise<{ etag?: string }>;
  upload(body: Uint8Array, length: number, options: AzureCommitOptions): Promise<{ etag?: string }>;
  getBlockList(type: "committed", options: AzureCallOptions): Promise<{ etag?: string; committedBlocks?: AzureClientBlock[] }>;
  delete(options: AzureCallOptions & { deleteSnapshots: "include" }): Promise<unknown>;
}

export interface AzureClientBlock {
  readonly name: string;
  readonly size: number;
}

export interface AzureClientConditions {
  ifMatch?: string;
  ifNoneMatch?: string;
  tagConditions?: string;
  leaseId?: string;
}

export interface AzureCallOptions {
  abortSignal?: AbortSignal;
  conditions?: AzureClientConditions;
}

export interface AzureCommitOptions extends AzureCallOptions {
  metadata?: Record<string, string>;
  tags?: Record<string, string>;
  tier?: string;
  encryptionScope?: string;
  blobHTTPHeaders?: {
    blobContentType?: string;
    blobContentEncoding?: string;
    blobContentLanguage?: string;
    blobContentDisposition?: string;
    blobCacheControl?: string;
  };
}

export interface AzureClientDownload {
  readonly etag?: string;
  readonly contentRange?: string;
  readonly contentLength?: number;
  readonly metadata?: Record<string, string>;
  /** The stream of a download on Node. */
  readonly readableStreamBody?: AsyncIterable<unknown>;
  /** The bytes of a download in a browser. */
  readonly blobBody?: Promise<Blob>;
}

export interface AzureClientProperties {
  readonly etag?: string;
  readonly contentLength?: number;
  readonly metadata?: Record<string, string>;
  readonly contentType?: string;
  readonly contentEncoding?: string;
  readonly contentLanguage?: string;
  readonly contentDisposition?: string;
  readonly cacheControl?: string;
  readonly accessTier?: string;
  readonly accessTierInferred?: boolean;
  readonly tagCount?: number;
  readonly encryptionScope?: string;
  readonly immutabilityPolicyExpiresOn?: Date;
  readonly legalHold?: boolean;
  readonly expiresOn?: Date;
}

export interface AzurePaged<Page> {
  byPage(settings: { continuationToken?: string; maxPageSize?: number }): AsyncIterable<Page>;
}

export interface AzureListPage {
  readonly continuationToken?: string;
  readonly segment: {
    readonly blobItems: readonly {
      readonly name: string;
      readonly properties: { readonly etag?: string; readonly contentLength?: number };
    }[];
  };
}

export interface AzureFoundPage {
  readonly continuationToken?: string;
  readonly blobs: readonly { readonly name: string }[];
}

/**
 * Uses a client of the SDK, by structure. Its own retries stay as they are configured; for reads they are turned off, because they do not
 * work there.
 *
 * @param hasDigests whether the service gets an MD5 of each block, to compare
 */
export function clientCalls(container: AzureContainerClient, hasTags: boolean | undefined, hasDigests: boolean): AzureCalls {
  const blob = (name: string): AzureBlockBlobClient => container.getBlockBlobClient(name);
  return {
    hasTags: hasTags ?? true,
    isWithoutTags: hasTags === false,
    async download(name, start, end, conditions) {
      const what = "a read";
      const given = await calling(what, conditions, () =>
        blob(name).download(start, end - start, { ...callOptions(conditions), maxRetryRequests: 0 }),
      );
      return await withHead(droppable(given.readableStreamBody), () => {
        const totalBytes = totalOf(given.contentRange) ?? (start === 0 ? given.contentLength : undefined);
        if (totalBytes === undefined) throw new EnvelockError("provider-failure", "the client gave no length");
        return { etag: etagOf(given), totalBytes, metadata: lowerCased(given.metadata), body: piecesOf(what, given, conditions) };
      });
    },
    async properties(name, conditions) {
      const given = await calling("a look at properties", conditions, () => blob(name).getProperties(callOptions(conditions)));
      return {
        etag: etagOf(given),
        bytes: given.contentLength ?? 0,
        metadata: lowerCased(given.metadata),
        headers: {
          ...(given.contentType !== undefined && { blobContentType: given.contentType }),
          ...(given.contentEncoding !== undefined && { blobContentEncoding: given.contentEncoding }),
          ...(given.contentLanguage !== undefined && { blobContentLanguage: given.contentLanguage }),
          ...(given.contentDisposition !== undefined && { blobContentDisposition: given.contentDisposition }),
          ...(given.cacheControl !== undefined && { blobCacheControl: given.cacheControl }),
        },
        tier: given.accessTierInferred === true ? undefined : given.accessTier,
        tagCount: given.tagCount ?? 0,
        encryptionScope: given.encryptionScope,
        isHeld: given.immutabilityPolicyExpiresOn !== undefined || given.legalHold === true || given.expiresOn !== undefined,
      };
    },
    async tags(name, conditions) {
      return { ...(await calling("a look at tags", conditions, () => blob(name).getTags(callOptions(conditions)))).tags };
    },
    async stageBlock(name, id, bytes, conditions) {
      const { signal, leaseId, encryptionScope } = conditions;
      await calling("a block", conditions, () =>
        blob(name).stageBlock(id, bytes, bytes.length, {
          ...(hasDigests && { transactionalContentMD5: md5(bytes) }),
          ...abortable(signal),
          ...(leaseId !== undefined && { conditions: { leaseId } }),
          ...(encryptionScope !== undefined && { encryptionScope }),
        }),
      );
    },
    async commitBlocks(name, ids, content, conditions) {
      return etagOf(await calling("a commit", conditions, () => blob(name).commitBlockList([...ids], commitOptions(content, conditions))));
    },
    async putBlob(name, bytes, content, conditions) {
      return etagOf(
        await calling("a whole blob", conditions, () => blob(name).upload(bytes, bytes.length, commitOptions(content, conditions))),
      );
    },
    async committedBlocks(name, conditions) {
      const given = await calling("a look at blocks", conditions, () => blob(name).getBlockList("committed", callOptions(conditions)));
      return { etag: etagOf(given), blocks: (given.committedBlocks ?? []).map((block) => ({ id: block.name, bytes: block.size })) };
    },
    async remove(name, conditions) {
      await calling("a delete", conditions, () => blob(name).delete({ ...callOptions(conditions), deleteSnapshots: "include" }));
    },
    async list(prefix, marker, limit, conditions) {
      const { signal } = conditions;
      const pages = container.listBlobsFlat({ ...(prefix !== "" && { prefix }), ...abortable(signal) });
      return await firstPage("a list", pages, marker, limit, conditions, ({ segment, continuationToken }) => ({
        entries: segment.blobItems.map(({ name, properties: { contentLength = 0, etag = "" } }) => ({
          name,
          size: contentLength,
          etag: quoted(etag),
        })),
        marker: continuationToken || undefined,
      }));
    },
    async findByTags(where, marker, limit, conditions) {
      const { signal } = conditions;
      const pages = container.findBlobsByTags(where, abortable(signal));
      return await firstPage("a search by tags", pages, marker, limit, conditions, ({ blobs, continuationToken }) => ({
        entries: blobs.map(({ name }) => ({ name, size: 0, etag: "" })),
        marker: continuationToken || undefined,
      }));
    },
  };
}

async function firstPage<Page>(
  what: string,
  pages: AzurePaged<Page>,
  marker: string | undefined,
  limit: number,
  conditions: AzureConditions,
  read: (page: Page) => AzurePage,
): Promise<AzurePage> {
  return await calling(what, conditions, async () => {
    const settings = { maxPageSize: limit, ...(marker !== undefined && { continuationToken: marker }) };
    for await (const page of pages.byPage(settings)) return read(page);
    return { entries: [], marker: undefined };
  });
}

/** Translates what the SDK throws. */
async function calling<T>(what: string, { signal }: AzureConditions, call: () => Promise<T>): Promise<T> {
  signal?.throwIfAborted();
  try {
    return await call();
  } catch (error) {
    signal?.throwIfAborted();
    throw translated(what, error);
  }
}

function translated(what: string, error: unknown): unknown {
  if (typeof error !== "object" || error === null || EnvelockError.is(error)) return error;
  const status: unknown = Reflect.get(error, "statusCode");
  if (typeof status !== "number") return unanswered(what, error);
  const [code, details, response]: readonly unknown[] = ["code", "details", "response"].map((name) => Reflect.get(error, name));
  const detail = typeof details === "object" && details !== null ? Reflect.get(details, "errorCode") : undefined;
  const named = [detail, code].find((each) => typeof each === "string");
  return azureError(what, status, typeof named === "string" ? named : "", error, retryAfterMs(retryHeaderOf(response)));
}

function retryHeaderOf(response: unknown): string | undefined {
  const headers: unknown = typeof response === "object" && response !== null ? Reflect.get(response, "headers") : undefined;
  const get: unknown = typeof headers === "object" && headers !== null ? Reflect.get(headers, "get") : undefined;
  const value: unknown = typeof get === "function" ? get.call(headers, "retry-after") : undefined;
  return typeof value === "string" ? value : undefined;
}

async function* piecesOf(
  what: string,
  { readableStreamBody, blobBody }: AzureClientDownload,
  { signal }: AzureConditions,
): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    if (readableStreamBody === undefined) {
      const blob = await blobBody;
      if (blob !== undefined) yield* streamPieces(blob.stream());
      return;
    }
    for await (const piece of readableStreamBody) if (piece instanceof Uint8Array) yield piece;
  } catch (error) {
    signal?.throwIfAborted();
    throw unanswered(what, error); // an AbortError without an abort is a connection that broke
  }
}

function callOptions({ signal, ifMatch, ifNoneMatch, ifTags, leaseId }: AzureConditions): AzureCallOptions {
  const conditions: AzureClientConditions = {
    ...(ifMatch !== undefined && { ifMatch }),
    ...(ifNoneMatch !== undefined && { ifNoneMatch }),
    ...(ifTags !== undefined && { tagConditions: ifTags }),
    ...(leaseId !== undefined && { leaseId }),
  };
  return { conditions, ...abortable(signal) };
}

function commitOptions({ metadata, headers, tags, tier, encryptionScope }: AzureContent, conditions: AzureConditions): AzureCommitOptions {
  return {
    ...callOptions(conditions),
    metadata: { ...metadata },
    blobHTTPHeaders: { ...headers },
    ...(Object.keys(tags).length > 0 && { tags: { ...tags } }),
    ...(tier !== undefined && { tier }),
    ...(encryptionScope !== undefined && { encryptionScope }),
  };
}

function lowerCased(metadata: Record<string, string> | undefined): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(metadata ?? {}).map(([name, value]) => [name.toLowerCase(), value]));
}

function etagOf({ etag }: { readonly etag?: string }): string {
  if (etag !== undefined) return etag;
  throw new EnvelockError("provider-failure", "the client gave no ETag");
}
