import { STORAGE_CLASSES } from "../../blobs/s3/calls.ts";
import { elementsIn, textIn } from "../../blobs/xml.ts";
import { notImplemented, S3Answer } from "./answer.ts";
import type { ObjectTraits, StoredObject } from "./bucket.ts";
import type { S3Call } from "./s3-call.ts";

/** Reads what a request states of an object. @throws `MetadataTooLarge`, `InvalidTag`, `InvalidStorageClass`, `NotImplemented` */
export function traitsOf(call: S3Call): ObjectTraits {
  const storageClass = call.header("x-amz-storage-class") ?? "STANDARD";
  if (!STORAGE_CLASSES.has(storageClass)) throw new S3Answer("InvalidStorageClass", "The storage class you specified is not valid");
  const headers = Object.fromEntries(
    CONTENT_HEADERS.flatMap((name) => {
      const value = name === "content-encoding" ? contentEncoding(call) : call.header(name);
      return value === undefined ? [] : [[name, value]];
    }),
  );
  return { headers: { "content-type": "binary/octet-stream", ...headers }, metadata: metadataOf(call), storageClass, tags: tagsOf(call) };
}

/** The traits of an object as the headers of an answer. */
export function traitHeaders({ headers, metadata, storageClass, tags }: ObjectTraits): Record<string, string> {
  return {
    ...headers,
    ...Object.fromEntries(Object.entries(metadata).map(([name, value]) => [`${META}${name}`, value])),
    ...(storageClass !== "STANDARD" && { "x-amz-storage-class": storageClass }),
    ...(tags.size > 0 && { "x-amz-tagging-count": `${tags.size}` }),
  };
}

/** The encoding of the object. `aws-chunked` is the encoding of the transfer. */
function contentEncoding(call: S3Call): string | undefined {
  const names = (call.header("content-encoding") ?? "").split(",").map((name) => name.trim());
  return names.filter((name) => name !== "" && name !== "aws-chunked").join(",") || undefined;
}

function metadataOf(call: S3Call): Record<string, string> {
  const pairs = Object.entries(call.headers).flatMap(([name, value]): [string, string][] =>
    name.startsWith(META) ? [[name.slice(META.length), `${value}`]] : [],
  );
  const bytes = pairs.reduce((sum, [name, value]) => sum + name.length + Buffer.byteLength(value), 0);
  if (bytes > MOST_METADATA_BYTES)
    throw new S3Answer("MetadataTooLarge", undefined, { Size: `${bytes}`, MaxSizeAllowed: `${MOST_METADATA_BYTES}` });
  return Object.fromEntries(pairs);
}

function tagsOf(call: S3Call): ReadonlyMap<string, string> {
  const text = call.header("x-amz-tagging");
  if (text === undefined) return new Map();
  if (!call.state.traits.hasTags) throw notImplemented("x-amz-tagging");
  return checkedTags([...new URLSearchParams(text)]);
}

/** Reads the body of PutObjectTagging. */
export function tagsIn(xml: string): ReadonlyMap<string, string> {
  if (textIn(xml, "TagSet") === undefined) throw new S3Answer("MalformedXML");
  return checkedTags(elementsIn(xml, "Tag").map((tag) => [textIn(tag, "Key") ?? "", textIn(tag, "Value") ?? ""]));
}

function checkedTags(pairs: readonly (readonly [string, string])[]): ReadonlyMap<string, string> {
  if (pairs.length > MOST_TAGS) throw new S3Answer("BadRequest", "Object tags cannot be greater than 10");
  if (new Set(pairs.map(([name]) => name)).size < pairs.length)
    throw new S3Answer("InvalidTag", "Cannot provide multiple Tags with the same key");
  for (const [name, value] of pairs) {
    if (!TAG_TEXT.test(name) || name.length > 128)
      throw new S3Answer("InvalidTag", "The TagKey you have provided is invalid", { TagKey: name });
    if (!(value === "" || TAG_TEXT.test(value)) || value.length > 256)
      throw new S3Answer("InvalidTag", "The TagValue you have provided is invalid", { TagValue: value });
  }
  return new Map(pairs);
}

/** @throws `InvalidObjectState` for an object whose class must be restored before it can be read */
export function requireReadable({ storageClass }: StoredObject): void {
  if (storageClass === "GLACIER" || storageClass === "DEEP_ARCHIVE")
    throw new S3Answer("InvalidObjectState", "The operation is not valid for the object's storage class", { StorageClass: storageClass });
}

const META = "x-amz-meta-";
const MOST_METADATA_BYTES = 2048;
const MOST_TAGS = 10;
const TAG_TEXT = /^[\p{L}\p{Z}\p{N}_.:/=+\-@]+$/u;
/** The headers of an answer that are kept from the request, and that a query can override. */
export const CONTENT_HEADERS = [
  "content-type",
  "content-encoding",
  "content-disposition",
  "content-language",
  "cache-control",
  "expires",
] as const;
