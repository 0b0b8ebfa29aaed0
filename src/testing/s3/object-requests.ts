import type { RawAnswer } from "../emulator/fault-plan.ts";
import { type ByteRange, rangeIn, sliceOf } from "../emulator/stored-bytes.ts";
import { invalidArgument, S3Answer } from "./answer.ts";
import { type Bucket, etagOf, type ObjectTraits, type StoredObject } from "./bucket.ts";
import { type Checksum, checksumElement, checksumHeader, checksumOf } from "./checksums.ts";
import { isKnown, requireCondition, requireCopySource } from "./conditions.ts";
import { CONTENT_HEADERS, requireReadable, tagsIn, traitHeaders, traitsOf } from "./object-traits.ts";
import { type AnswerHeaders, bare, bucketIn, present, type S3Call, versionHeader, xmlAnswer } from "./s3-call.ts";
import { WRITE_CONDITION } from "./services.ts";

// The operations on one object.

export function putObject(call: S3Call): RawAnswer {
  const { bucket } = call;
  const traits = traitsOf(call);
  requireKey(call.key);
  const { bytes, checksum } = call.payload;
  requireCondition(call, call.state.traits.checksWrites ? WRITE_CONDITION : undefined);
  const stored = checksum === undefined ? undefined : { ...checksum, type: "FULL_OBJECT" as const };
  const object = newObject(call, bucket, traits, [bytes], stored);
  bucket.add(call.key, object);
  return bare(200, { etag: object.etag, ...checksumHeaders(object.checksum), ...versionHeader(bucket, object.versionId) });
}

/** Makes an object of bytes that are there, without adding it. */
export function newObject(
  call: S3Call,
  bucket: Bucket,
  traits: ObjectTraits,
  pieces: readonly Buffer[],
  checksum: Checksum | undefined,
  of: Partial<Pick<StoredObject, "etag" | "parts">> = {},
): StoredObject {
  return {
    ...traits,
    isMarker: false,
    versionId: bucket.newVersionId(),
    pieces,
    size: pieces.reduce((sum, piece) => sum + piece.length, 0),
    etag: of.etag ?? etagOf(pieces),
    modifiedMs: call.nowMs,
    checksum,
    parts: of.parts,
    annotations: new Map(),
  };
}

export function getObject(call: S3Call): RawAnswer {
  const { bucket } = call;
  const object = call.object();
  if (isKnown(call, object)) return bare(304, { etag: object.etag });
  requireReadable(object);
  const asked = askedRange(call, object);
  const { start, end } = asked ?? { start: 0, end: object.size };
  return {
    status: asked === undefined ? 200 : 206,
    text: "",
    bytes: sliceOf(object.pieces, start, end),
    headers: {
      ...objectHeaders(call, bucket, object),
      ...overrides(call),
      "content-length": `${end - start}`,
      ...(asked !== undefined && { "content-range": `bytes ${start}-${end - 1}/${object.size}` }),
      ...present(asked === undefined ? askedChecksum(call, object) : {}),
    },
  };
}

export function headObject(call: S3Call): RawAnswer {
  const object = call.object();
  if (isKnown(call, object)) return bare(304, { etag: object.etag });
  const asked = askedRange(call, object);
  const { start, end } = asked ?? { start: 0, end: object.size };
  return bare(asked === undefined ? 200 : 206, {
    ...objectHeaders(call, call.bucket, object),
    ...overrides(call),
    ...askedChecksum(call, object),
    "content-length": `${end - start}`,
    "content-range": asked === undefined ? undefined : `bytes ${start}-${end - 1}/${object.size}`,
  });
}

export function deleteObject(call: S3Call): RawAnswer {
  const { bucket, key } = call;
  const versionId = call.query("versionId");
  requireDeleteCondition(call, versionId === undefined ? bucket.current(key) : undefined);
  if (versionId !== undefined) {
    const removed = bucket.deleteVersion(key, versionId, ++call.state.tick);
    return bare(204, { "x-amz-version-id": versionId, "x-amz-delete-marker": removed?.isMarker === true ? "true" : undefined });
  }
  const marker = bucket.delete(key, ++call.state.tick, call.nowMs);
  return bare(204, marker === undefined ? {} : { "x-amz-version-id": marker.versionId, "x-amz-delete-marker": "true" });
}

function requireDeleteCondition(call: S3Call, current: StoredObject | undefined): void {
  const ifMatch = call.header("if-match");
  if (ifMatch === undefined || !call.state.traits.checksDeletes) return;
  if (current === undefined) throw call.missing(call.key);
  requireCondition(call, WRITE_CONDITION);
}

export function copyObject(call: S3Call): RawAnswer {
  const { bucket, key } = call;
  requireKey(key);
  const [from, sourceKey, versionId] = copySource(call);
  const source = call.object(from, sourceKey, versionId);
  requireReadable(source);
  requireCopySource(call, source);
  const isReplaced = directive(call, "x-amz-metadata-directive") === "REPLACE";
  const isRetagged = directive(call, "x-amz-tagging-directive") === "REPLACE";
  const stated = traitsOf(call);
  if (from === bucket && sourceKey === key && !isReplaced && versionId === undefined && call.header("x-amz-storage-class") === undefined)
    throw new S3Answer(
      "InvalidRequest",
      "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.",
    );
  requireCondition(call, call.state.traits.copyCondition);
  const traits: ObjectTraits = {
    headers: isReplaced ? stated.headers : source.headers,
    metadata: isReplaced ? stated.metadata : source.metadata,
    storageClass: stated.storageClass,
    tags: isRetagged ? stated.tags : source.tags,
  };
  const { checksum } = source;
  const full =
    checksum?.type === "COMPOSITE"
      ? { ...checksum, type: "FULL_OBJECT" as const, value: checksumOf(checksum.algorithm, source.pieces) }
      : checksum;
  const object = newObject(call, bucket, traits, source.pieces, full);
  if (directive(call, "x-amz-object-annotation-directive") !== "EXCLUDE")
    for (const [name, annotation] of source.annotations) object.annotations.set(name, annotation);
  bucket.add(key, object);
  const times = { LastModified: new Date(object.modifiedMs).toISOString(), ETag: object.etag };
  return xmlAnswer(
    "CopyObjectResult",
    { ...times, ...checksumElements(object.checksum) },
    {
      ...versionHeader(bucket, object.versionId),
      "x-amz-copy-source-version-id": versionHeader(from, source.versionId)["x-amz-version-id"],
    },
  );
}

function directive(call: S3Call, name: string): string {
  const value = call.header(name) ?? "COPY";
  if (value === "COPY" || value === "REPLACE" || (value === "EXCLUDE" && name === "x-amz-object-annotation-directive")) return value;
  throw invalidArgument(name, value, `Unknown ${name}`);
}

/** Reads `/bucket/key?versionId=…`. */
export function copySource(call: S3Call): readonly [bucket: Bucket, key: string, versionId: string | undefined] {
  const stated = call.header("x-amz-copy-source") ?? "";
  const [, bucket, key, versionId] = /^\/?([^/?]+)\/([^?]+)(?:\?versionId=([\w.-]+))?$/.exec(stated) ?? [];
  try {
    if (bucket !== undefined && key !== undefined)
      return [bucketIn(call.state, bucket), decodeURIComponent(key.replaceAll("+", " ")), versionId];
  } catch (error) {
    if (error instanceof S3Answer) throw error;
  }
  throw invalidArgument("x-amz-copy-source", stated, "Copy Source must mention the source bucket and key: sourcebucket/sourcekey");
}

export function getObjectTagging(call: S3Call): RawAnswer {
  const object = call.object();
  const tags = [...object.tags].map(([Key, Value]) => ({ Key, Value }));
  return xmlAnswer("Tagging", { TagSet: { Tag: tags } }, versionHeader(call.bucket, object.versionId));
}

export function putObjectTagging(call: S3Call): RawAnswer {
  const object = call.object();
  object.tags = tagsIn(call.payload.bytes.toString("utf8"));
  return bare(200, versionHeader(call.bucket, object.versionId));
}

export function deleteObjectTagging(call: S3Call): RawAnswer {
  const object = call.object();
  object.tags = new Map();
  return bare(204, versionHeader(call.bucket, object.versionId));
}

export function getObjectAttributes(call: S3Call): RawAnswer {
  const object = call.object();
  const wanted = new Set((call.header("x-amz-object-attributes") ?? "").split(",").map((name) => name.trim()));
  const checksum = checksumNow(object);
  const most = call.count("x-amz-max-parts", 1000, 1000);
  const after = call.count("x-amz-part-number-marker", Number.MAX_SAFE_INTEGER, 0);
  const left = (object.parts ?? []).filter(({ number }) => number > after);
  const parts = left.slice(0, most);
  return xmlAnswer(
    "GetObjectAttributesResponse",
    {
      ...(wanted.has("ETag") && { ETag: object.etag.replaceAll('"', "") }),
      ...(wanted.has("Checksum") && { Checksum: { ...checksumElements(checksum), ChecksumType: checksum.type } }),
      ...(wanted.has("ObjectParts") &&
        object.parts !== undefined && {
          ObjectParts: {
            IsTruncated: left.length > parts.length,
            MaxParts: most,
            NextPartNumberMarker: parts.at(-1)?.number ?? 0,
            PartNumberMarker: after,
            PartsCount: object.parts.length,
            Part: parts.map(({ number, size, checksum: value }) => ({
              PartNumber: number,
              Size: size,
              ...(value !== undefined && { [checksumElement(checksum.algorithm)]: value }),
            })),
          },
        }),
      ...(wanted.has("ObjectSize") && { ObjectSize: object.size }),
      ...(wanted.has("StorageClass") && { StorageClass: object.storageClass }),
    },
    { "last-modified": new Date(object.modifiedMs).toUTCString(), ...versionHeader(call.bucket, object.versionId) },
  );
}

/** @throws `KeyTooLongError` */
export function requireKey(key: string): void {
  if (Buffer.byteLength(key) > 1024)
    throw new S3Answer("KeyTooLongError", "Your key is too long", { MaxSizeAllowed: "1024", Size: `${Buffer.byteLength(key)}` });
}

export function checksumHeaders(checksum: Checksum | undefined): AnswerHeaders {
  if (checksum === undefined) return {};
  return { [checksumHeader(checksum.algorithm)]: checksum.value, "x-amz-checksum-type": checksum.type };
}

export function checksumElements(checksum: Checksum | undefined): Record<string, string> {
  return checksum === undefined ? {} : { [checksumElement(checksum.algorithm)]: checksum.value };
}

/** The checksum of an object. The service computes CRC64NVME for an object that came without one; here that is done when it is asked for. */
function checksumNow(object: StoredObject): Checksum {
  object.checksum ??= { algorithm: "CRC64NVME", type: "FULL_OBJECT", value: checksumOf("CRC64NVME", object.pieces) };
  return object.checksum;
}

function askedChecksum(call: S3Call, object: StoredObject): AnswerHeaders {
  if (call.header("x-amz-checksum-mode")?.toUpperCase() !== "ENABLED") return {};
  const part = call.query("partNumber");
  if (part === undefined) return checksumHeaders(checksumNow(object));
  const value = object.parts?.find(({ number }) => `${number}` === part)?.checksum;
  const algorithm = object.checksum?.algorithm;
  return value !== undefined && algorithm !== undefined ? { [checksumHeader(algorithm)]: value } : {};
}

function objectHeaders(call: S3Call, bucket: Bucket, object: StoredObject): Record<string, string> {
  return {
    ...traitHeaders(object),
    "accept-ranges": "bytes",
    etag: object.etag,
    "last-modified": new Date(object.modifiedMs).toUTCString(),
    ...present(versionHeader(bucket, object.versionId)),
    ...(call.query("partNumber") !== undefined && object.parts !== undefined && { "x-amz-mp-parts-count": `${object.parts.length}` }),
  };
}

function overrides(call: S3Call): Record<string, string> {
  return present(Object.fromEntries(CONTENT_HEADERS.map((name) => [name, call.query(`response-${name}`)])));
}

/** @returns undefined for the whole @throws `InvalidRange` */
function askedRange(call: S3Call, object: StoredObject): ByteRange | undefined {
  const part = call.query("partNumber");
  if (part !== undefined) return rangeOfPart(object, part);
  const range = rangeIn(call.header("range"), object.size);
  if (range !== "outside") return range;
  throw new S3Answer("InvalidRange", undefined, { RangeRequested: call.header("range") ?? "", ActualObjectSize: `${object.size}` });
}

function rangeOfPart({ parts, size }: StoredObject, text: string): ByteRange {
  const at = (parts ?? []).findIndex(({ number }) => `${number}` === text);
  if (parts === undefined && text === "1") return { start: 0, end: size };
  if (at === -1 || parts === undefined)
    throw new S3Answer("InvalidRange", "The requested partnumber is not satisfiable", { PartNumberRequested: text });
  const start = parts.slice(0, at).reduce((sum, part) => sum + part.size, 0);
  return { start, end: start + (parts[at]?.size ?? 0) };
}
