import type { RawAnswer } from "../emulator/fault-plan.ts";
import { deleteObjectAnnotation, getObjectAnnotation, listObjectAnnotations, putObjectAnnotation } from "./annotation-requests.ts";
import {
  createBucket,
  deleteBucket,
  deleteObjects,
  getBucketLocation,
  getBucketVersioning,
  headBucket,
  listBuckets,
  listMultipartUploads,
  listObjects,
  listObjectsV2,
  listObjectVersions,
  putBucketVersioning,
} from "./bucket-requests.ts";
import {
  copyObject,
  deleteObject,
  deleteObjectTagging,
  getObject,
  getObjectAttributes,
  getObjectTagging,
  headObject,
  putObject,
  putObjectTagging,
} from "./object-requests.ts";
import { CONTENT_HEADERS } from "./object-traits.ts";
import type { S3Call } from "./s3-call.ts";
import {
  abortMultipartUpload,
  completeMultipartUpload,
  createMultipartUpload,
  listParts,
  uploadPart,
  uploadPartCopy,
} from "./upload-requests.ts";

/** An operation of the service. */
export interface Operation {
  /** The right that a caller needs. */
  readonly action: string;
  /** The names that the query may have, beside those of a signature. */
  readonly query?: readonly string[];
  run(call: S3Call): RawAnswer;
}

const PAGE = ["prefix", "delimiter", "max-keys", "encoding-type"];
const OVERRIDES = CONTENT_HEADERS.map((name) => `response-${name}`);
const READ = ["versionId", "partNumber", ...OVERRIDES];
const PART = ["uploadId", "partNumber"];
const ANNOTATION = ["annotation", "annotationName", "versionId"];

/** The operations that the emulator answers. It refuses the others of the service with 501. */
export const OPERATIONS: Readonly<Record<string, Operation>> = {
  ListBuckets: { action: "s3:ListAllMyBuckets", query: ["max-buckets", "prefix", "bucket-region", "continuation-token"], run: listBuckets },
  CreateBucket: { action: "s3:CreateBucket", run: createBucket },
  HeadBucket: { action: "s3:ListBucket", run: headBucket },
  DeleteBucket: { action: "s3:DeleteBucket", run: deleteBucket },
  GetBucketLocation: { action: "s3:GetBucketLocation", query: ["location"], run: getBucketLocation },
  GetBucketVersioning: { action: "s3:GetBucketVersioning", query: ["versioning"], run: getBucketVersioning },
  PutBucketVersioning: { action: "s3:PutBucketVersioning", query: ["versioning"], run: putBucketVersioning },
  ListObjects: { action: "s3:ListBucket", query: [...PAGE, "marker"], run: listObjects },
  ListObjectsV2: {
    action: "s3:ListBucket",
    query: [...PAGE, "list-type", "continuation-token", "start-after", "fetch-owner"],
    run: listObjectsV2,
  },
  ListObjectVersions: {
    action: "s3:ListBucketVersions",
    query: [...PAGE, "versions", "key-marker", "version-id-marker"],
    run: listObjectVersions,
  },
  ListMultipartUploads: {
    action: "s3:ListBucketMultipartUploads",
    query: ["uploads", "prefix", "max-uploads", "key-marker", "upload-id-marker", "encoding-type"],
    run: listMultipartUploads,
  },
  DeleteObjects: { action: "s3:DeleteObject", query: ["delete"], run: deleteObjects },
  PutObject: { action: "s3:PutObject", run: putObject },
  GetObject: { action: "s3:GetObject", query: READ, run: getObject },
  HeadObject: { action: "s3:GetObject", query: READ, run: headObject },
  DeleteObject: { action: "s3:DeleteObject", query: ["versionId"], run: deleteObject },
  CopyObject: { action: "s3:PutObject", run: copyObject },
  GetObjectAttributes: { action: "s3:GetObjectAttributes", query: ["attributes", "versionId"], run: getObjectAttributes },
  GetObjectTagging: { action: "s3:GetObjectTagging", query: ["tagging", "versionId"], run: getObjectTagging },
  PutObjectTagging: { action: "s3:PutObjectTagging", query: ["tagging", "versionId"], run: putObjectTagging },
  DeleteObjectTagging: { action: "s3:DeleteObjectTagging", query: ["tagging", "versionId"], run: deleteObjectTagging },
  PutObjectAnnotation: { action: "s3:PutObjectAnnotation", query: ANNOTATION, run: putObjectAnnotation },
  GetObjectAnnotation: { action: "s3:GetObjectAnnotation", query: ANNOTATION, run: getObjectAnnotation },
  DeleteObjectAnnotation: { action: "s3:DeleteObjectAnnotation", query: ANNOTATION, run: deleteObjectAnnotation },
  ListObjectAnnotations: {
    action: "s3:ListObjectAnnotations",
    query: ["annotation", "versionId", "max-annotation-results", "annotation-prefix", "continuation-token"],
    run: listObjectAnnotations,
  },
  CreateMultipartUpload: { action: "s3:PutObject", query: ["uploads"], run: createMultipartUpload },
  UploadPart: { action: "s3:PutObject", query: PART, run: uploadPart },
  UploadPartCopy: { action: "s3:PutObject", query: PART, run: uploadPartCopy },
  CompleteMultipartUpload: { action: "s3:PutObject", query: ["uploadId"], run: completeMultipartUpload },
  AbortMultipartUpload: { action: "s3:AbortMultipartUpload", query: ["uploadId"], run: abortMultipartUpload },
  ListParts: {
    action: "s3:ListMultipartUploadParts",
    query: ["uploadId", "max-parts", "part-number-marker", "encoding-type"],
    run: listParts,
  },
};
