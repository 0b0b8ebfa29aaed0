import type { RawAnswer } from "../emulator/fault-plan.ts";
import { preconditionFailed, S3Answer } from "./answer.ts";
import { etagOf, type StoredObject } from "./bucket.ts";
import { checksumHeader } from "./checksums.ts";
import { matches } from "./conditions.ts";
import { type AnswerHeaders, bare, type S3Call, versionHeader, xmlAnswer } from "./s3-call.ts";

// The operations on annotations: named UTF-8 beside a version of an object.

export function putObjectAnnotation(call: S3Call): RawAnswer {
  const object = annotated(call);
  const name = annotationName(call);
  const { bytes, checksum } = call.payload;
  if (bytes.length > MOST_BYTES) throw new S3Answer("EntityTooLarge");
  if (!isUtf8(bytes)) throw new S3Answer("UnsupportedMediaType", "The annotation payload must be valid UTF-8.");
  if (object.annotations.size >= MOST_ANNOTATIONS && !object.annotations.has(name))
    throw new S3Answer("AnnotationLimitExceeded", `An object version has at most ${MOST_ANNOTATIONS} annotations.`);
  const etag = etagOf([bytes]);
  object.annotations.set(name, { bytes, etag, modifiedMs: call.nowMs });
  const sum = checksum === undefined ? {} : { [checksumHeader(checksum.algorithm)]: checksum.value };
  return xmlAnswer("PutObjectAnnotationOutput", { Key: call.key, AnnotationName: name }, { etag, ...sum, ...objectVersion(call, object) });
}

export function getObjectAnnotation(call: S3Call): RawAnswer {
  const object = annotated(call);
  const name = annotationName(call);
  const found = object.annotations.get(name);
  if (found === undefined) throw noSuchAnnotation(name);
  return {
    status: 200,
    text: "",
    bytes: [found.bytes],
    headers: {
      ...bare(200, objectVersion(call, object)).headers,
      "content-type": "text/plain; charset=utf-8",
      "content-length": `${found.bytes.length}`,
      "last-modified": new Date(found.modifiedMs).toUTCString(),
      etag: found.etag,
    },
  };
}

export function deleteObjectAnnotation(call: S3Call): RawAnswer {
  const object = annotated(call);
  const name = annotationName(call);
  if (!object.annotations.delete(name)) throw noSuchAnnotation(name);
  return bare(204, objectVersion(call, object));
}

export function listObjectAnnotations(call: S3Call): RawAnswer {
  const object = annotated(call);
  const most = call.count("max-annotation-results", MOST_ANNOTATIONS, MOST_ANNOTATIONS);
  const [prefix, after] = [call.query("annotation-prefix") ?? "", call.query("continuation-token")];
  const names = [...object.annotations.keys()].filter((name) => name.startsWith(prefix)).sort();
  const left = names.filter((name) => after === undefined || name > Buffer.from(after, "base64url").toString("utf8"));
  const page = left.slice(0, most);
  const entries = page.flatMap((name) => {
    const annotation = object.annotations.get(name);
    if (annotation === undefined) return [];
    const { bytes, etag, modifiedMs } = annotation;
    return [{ AnnotationName: name, Size: bytes.length, ETag: etag, LastModified: new Date(modifiedMs).toISOString() }];
  });
  const last = page.at(-1);
  return xmlAnswer(
    "ListObjectAnnotationsOutput",
    {
      Annotations: { AnnotationEntry: entries },
      Bucket: call.bucketName,
      Key: call.key,
      AnnotationPrefix: prefix || undefined,
      MaxAnnotationResults: most,
      AnnotationCount: page.length,
      ContinuationToken: after,
      NextContinuationToken: left.length > page.length && last !== undefined ? Buffer.from(last).toString("base64url") : undefined,
    },
    objectVersion(call, object),
  );
}

/** @throws `PreconditionFailed` if the object has another ETag than the caller expects */
function annotated(call: S3Call): StoredObject {
  const object = call.object();
  const expected = call.header("x-amz-object-if-match");
  if (expected !== undefined && !matches(expected, object.etag)) throw preconditionFailed("x-amz-object-if-match");
  return object;
}

function annotationName(call: S3Call): string {
  const name = call.query("annotationName") ?? "";
  if (Buffer.byteLength(name) > MOST_NAME_BYTES)
    throw new S3Answer("AnnotationNameTooLong", `An annotation name has at most ${MOST_NAME_BYTES} bytes.`);
  if (name === "" || /^(?:aws|s3)/i.test(name)) throw new S3Answer("InvalidAnnotationName", "The annotation name is not valid.");
  return name;
}

function noSuchAnnotation(name: string): S3Answer {
  return new S3Answer("NoSuchAnnotation", "The specified annotation does not exist.", { AnnotationName: name });
}

function objectVersion(call: S3Call, object: StoredObject): AnswerHeaders {
  return { "x-amz-object-version-id": versionHeader(call.bucket, object.versionId)["x-amz-version-id"] };
}

function isUtf8(bytes: Buffer): boolean {
  return Buffer.from(bytes.toString("utf8"), "utf8").equals(bytes);
}

const MOST_BYTES = 2 ** 20;
const MOST_ANNOTATIONS = 1000;
const MOST_NAME_BYTES = 512;
