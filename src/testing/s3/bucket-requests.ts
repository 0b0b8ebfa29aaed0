import { elementsIn, textIn } from "../../blobs/xml.ts";
import { escaped } from "../emulator/aws-signature.ts";
import type { RawAnswer } from "../emulator/fault-plan.ts";
import { invalidArgument, notImplemented, S3Answer } from "./answer.ts";
import { Bucket, type ObjectVersion, type StoredObject } from "./bucket.ts";
import { bare, type S3Call, type S3State, xmlAnswer } from "./s3-call.ts";
import type { XmlFields } from "./xml-text.ts";

// The operations on buckets and on what they list.

export function listBuckets({ state }: S3Call): RawAnswer {
  const buckets = [...state.buckets.values()].map(({ name, createdMs }) => ({
    Name: name,
    CreationDate: new Date(createdMs).toISOString(),
  }));
  return xmlAnswer("ListAllMyBucketsResult", { Owner: OWNER, Buckets: { Bucket: buckets } });
}

export function createBucket(call: S3Call): RawAnswer {
  const { state, bucketName } = call;
  if (state.buckets.has(bucketName))
    throw new S3Answer("BucketAlreadyOwnedByYou", "Your previous request to create the named bucket succeeded and you already own it.");
  const region = textIn(call.payload.bytes.toString("utf8"), "LocationConstraint") ?? state.region;
  addBucket(state, bucketName, region);
  return bare(200, { location: `/${bucketName}` });
}

/** @throws `InvalidBucketName` */
export function addBucket(state: S3State, name: string, region: string): Bucket {
  if (!/^(?!.*\.\.)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(name))
    throw new S3Answer("InvalidBucketName", "The specified bucket is not valid.");
  const bucket = new Bucket(name, region, state.clock.unixMs(), state.capacity);
  state.buckets.set(name, bucket);
  return bucket;
}

export function headBucket(call: S3Call): RawAnswer {
  return bare(200, { "x-amz-bucket-region": call.bucket.region });
}

export function deleteBucket(call: S3Call): RawAnswer {
  if (!call.bucket.isEmpty) throw new S3Answer("BucketNotEmpty", "The bucket you tried to delete is not empty");
  call.state.buckets.delete(call.bucketName);
  return bare(204);
}

export function getBucketLocation(call: S3Call): RawAnswer {
  const { region } = call.bucket;
  return xmlAnswer("LocationConstraint", {}, {}, region === "us-east-1" ? "" : region);
}

export function getBucketVersioning(call: S3Call): RawAnswer {
  return xmlAnswer("VersioningConfiguration", { Status: call.bucket.versioning });
}

export function putBucketVersioning(call: S3Call): RawAnswer {
  const { bucket } = call;
  if (!call.state.traits.hasVersions) throw notImplemented("versioning");
  const status = textIn(call.payload.bytes.toString("utf8"), "Status");
  if (status !== "Enabled" && status !== "Suspended") throw new S3Answer("MalformedXML");
  bucket.versioning = status;
  return bare(200);
}

export function deleteObjects(call: S3Call): RawAnswer {
  const { bucket } = call;
  const xml = call.payload.bytes.toString("utf8");
  const isQuiet = textIn(xml, "Quiet") === "true";
  const objects = elementsIn(xml, "Object").map((one) => ({
    key: textIn(one, "Key"),
    versionId: textIn(one, "VersionId"),
    etag: textIn(one, "ETag"),
  }));
  if (objects.length === 0 || objects.length > MOST_LISTED) throw new S3Answer("MalformedXML");
  const outcomes = objects.map(({ key = "", versionId, etag }): XmlFields => {
    const error = (code: string): XmlFields => ({ Error: { Key: key, VersionId: versionId, Code: code, Message: code } });
    if (etag !== undefined && call.state.traits.checksDeletes && bucket.current(key)?.etag.replaceAll('"', "") !== etag.replaceAll('"', ""))
      return error(bucket.current(key) === undefined ? "NoSuchKey" : "PreconditionFailed");
    const tick = ++call.state.tick;
    if (versionId !== undefined) bucket.deleteVersion(key, versionId, tick);
    const marker = versionId === undefined ? bucket.delete(key, tick, call.nowMs) : undefined;
    return { Deleted: { Key: key, VersionId: versionId, DeleteMarker: marker && true, DeleteMarkerVersionId: marker?.versionId } };
  });
  return xmlAnswer("DeleteResult", {
    Deleted: isQuiet ? [] : outcomes.flatMap(({ Deleted }) => (Deleted === undefined ? [] : [Deleted])),
    Error: outcomes.flatMap(({ Error: error }) => (error === undefined ? [] : [error])),
  });
}

export function listObjectsV2(call: S3Call): RawAnswer {
  const token = call.query("continuation-token");
  const after = token === undefined ? call.query("start-after") : Buffer.from(token, "base64url").toString("utf8");
  const page = pageOf(call, after);
  return xmlAnswer("ListBucketResult", {
    ...common(call),
    KeyCount: page.items.length,
    IsTruncated: page.isTruncated,
    StartAfter: call.query("start-after"),
    ContinuationToken: token,
    NextContinuationToken: page.isTruncated ? Buffer.from(page.last).toString("base64url") : undefined,
    ...listed(call, page, call.query("fetch-owner") === "true"),
  });
}

export function listObjects(call: S3Call): RawAnswer {
  const page = pageOf(call, call.query("marker"));
  return xmlAnswer("ListBucketResult", {
    ...common(call),
    Marker: call.query("marker") ?? "",
    NextMarker: page.isTruncated && call.query("delimiter") !== undefined ? shown(call, page.last) : undefined,
    IsTruncated: page.isTruncated,
    ...listed(call, page, true),
  });
}

export function listObjectVersions(call: S3Call): RawAnswer {
  const { bucket } = call;
  const most = call.count("max-keys", MOST_LISTED, MOST_LISTED);
  const [keyMarker, idMarker] = [call.query("key-marker"), call.query("version-id-marker")];
  const all = bucket.keys
    .filter((key) => key.startsWith(call.query("prefix") ?? ""))
    .flatMap((key) => bucket.versionsOf(key).map((version, at) => ({ key, version, isLatest: at === 0 })));
  const from = keyMarker === undefined ? 0 : all.findIndex(({ key, version }) => isPast(key, version, keyMarker, idMarker));
  const left = from === -1 ? [] : all.slice(from);
  const page = left.slice(0, most);
  const last = page.at(-1);
  const isTruncated = left.length > page.length;
  const one = ({ key, version, isLatest }: (typeof all)[number]): XmlFields => ({
    Key: shown(call, key),
    VersionId: version.versionId,
    IsLatest: isLatest,
    LastModified: new Date(version.modifiedMs).toISOString(),
    ...(!version.isMarker && { ETag: version.etag, Size: version.size, StorageClass: version.storageClass }),
    Owner: OWNER,
  });
  return xmlAnswer("ListVersionsResult", {
    ...common(call),
    KeyMarker: keyMarker ?? "",
    VersionIdMarker: idMarker ?? "",
    IsTruncated: isTruncated,
    ...(isTruncated && last !== undefined && { NextKeyMarker: shown(call, last.key), NextVersionIdMarker: last.version.versionId }),
    Version: page.filter(({ version }) => !version.isMarker).map(one),
    DeleteMarker: page.filter(({ version }) => version.isMarker).map(one),
  });

  function isPast(key: string, version: ObjectVersion, marker: string, id: string | undefined): boolean {
    if (key !== marker) return Buffer.compare(Buffer.from(key), Buffer.from(marker)) > 0;
    const versions = bucket.versionsOf(key);
    return id !== undefined && versions.indexOf(version) > versions.findIndex(({ versionId }) => versionId === id);
  }
}

export function listMultipartUploads(call: S3Call): RawAnswer {
  const { bucket } = call;
  const most = call.count("max-uploads", MOST_LISTED, MOST_LISTED);
  const [keyMarker = "", idMarker] = [call.query("key-marker"), call.query("upload-id-marker")];
  const left = [...bucket.uploads.values()]
    .filter(({ key }) => key.startsWith(call.query("prefix") ?? ""))
    .sort((a, b) => Buffer.compare(Buffer.from(a.key), Buffer.from(b.key)) || a.startedMs - b.startedMs || (a.id < b.id ? -1 : 1))
    .filter(({ key, id }, _, all) => {
      const order = Buffer.compare(Buffer.from(key), Buffer.from(keyMarker));
      const marked = all.findIndex((other) => other.id === idMarker);
      return order > 0 || (order === 0 && marked !== -1 && all.findIndex((other) => other.id === id) > marked);
    });
  const page = left.slice(0, most);
  const last = page.at(-1);
  const isTruncated = left.length > page.length;
  return xmlAnswer("ListMultipartUploadsResult", {
    Bucket: bucket.name,
    KeyMarker: keyMarker,
    UploadIdMarker: idMarker ?? "",
    Prefix: call.query("prefix"),
    MaxUploads: most,
    IsTruncated: isTruncated,
    ...(isTruncated && last !== undefined && { NextKeyMarker: shown(call, last.key), NextUploadIdMarker: last.id }),
    EncodingType: call.query("encoding-type"),
    Upload: page.map((upload) => ({
      Key: shown(call, upload.key),
      UploadId: upload.id,
      Initiator: OWNER,
      Owner: OWNER,
      StorageClass: upload.traits.storageClass,
      Initiated: new Date(upload.startedMs).toISOString(),
      ...(upload.checksum !== undefined && { ChecksumAlgorithm: upload.checksum.algorithm, ChecksumType: upload.checksum.type }),
    })),
  });
}

/** A key, or the beginning that several keys share up to a delimiter. */
type Listed = { readonly key: string; readonly object: StoredObject } | { readonly prefix: string };

interface Page {
  readonly items: readonly Listed[];
  /** The key or the prefix that the next page is after. */
  readonly last: string;
  readonly isTruncated: boolean;
}

function pageOf(call: S3Call, after: string | undefined): Page {
  const { bucket } = call;
  const most = call.count("max-keys", MOST_LISTED, MOST_LISTED);
  const [prefix, delimiter] = [call.query("prefix") ?? "", call.query("delimiter") ?? ""];
  const start = after === undefined ? undefined : Buffer.from(after);
  const items: Listed[] = [];
  let last = "";
  for (const key of bucket.keys) {
    const object = bucket.current(key);
    if (object === undefined || !key.startsWith(prefix)) continue;
    const end = delimiter === "" ? -1 : key.indexOf(delimiter, prefix.length);
    const group = end === -1 ? undefined : key.slice(0, end + delimiter.length);
    if (start !== undefined && Buffer.compare(Buffer.from(key), start) <= 0) continue;
    if (group !== undefined && (group === last || group === after)) continue;
    if (items.length >= most) return { items, last, isTruncated: most > 0 };
    items.push(group === undefined ? { key, object } : { prefix: group });
    last = group ?? key;
  }
  return { items, last, isTruncated: false };
}

function common(call: S3Call): XmlFields {
  const encoding = call.query("encoding-type");
  if (encoding !== undefined && encoding !== "url")
    throw invalidArgument("encoding-type", encoding, "Invalid Encoding Method specified in Request");
  return {
    Name: call.bucketName,
    Prefix: shown(call, call.query("prefix") ?? ""),
    Delimiter: call.query("delimiter"),
    MaxKeys: call.count("max-keys", MOST_LISTED, MOST_LISTED),
    EncodingType: encoding,
  };
}

function listed(call: S3Call, { items }: Page, hasOwner: boolean): XmlFields {
  return {
    Contents: items.flatMap((item) => {
      if ("prefix" in item) return [];
      const { etag, size, modifiedMs, storageClass, checksum } = item.object;
      const known = checksum === undefined ? {} : { ChecksumAlgorithm: checksum.algorithm, ChecksumType: checksum.type };
      const times = { LastModified: new Date(modifiedMs).toISOString() };
      return [
        {
          Key: shown(call, item.key),
          ...times,
          ETag: etag,
          ...known,
          Size: size,
          StorageClass: storageClass,
          ...(hasOwner && { Owner: OWNER }),
        },
      ];
    }),
    CommonPrefixes: items.flatMap((item) => ("prefix" in item ? [{ Prefix: shown(call, item.prefix) }] : [])),
  };
}

/** A key as the caller wants it in XML, which cannot hold every character. */
function shown(call: S3Call, key: string): string {
  return call.query("encoding-type") === "url" ? escaped(key).replaceAll("%2F", "/") : key;
}

const MOST_LISTED = 1000;
const OWNER = { ID: "75aa57f09aa0c8caeab4f8c24e99d10f8e7faeebf76c078efc7c6caea54ba06a", DisplayName: "emulator" } as const;
