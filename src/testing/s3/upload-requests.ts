import { randomBytes } from "node:crypto";
import { elementsIn, textIn } from "../../blobs/xml.ts";
import type { RawAnswer } from "../emulator/fault-plan.ts";
import { sliceOf } from "../emulator/stored-bytes.ts";
import { invalidArgument, notImplemented, S3Answer } from "./answer.ts";
import { etagOf, type MultipartUpload, md5, type StoredPart } from "./bucket.ts";
import {
  type Checksum,
  type ChecksumAlgorithm,
  type ChecksumType,
  checksumElement,
  checksumHeader,
  checksumOf,
  compositeChecksum,
  fits,
  isChecksumAlgorithm,
} from "./checksums.ts";
import { requireCondition, requireCopySource } from "./conditions.ts";
import { checksumElements, copySource, newObject, requireKey } from "./object-requests.ts";
import { requireReadable, traitsOf } from "./object-traits.ts";
import { bare, present, type S3Call, versionHeader, xmlAnswer } from "./s3-call.ts";
import { WRITE_CONDITION } from "./services.ts";

// The operations of multipart uploads.

export function createMultipartUpload(call: S3Call): RawAnswer {
  const { bucket, key } = call;
  requireKey(key);
  const upload: MultipartUpload = {
    id: randomBytes(32).toString("base64url"),
    key,
    traits: traitsOf(call),
    startedMs: call.nowMs,
    checksum: statedChecksum(call),
    parts: new Map(),
  };
  bucket.uploads.set(upload.id, upload);
  const headers = { "x-amz-checksum-algorithm": upload.checksum?.algorithm, "x-amz-checksum-type": upload.checksum?.type };
  return xmlAnswer("InitiateMultipartUploadResult", { Bucket: bucket.name, Key: key, UploadId: upload.id }, headers);
}

function statedChecksum(call: S3Call): MultipartUpload["checksum"] {
  const algorithm = call.header("x-amz-checksum-algorithm")?.toUpperCase();
  if (algorithm === undefined) return undefined;
  if (!isChecksumAlgorithm(algorithm)) throw notImplemented("x-amz-checksum-algorithm");
  const type = call.header("x-amz-checksum-type")?.toUpperCase() ?? (algorithm === "CRC64NVME" ? "FULL_OBJECT" : "COMPOSITE");
  if (!isChecksumType(type) || !fits(algorithm, type))
    throw new S3Answer(
      "InvalidRequest",
      `The ${type} checksum type cannot be used with the ${algorithm.toLowerCase()} checksum algorithm.`,
    );
  return { algorithm, type };
}

function isChecksumType(text: string): text is ChecksumType {
  return text === "FULL_OBJECT" || text === "COMPOSITE";
}

export function uploadPart(call: S3Call): RawAnswer {
  const { bytes, checksum } = call.payload;
  const upload = call.upload();
  const number = partNumber(call);
  const stored = storedPart(call, upload, number, [bytes], checksum);
  const headers = stored.checksum === undefined || checksum === undefined ? {} : { [checksumHeader(checksum.algorithm)]: stored.checksum };
  return bare(200, { etag: stored.etag, ...headers });
}

export function uploadPartCopy(call: S3Call): RawAnswer {
  const upload = call.upload();
  const number = partNumber(call);
  const [from, key, versionId] = copySource(call);
  const source = call.object(from, key, versionId);
  requireReadable(source);
  requireCopySource(call, source);
  const { start, end } = copiedRange(call, source.size);
  const part = storedPart(call, upload, number, sliceOf(source.pieces, start, end), undefined);
  const checksum =
    upload.checksum === undefined || part.checksum === undefined ? {} : { [checksumElement(upload.checksum.algorithm)]: part.checksum };
  return xmlAnswer(
    "CopyPartResult",
    { LastModified: new Date(part.modifiedMs).toISOString(), ETag: part.etag, ...checksum },
    { "x-amz-copy-source-version-id": versionHeader(from, source.versionId)["x-amz-version-id"] },
  );
}

function copiedRange(call: S3Call, size: number): { readonly start: number; readonly end: number } {
  const name = "x-amz-copy-source-range";
  const stated = call.header(name);
  if (stated === undefined) return { start: 0, end: size };
  const [, first = "", last = ""] = /^bytes=([0-9]{1,15})-([0-9]{1,15})$/.exec(stated) ?? [];
  if (first === "" || Number(last) < Number(first))
    throw invalidArgument(name, stated, "The x-amz-copy-source-range value must be of the form bytes=first-last");
  if (Number(last) >= size) throw invalidArgument(name, stated, `Range specified is not valid for source object of size: ${size}`);
  return { start: Number(first), end: Number(last) + 1 };
}

function storedPart(
  call: S3Call,
  upload: MultipartUpload,
  number: number,
  pieces: readonly Buffer[],
  stated: { readonly algorithm: ChecksumAlgorithm; readonly value: string } | undefined,
): StoredPart {
  const { checksum } = upload;
  if (stated !== undefined && checksum !== undefined && stated.algorithm !== checksum.algorithm)
    throw new S3Answer(
      "InvalidRequest",
      `Checksum Type mismatch occurred, expected checksum Type: ${checksum.algorithm.toLowerCase()}, actual checksum Type: ${stated.algorithm.toLowerCase()}`,
    );
  const part: StoredPart = {
    number,
    pieces,
    size: pieces.reduce((sum, piece) => sum + piece.length, 0),
    etag: etagOf(pieces),
    checksum: stated?.value ?? (checksum === undefined ? undefined : checksumOf(checksum.algorithm, pieces)),
    modifiedMs: call.nowMs,
  };
  call.bucket.addPart(upload, part);
  return part;
}

function partNumber(call: S3Call): number {
  const text = call.query("partNumber") ?? "";
  if (/^[0-9]{1,5}$/.test(text) && Number(text) >= 1 && Number(text) <= MOST_PARTS) return Number(text);
  throw invalidArgument("partNumber", text, `Part number must be an integer between 1 and ${MOST_PARTS}, inclusive`);
}

export function completeMultipartUpload(call: S3Call): RawAnswer {
  const { bucket, key } = call;
  const upload = call.upload();
  const parts = listedParts(call, upload);
  requireSizes(call, parts);
  const pieces = parts.flatMap((part) => part.pieces);
  const size = parts.reduce((sum, part) => sum + part.size, 0);
  const stated = call.header("x-amz-mp-object-size");
  if (stated !== undefined && stated !== `${size}`)
    throw new S3Answer(
      "InvalidRequest",
      `The provided 'x-amz-mp-object-size' header value ${stated} does not match what was computed: ${size}`,
    );
  const checksum = wholeChecksum(call, upload, parts, pieces);
  try {
    requireCondition(call, call.state.traits.checksWrites ? WRITE_CONDITION : undefined);
  } catch (error) {
    if (error instanceof S3Answer && error.code === "ConditionalRequestConflict") bucket.endUpload(upload); // it must be started anew
    throw error;
  }
  const etag = `"${md5(parts.map((part) => Buffer.from(part.etag.slice(1, -1), "hex"))).toString("hex")}-${parts.length}"`;
  const listed = parts.map((part, at) => ({ number: at + 1, size: part.size, checksum: part.checksum }));
  const object = newObject(call, bucket, upload.traits, pieces, checksum, { etag, parts: listed });
  bucket.endUpload(upload);
  bucket.add(key, object);
  return xmlAnswer(
    "CompleteMultipartUploadResult",
    {
      Location: call.url,
      Bucket: bucket.name,
      Key: key,
      ETag: etag,
      ...checksumElements(checksum),
      ...(checksum !== undefined && { ChecksumType: checksum.type }),
    },
    versionHeader(bucket, object.versionId),
  );
}

function listedParts(call: S3Call, upload: MultipartUpload): readonly StoredPart[] {
  const xml = call.payload.bytes.toString("utf8");
  const listed = elementsIn(xml, "Part").map((part) => ({
    number: Number(textIn(part, "PartNumber")),
    etag: textIn(part, "ETag") ?? "",
    part,
  }));
  if (listed.length === 0 || listed.some(({ number }) => !Number.isInteger(number))) throw new S3Answer("MalformedXML");
  if (listed.length > MOST_PARTS) throw new S3Answer("TooManyParts", `The list has more than ${MOST_PARTS} parts`);
  return listed.map(({ number, etag, part }, at) => {
    if (at > 0 && number <= (listed[at - 1]?.number ?? 0)) throw new S3Answer("InvalidPartOrder", undefined, { UploadId: upload.id });
    const found = upload.parts.get(number);
    const details = { UploadId: upload.id, PartNumber: `${number}`, ETag: etag };
    if (found === undefined || found.etag.replaceAll('"', "") !== etag.replaceAll('"', ""))
      throw new S3Answer("InvalidPart", undefined, details);
    if (upload.checksum !== undefined) {
      const { algorithm, type } = upload.checksum;
      const value = textIn(part, checksumElement(algorithm));
      if (value === undefined && type === "COMPOSITE")
        throw new S3Answer(
          "InvalidRequest",
          `The upload was created using a ${algorithm.toLowerCase()} checksum. The complete request must include the checksum for each part. It was missing for part ${number} in the request.`,
        );
      if (value !== undefined && value !== found.checksum) throw new S3Answer("InvalidPart", undefined, details);
    }
    return found;
  });
}

function requireSizes(call: S3Call, parts: readonly StoredPart[]): void {
  for (const part of parts.slice(0, -1)) {
    if (part.size < LEAST_PART_BYTES)
      throw new S3Answer("EntityTooSmall", undefined, {
        ProposedSize: `${part.size}`,
        MinSizeAllowed: `${LEAST_PART_BYTES}`,
        PartNumber: `${part.number}`,
        ETag: part.etag.slice(1, -1),
      });
    if (call.state.traits.wantsEqualParts && part.size !== parts[0]?.size)
      throw new S3Answer("InvalidPart", "All non-trailing parts must have the same length.", { PartNumber: `${part.number}` });
  }
  const [first, last] = [parts[0], parts.at(-1)];
  if (call.state.traits.wantsEqualParts && first !== undefined && last !== undefined && last.size > first.size)
    throw new S3Answer("InvalidPart", "The last part must not be longer than the others.", { PartNumber: `${last.number}` });
}

function wholeChecksum(
  call: S3Call,
  { checksum }: MultipartUpload,
  parts: readonly StoredPart[],
  pieces: readonly Buffer[],
): Checksum | undefined {
  if (checksum === undefined) return undefined;
  const { algorithm, type } = checksum;
  const value =
    type === "FULL_OBJECT"
      ? checksumOf(algorithm, pieces)
      : compositeChecksum(
          algorithm,
          parts.map((part) => part.checksum ?? ""),
        );
  const stated = call.header(checksumHeader(algorithm));
  if (stated !== undefined && stated !== value && stated !== value.split("-")[0]) throw new S3Answer("BadDigest");
  return { algorithm, type, value };
}

export function abortMultipartUpload(call: S3Call): RawAnswer {
  call.bucket.endUpload(call.upload());
  return bare(204);
}

export function listParts(call: S3Call): RawAnswer {
  const upload = call.upload();
  const most = call.count("max-parts", 1000, 1000);
  const after = call.count("part-number-marker", Number.MAX_SAFE_INTEGER, 0);
  const left = [...upload.parts.values()].filter(({ number }) => number > after).sort((a, b) => a.number - b.number);
  const parts = left.slice(0, most);
  const { checksum } = upload;
  return xmlAnswer("ListPartsResult", {
    Bucket: call.bucketName,
    Key: call.key,
    UploadId: upload.id,
    StorageClass: upload.traits.storageClass,
    PartNumberMarker: after,
    NextPartNumberMarker: parts.at(-1)?.number ?? 0,
    MaxParts: most,
    IsTruncated: left.length > parts.length,
    ChecksumAlgorithm: checksum?.algorithm,
    ChecksumType: checksum?.type,
    Part: parts.map((part) => ({
      PartNumber: part.number,
      LastModified: new Date(part.modifiedMs).toISOString(),
      ETag: part.etag,
      Size: part.size,
      ...present(checksum === undefined ? {} : { [checksumElement(checksum.algorithm)]: part.checksum }),
    })),
  });
}

const MOST_PARTS = 10_000;
const LEAST_PART_BYTES = 5 * 2 ** 20;
