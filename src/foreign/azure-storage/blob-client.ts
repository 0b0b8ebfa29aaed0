import { toBase64 } from "../../core/base/base64.ts";
import { ascii, isBytes, type OwnedBytes, toHex, viewOf } from "../../core/base/bytes.ts";
import { CALL_OPTIONS, type CallOptions, callSignal } from "../../core/base/call-options.ts";
import { EnvelockError, invalidArgument, malformed } from "../../core/base/errors.ts";
import type { OptionNames } from "../../core/base/options.ts";
import type { StoredSource } from "../foreign-blob.ts";
import { foldedMetadata } from "../metadata.ts";
import { blocksOf, type PieceSource, piecesOf } from "../pieces.ts";
import { asked, CONDITION_NOT_MET, statusOf } from "./client-errors.ts";
import { ENCRYPTION_DATA } from "./encryption-data.ts";
import type { EncryptedBody } from "./storage-encryption.ts";

/** The methods of `BlobClient` of `@azure/storage-blob` that reading needs. */
export interface BlobReadClient {
  getProperties(options?: { readonly abortSignal?: AbortSignal }): Promise<{
    readonly metadata?: Readonly<Record<string, string>>;
    readonly etag?: string;
    readonly contentLength?: number;
  }>;
  download(
    offset: number,
    count: number,
    options?: { readonly abortSignal?: AbortSignal; readonly conditions?: { readonly ifMatch?: string } },
  ): Promise<{
    /** On Node. */
    readonly readableStreamBody?: AsyncIterable<string | Uint8Array> | undefined;
    /** In browsers. */
    readonly blobBody?: Promise<Blob> | undefined;
  }>;
}

/** The methods of `BlockBlobClient` of `@azure/storage-blob` that writing needs. */
export interface BlobUploadClient {
  stageBlock(blockId: string, body: Uint8Array, contentLength: number, options?: { readonly abortSignal?: AbortSignal }): Promise<unknown>;
  commitBlockList(
    blockIds: string[],
    options?: {
      readonly abortSignal?: AbortSignal;
      readonly metadata?: Record<string, string>;
      readonly conditions?: { readonly ifMatch?: string; readonly ifNoneMatch?: string };
    },
  ): Promise<{ readonly etag?: string }>;
}

export interface UploadStorageOptions extends CallOptions {
  /** Other metadata of the blob, in clear. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** Replaces the version with this ETag, and no other. Without it and `replace`, the name must be free. */
  readonly ifMatch?: string;
  /** Replaces whatever has the name. */
  readonly replace?: boolean;
}

/**
 * Makes a source for `AzureStorageEncryption.open` from a client: asks for the properties once, and pins every read to their ETag.
 *
 * @param client a `BlobClient` of `@azure/storage-blob`, or an object with these two methods
 * @throws `invalid-argument`, `unavailable`, `access-denied`, `rate-limited`, with the client's error as cause
 * @example
 * ```ts
 * import { type AzureStorageEncryption, type BlobReadClient, storedBlob } from "envelock/azure-storage-encryption";
 *
 * export async function firstPage(encryption: AzureStorageEncryption, client: BlobReadClient): Promise<Uint8Array> {
 *   const blob = await encryption.open(await storedBlob(client));
 *   return await blob.read(0, 4096);
 * }
 * ```
 */
export async function storedBlob(client: BlobReadClient, options: CallOptions = {}): Promise<StoredSource> {
  const signal = callSignal(options, CALL_OPTIONS, "storedBlob");
  const given: unknown = client;
  const isClient =
    typeof given === "object" && given !== null && typeof client.getProperties === "function" && typeof client.download === "function";
  if (!isClient) throw invalidArgument("storedBlob takes a BlobClient, or an object with getProperties and download");
  const { metadata = {}, etag, contentLength } = await asked(signal, () => client.getProperties(abortOf(signal)));
  if (typeof etag !== "string" || etag === "" || contentLength === undefined)
    throw new EnvelockError("provider-failure", "getProperties gave no ETag or length");
  return {
    metadata,
    etag,
    size: contentLength,
    async read(start, end, signal) {
      if (start === end) return new Uint8Array(0);
      return await asked(signal, async () => {
        const part = await client.download(start, end - start, { ...abortOf(signal), conditions: { ifMatch: etag } });
        return await bytesOf(part, end - start);
      });
    },
  };
}

/**
 * Uploads an encrypted body together with its metadata: as blocks in bounded memory, under a condition. Nothing can be read before all is
 * there.
 *
 * @param client a `BlockBlobClient` of `@azure/storage-blob`, or an object with these two methods
 * @returns the ETag of the new blob
 * @throws `invalid-argument`, with `detail` `blob-exists` or `blob-changed` if the condition does not hold; `unavailable`,
 *   `access-denied`, `rate-limited`, with the client's error as cause; and what the body's stream fails with
 * @example
 * ```ts
 * import { type AzureStorageEncryption, type BlobUploadClient, uploadEncrypted } from "envelock/azure-storage-encryption";
 *
 * export async function keep(encryption: AzureStorageEncryption, client: BlobUploadClient, file: ReadableStream<Uint8Array>): Promise<void> {
 *   await uploadEncrypted(client, await encryption.encryptStream(file));
 * }
 * ```
 */
export async function uploadEncrypted(
  client: BlobUploadClient,
  encrypted: EncryptedBody<Uint8Array | PieceSource>,
  options: UploadStorageOptions = {},
): Promise<string | undefined> {
  const signal = callSignal(options, UPLOAD_OPTIONS, "uploadEncrypted");
  const given: unknown = client;
  const isClient =
    typeof given === "object" && given !== null && typeof client.stageBlock === "function" && typeof client.commitBlockList === "function";
  if (!isClient) throw invalidArgument("uploadEncrypted takes a BlockBlobClient, or an object with stageBlock and commitBlockList");
  const { body, metadata } = encrypted ?? {};
  const whole = wholeMetadata(metadata, options.metadata);
  const conditions = conditionsOf(options);
  const upload = toHex(crypto.getRandomValues(new Uint8Array(8)));
  const ids: string[] = [];
  const pieces = isBytes(body) ? oneOf(viewOf(body)) : piecesOf(body, signal);
  for await (const block of blocksOf(pieces, BLOCK_BYTES)) {
    const id = toBase64(ascii(`${upload}${`${ids.length}`.padStart(8, "0")}`)); // ids of one blob all have one length
    ids.push(id);
    await asked(signal, () => client.stageBlock(id, block, block.length, abortOf(signal)));
  }
  return await asked(signal, async () => {
    try {
      return (await client.commitBlockList(ids, { ...abortOf(signal), metadata: whole, conditions })).etag;
    } catch (error) {
      throw conditionError(error, conditions) ?? error;
    }
  });
}

/** The service answers 409 where a name is taken, and 412 where a version is another. */
function conditionError(cause: unknown, { ifMatch, ifNoneMatch }: ReturnType<typeof conditionsOf>): EnvelockError | undefined {
  const status = statusOf(cause);
  if (status !== 409 && status !== CONDITION_NOT_MET) return undefined;
  if (ifNoneMatch !== undefined) {
    return new EnvelockError("invalid-argument", "the blob exists, and the upload was to create it", {
      cause,
      detail: "blob-exists",
      hint: "give ifMatch with its ETag, or replace: true",
    });
  }
  if (ifMatch === undefined || status === 409) return undefined;
  return new EnvelockError("invalid-argument", "the blob has another version than ifMatch", {
    cause,
    detail: "blob-changed",
    hint: "read it again, and decide anew",
  });
}

function wholeMetadata(
  standing: EncryptedBody<unknown>["metadata"] | undefined,
  own: UploadStorageOptions["metadata"],
): Record<string, string> {
  const encryptiondata = standing?.encryptiondata;
  if (typeof encryptiondata !== "string" || encryptiondata === "") throw invalidArgument("the encrypted body must come with its metadata");
  const other = foldedMetadata(own);
  if (other.has(ENCRYPTION_DATA)) throw invalidArgument("the metadata encryptiondata is the library's own");
  return { ...own, [ENCRYPTION_DATA]: encryptiondata };
}

function conditionsOf({ ifMatch, replace }: UploadStorageOptions): { readonly ifMatch?: string; readonly ifNoneMatch?: string } {
  if (replace !== undefined && typeof replace !== "boolean") throw invalidArgument("replace is true or false");
  if (ifMatch !== undefined && (typeof ifMatch !== "string" || ifMatch === "")) throw invalidArgument("ifMatch is the ETag of a version");
  if (ifMatch !== undefined && replace === true) throw invalidArgument("uploadEncrypted takes ifMatch or replace, and both are given");
  if (ifMatch !== undefined) return { ifMatch };
  return replace === true ? {} : { ifNoneMatch: "*" };
}

async function bytesOf(
  { readableStreamBody, blobBody }: Awaited<ReturnType<BlobReadClient["download"]>>,
  expected: number,
): Promise<OwnedBytes> {
  if (blobBody !== undefined) return new Uint8Array(await (await blobBody).arrayBuffer());
  if (readableStreamBody === undefined) throw new EnvelockError("provider-failure", "download gave no body");
  const bytes = new Uint8Array(expected);
  let filled = 0;
  for await (const piece of readableStreamBody) {
    if (!isBytes(piece)) throw new EnvelockError("provider-failure", "download gave text instead of bytes");
    if (filled + piece.length > expected) throw malformed(`the store gave more than the ${expected} bytes of a range`);
    bytes.set(piece, filled);
    filled += piece.length;
  }
  return filled === expected ? bytes : bytes.slice(0, filled);
}

async function* oneOf(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  yield bytes;
}

function abortOf(signal: AbortSignal | undefined): { readonly abortSignal?: AbortSignal } {
  return signal === undefined ? {} : { abortSignal: signal };
}

const BLOCK_BYTES: number = 8 * 1024 * 1024;
const UPLOAD_OPTIONS: OptionNames<UploadStorageOptions> = { signal: true, metadata: true, ifMatch: true, replace: true };
