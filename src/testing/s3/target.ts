import type { IncomingHttpHeaders } from "node:http";

/** The resource that a request names. */
export interface S3Target {
  readonly bucket: string | undefined;
  readonly key: string | undefined;
  /** The path as the client wrote it. */
  readonly path: string;
  /** Decoded names and values. */
  readonly query: readonly (readonly [name: string, value: string])[];
}

/** Reads bucket and key, in the style of a path or of a virtual host. Returns undefined for a target that cannot be decoded. */
export function targetOf(target: string, headers: IncomingHttpHeaders): S3Target | undefined {
  const at = target.indexOf("?");
  const path = at === -1 ? target : target.slice(0, at);
  try {
    const decoded = decodeURIComponent(path).slice(1);
    const query = [...new URLSearchParams(at === -1 ? "" : target.slice(at + 1))];
    const host = bucketOfHost(headers.host ?? "");
    const end = decoded.indexOf("/");
    const [bucket, key] =
      host !== undefined ? [host, decoded] : end === -1 ? [decoded, ""] : [decoded.slice(0, end), decoded.slice(end + 1)];
    return { bucket: bucket === "" ? undefined : bucket, key: key === "" ? undefined : key, path, query };
  } catch {
    return undefined; // the path has an escape that is none
  }
}

/** `bucket.localhost:4566`, `bucket.s3.eu-central-1.amazonaws.com`, `bucket.account.r2.cloudflarestorage.com` */
function bucketOfHost(host: string): string | undefined {
  return VIRTUAL_HOST.exec(host.replace(/:\d+$/, ""))?.[1];
}

/** Names the operation that a request asks for; undefined if there is none. */
export function operationOf(method: string, { bucket, key, query }: S3Target, headers: IncomingHttpHeaders): string | undefined {
  const names = new Set(query.map(([name]) => name));
  const table = bucket === undefined ? ON_SERVICE : key === undefined ? ON_BUCKET : ON_KEY;
  const isCopy = headers["x-amz-copy-source"] !== undefined;
  const found = table.find((row) => row.method === method && (row.needs ?? []).every((name) => (name === COPY ? isCopy : names.has(name))));
  return found?.operation;
}

interface Row {
  readonly method: string;
  readonly operation: string;
  /** Names in the query, and `COPY` for a copy's source. */
  readonly needs?: readonly string[];
}

const VIRTUAL_HOST =
  /^([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])\.(?:localhost|s3[.-](?:dualstack\.)?[a-z0-9-]+\.amazonaws\.com|s3\.amazonaws\.com|[0-9a-f]{32}\.r2\.cloudflarestorage\.com)$/;
const COPY = "the header x-amz-copy-source";

const ON_SERVICE: readonly Row[] = [{ method: "GET", operation: "ListBuckets" }];

/** What needs more stands before what needs less. */
const ON_BUCKET: readonly Row[] = [
  { method: "PUT", operation: "PutBucketVersioning", needs: ["versioning"] },
  { method: "PUT", operation: "CreateBucket" },
  { method: "GET", operation: "ListObjectsV2", needs: ["list-type"] },
  { method: "GET", operation: "ListMultipartUploads", needs: ["uploads"] },
  { method: "GET", operation: "ListObjectVersions", needs: ["versions"] },
  { method: "GET", operation: "GetBucketVersioning", needs: ["versioning"] },
  { method: "GET", operation: "GetBucketLocation", needs: ["location"] },
  { method: "GET", operation: "ListObjects" },
  { method: "HEAD", operation: "HeadBucket" },
  { method: "DELETE", operation: "DeleteBucket" },
  { method: "POST", operation: "DeleteObjects", needs: ["delete"] },
];

const ON_KEY: readonly Row[] = [
  { method: "PUT", operation: "UploadPartCopy", needs: ["uploadId", "partNumber", COPY] },
  { method: "PUT", operation: "UploadPart", needs: ["uploadId", "partNumber"] },
  { method: "PUT", operation: "PutObjectTagging", needs: ["tagging"] },
  { method: "PUT", operation: "PutObjectAnnotation", needs: ["annotation"] },
  { method: "PUT", operation: "CopyObject", needs: [COPY] },
  { method: "PUT", operation: "PutObject" },
  { method: "GET", operation: "ListParts", needs: ["uploadId"] },
  { method: "GET", operation: "GetObjectAttributes", needs: ["attributes"] },
  { method: "GET", operation: "GetObjectTagging", needs: ["tagging"] },
  { method: "GET", operation: "GetObjectAnnotation", needs: ["annotation", "annotationName"] },
  { method: "GET", operation: "ListObjectAnnotations", needs: ["annotation"] },
  { method: "GET", operation: "GetObject" },
  { method: "HEAD", operation: "HeadObject" },
  { method: "DELETE", operation: "AbortMultipartUpload", needs: ["uploadId"] },
  { method: "DELETE", operation: "DeleteObjectTagging", needs: ["tagging"] },
  { method: "DELETE", operation: "DeleteObjectAnnotation", needs: ["annotation"] },
  { method: "DELETE", operation: "DeleteObject" },
  { method: "POST", operation: "CreateMultipartUpload", needs: ["uploads"] },
  { method: "POST", operation: "CompleteMultipartUpload", needs: ["uploadId"] },
];
