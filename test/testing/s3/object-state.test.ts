import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import { afterAll, describe, expect, test } from "vitest";
import { S3Emulator } from "../../../src/testing/s3/index.ts";
import { noise } from "../../support/arbitraries.ts";
import { expectSameBytes } from "../../support/bytes.ts";
import { refused, refusedAnswer } from "./refused.ts";
import { sdkClient } from "./sdk.ts";

// What an object has beside its bytes: checksums, metadata, headers, tags, classes and versions.

const MIB = 2 ** 20;
const emulator = await S3Emulator.start();
const Bucket = emulator.createBucket("objects");
const Kept = emulator.createBucket("kept", { versioning: true });
const { send, bytes, sdk } = sdkClient(emulator.connection);
afterAll(() => emulator.close());

describe("checksums", () => {
  test.each(["CRC32", "CRC32C", "SHA1", "SHA256"])("%s is checked as it comes, and again by the client", async (ChecksumAlgorithm) => {
    const at = { Bucket, Key: ChecksumAlgorithm };
    const name = `Checksum${ChecksumAlgorithm}`;
    const put = await send("PutObject", { ...at, Body: noise(100_000), ChecksumAlgorithm });
    expect(put[name]).toMatch(/=$/);
    expectSameBytes(await bytes({ ...at, ChecksumMode: "ENABLED" }), noise(100_000));
    expect(await send("HeadObject", { ...at, ChecksumMode: "ENABLED" })).toMatchObject({ [name]: put[name], ChecksumType: "FULL_OBJECT" });
    const header = { [`x-amz-checksum-${ChecksumAlgorithm.toLowerCase()}`]: put[name] };
    const url = emulator.presign("PUT", Bucket, "other", { headers: header });
    await refusedAnswer(await fetch(url, { method: "PUT", body: "other", headers: header }), "BadDigest", 400);
  });

  test("one in a trailer, behind a body of aws-chunked", async () => {
    const Body = Readable.from([Buffer.from(noise(70_000)), Buffer.from(noise(30_000, "rest"))]);
    await send("PutObject", { Bucket, Key: "chunked", Body, ContentLength: 100_000, ContentEncoding: "gzip" });
    expect(emulator.requests.at(-1)?.receivedBytes).toBeGreaterThan(100_000);
    expectSameBytes(await bytes({ Bucket, Key: "chunked" }), Buffer.concat([noise(70_000), noise(30_000, "rest")]));
    expect((await send("HeadObject", { Bucket, Key: "chunked" })).ContentEncoding).toBe("gzip"); // without aws-chunked
  });

  test("CRC64NVME comes of itself for an object that was sent without one", async () => {
    await fetch(emulator.presign("PUT", Bucket, "bare"), { method: "PUT", body: "123456789" });
    const { Checksum } = await send("GetObjectAttributes", { Bucket, Key: "bare", ObjectAttributes: ["Checksum"] });
    expect(Checksum).toEqual({ ChecksumCRC64NVME: Buffer.from("ae8b14860a799888", "hex").toString("base64"), ChecksumType: "FULL_OBJECT" });
  });

  test("Content-MD5", async () => {
    const right = { "content-md5": createHash("md5").update("x").digest("base64") };
    const url = emulator.presign("PUT", Bucket, "md5", { headers: right });
    expect((await fetch(url, { method: "PUT", body: "x", headers: right })).status).toBe(200);
    await refusedAnswer(await fetch(url, { method: "PUT", body: "y", headers: right }), "BadDigest", 400);
    const malformed = { "content-md5": "eA==" };
    const other = emulator.presign("PUT", Bucket, "md5", { headers: malformed });
    await refusedAnswer(await fetch(other, { method: "PUT", body: "x", headers: malformed }), "InvalidDigest", 400);
  });

  test.each([
    ["SHA256", undefined, "COMPOSITE"],
    ["CRC32", "COMPOSITE", "COMPOSITE"],
    ["CRC32C", "FULL_OBJECT", "FULL_OBJECT"],
  ])("of a multipart upload: %s, %s", async (ChecksumAlgorithm, ChecksumType, expected) => {
    const at = { Bucket, Key: `parts-${ChecksumAlgorithm}` };
    const name = `Checksum${ChecksumAlgorithm}`;
    const { UploadId } = await send("CreateMultipartUpload", { ...at, ChecksumAlgorithm, ChecksumType });
    const lengths = [5 * MIB, 100];
    const Parts: object[] = [];
    for (const [index, length] of lengths.entries()) {
      const part = await send("UploadPart", { ...at, UploadId, PartNumber: index + 1, Body: noise(length), ChecksumAlgorithm });
      Parts.push({ PartNumber: index + 1, ETag: part.ETag, [name]: part[name] });
    }
    const whole = { ...at, UploadId, MultipartUpload: { Parts } };
    const other = { MultipartUpload: { Parts: [{ ...Parts[0], [name]: "AAAAAA==" }, Parts[1]] } };
    await refused(send("CompleteMultipartUpload", { ...whole, ...other }), "InvalidPart", 400);
    await refused(send("UploadPart", { ...at, UploadId, PartNumber: 3, Body: "x", ChecksumAlgorithm: "SHA1" }), "InvalidRequest", 400);
    const { [name]: value } = await send("CompleteMultipartUpload", whole);
    expect(value.endsWith("-2")).toBe(expected === "COMPOSITE");
    const attributes = await send("GetObjectAttributes", { ...at, ObjectAttributes: ["Checksum", "ObjectParts", "ObjectSize"] });
    expect(attributes).toMatchObject({ Checksum: { [name]: value, ChecksumType: expected }, ObjectSize: 5 * MIB + 100 });
    expect(attributes.ObjectParts.Parts).toMatchObject([
      { PartNumber: 1, Size: 5 * MIB },
      { PartNumber: 2, Size: 100 },
    ]);
  });

  test("types that do not fit their algorithm", async () => {
    const at = { Bucket, Key: "types" };
    for (const [ChecksumAlgorithm, ChecksumType] of [
      ["CRC64NVME", "COMPOSITE"],
      ["SHA256", "FULL_OBJECT"],
    ])
      await refused(send("CreateMultipartUpload", { ...at, ChecksumAlgorithm, ChecksumType }), "InvalidRequest", 400);
    await refused(send("CreateMultipartUpload", { ...at, ChecksumAlgorithm: "XXHASH64" }), "NotImplemented", 501);
  });
});

describe("metadata and content headers", () => {
  test("2 KiB of metadata, and not a byte more", async () => {
    await send("PutObject", { Bucket, Key: "meta", Body: "x", Metadata: { a: "1".repeat(2047) } });
    await refused(send("PutObject", { Bucket, Key: "meta", Body: "x", Metadata: { a: "1".repeat(2048) } }), "MetadataTooLarge", 400);
    await refused(send("CreateMultipartUpload", { Bucket, Key: "meta", Metadata: { a: "1".repeat(2048) } }), "MetadataTooLarge", 400);
  });

  test("non-ASCII metadata looks like a wrong signature, or comes back as other characters", async () => {
    const at = { Bucket, Key: "meta", Metadata: { a: "ü" } };
    // Node sends a header as Latin-1, but as UTF-8 in one write with a body that is text; the SDK signs UTF-8
    await refused(send("PutObject", { ...at, Body: noise(1) }), "SignatureDoesNotMatch", 403);
    await send("PutObject", { ...at, Body: "x" });
    expect((await send("HeadObject", { Bucket, Key: "meta" })).Metadata).toEqual({ a: "\u00c3\u00bc" });
  });

  test("are kept, and replaced by a copy that says so", async () => {
    const at = { Bucket, Key: "headers" };
    const headers = { ContentType: "video/mp4", CacheControl: "no-transform", ContentDisposition: "attachment", ContentLanguage: "de" };
    await send("PutObject", { ...at, Body: "x", ...headers, Metadata: { a: "1" } });
    expect(await send("HeadObject", at)).toMatchObject({ ...headers, Metadata: { a: "1" } });
    await refused(send("CopyObject", { ...at, CopySource: `${Bucket}/headers` }), "InvalidRequest", 400);
    await send("CopyObject", { ...at, CopySource: `${Bucket}/headers`, MetadataDirective: "REPLACE", Metadata: { b: "2" } });
    expect(await send("HeadObject", at)).toMatchObject({ Metadata: { b: "2" }, ContentType: "binary/octet-stream" });
    expect(await send("GetObject", { ...at, ResponseContentType: "text/html" })).toMatchObject({ ContentType: "text/html" });
  });

  test("times of conditions", async () => {
    const at = { Bucket, Key: "times" };
    await send("PutObject", { ...at, Body: "x" });
    const [before, after] = [new Date(Date.now() - 60_000), new Date(Date.now() + 60_000)];
    await send("GetObject", { ...at, IfModifiedSince: before, IfUnmodifiedSince: after });
    await refused(send("GetObject", { ...at, IfUnmodifiedSince: before }), "PreconditionFailed", 412);
    await expect(send("GetObject", { ...at, IfModifiedSince: after })).rejects.toMatchObject({ $metadata: { httpStatusCode: 304 } });
    const { ETag } = await send("HeadObject", at);
    await expect(send("GetObject", { ...at, IfNoneMatch: ETag })).rejects.toMatchObject({ $metadata: { httpStatusCode: 304 } });
  });
});

test("tags: with the object, later, and their limits", async () => {
  const at = { Bucket, Key: "tags" };
  await send("PutObject", { ...at, Body: "x", Tagging: "project=seven&x=" });
  expect((await send("HeadObject", at)).TagCount).toBe(2);
  await send("PutObjectTagging", { ...at, Tagging: { TagSet: [{ Key: "a", Value: "b/c=d@e" }] } });
  expect((await send("GetObjectTagging", at)).TagSet).toEqual([{ Key: "a", Value: "b/c=d@e" }]);
  const tag = (Key: string, Value: string): object => ({ ...at, Tagging: { TagSet: [{ Key, Value }] } });
  await refused(send("PutObjectTagging", tag("a".repeat(129), "")), "InvalidTag", 400);
  await refused(send("PutObjectTagging", tag("a", "b".repeat(257))), "InvalidTag", 400);
  await refused(send("PutObjectTagging", tag("a;", "b")), "InvalidTag", 400);
  const eleven = Array.from({ length: 11 }, (_, index) => ({ Key: `${index}`, Value: "" }));
  await refused(send("PutObjectTagging", { ...at, Tagging: { TagSet: eleven } }), "BadRequest", 400);
  await send("DeleteObjectTagging", at);
  expect((await send("GetObjectTagging", at)).TagSet).toEqual([]);
});

test("storage classes: an archived object is not read", async () => {
  const at = { Bucket, Key: "archived" };
  await send("PutObject", { ...at, Body: "x", StorageClass: "GLACIER" });
  expect((await send("HeadObject", at)).StorageClass).toBe("GLACIER");
  await refused(send("GetObject", at), "InvalidObjectState", 403);
  await refused(send("CopyObject", { ...at, CopySource: `${Bucket}/archived`, StorageClass: "STANDARD" }), "InvalidObjectState", 403);
  await refused(send("PutObject", { ...at, Body: "x", StorageClass: "COLD" }), "InvalidStorageClass", 400);
});

test("versions: each write keeps the one before, a deletion marks", async () => {
  const at = { Bucket: Kept, Key: "v" };
  const one = await send("PutObject", { ...at, Body: "one" });
  const two = await send("PutObject", { ...at, Body: "two!" });
  expect(await bytes({ ...at, VersionId: one.VersionId })).toHaveLength(3);
  const marker = await send("DeleteObject", at);
  expect(marker.DeleteMarker).toBe(true);
  await refused(send("GetObject", at), "NoSuchKey", 404);
  const { Versions, DeleteMarkers } = await send("ListObjectVersions", { Bucket: Kept });
  expect(Versions.map((version: { readonly VersionId: string }) => version.VersionId)).toEqual([two.VersionId, one.VersionId]);
  expect(DeleteMarkers).toMatchObject([{ VersionId: marker.VersionId, IsLatest: true }]);
  await refused(send("GetObject", { ...at, VersionId: marker.VersionId }), "MethodNotAllowed", 405);
  await send("DeleteObject", { ...at, VersionId: marker.VersionId });
  expect(await bytes(at)).toHaveLength(4);
  const first = await send("ListObjectVersions", { Bucket: Kept, MaxKeys: 1 });
  const rest = await send("ListObjectVersions", {
    Bucket: Kept,
    KeyMarker: first.NextKeyMarker,
    VersionIdMarker: first.NextVersionIdMarker,
  });
  expect(rest.Versions).toMatchObject([{ VersionId: one.VersionId }]);
  await refused(send("GetObject", { ...at, VersionId: "x" }), "NoSuchVersion", 404);
});

test("buckets: made, versioned, listed, emptied and removed", async () => {
  const made = { Bucket: "made-by-client" };
  await send("CreateBucket", made);
  await refused(send("CreateBucket", made), "BucketAlreadyOwnedByYou", 409);
  expect((await send("HeadBucket", made)).BucketRegion).toBe("us-east-1");
  expect((await send("GetBucketLocation", made)).LocationConstraint).toBeUndefined();
  await send("PutBucketVersioning", { ...made, VersioningConfiguration: { Status: "Enabled" } });
  expect((await send("GetBucketVersioning", made)).Status).toBe("Enabled");
  const { Buckets } = await send("ListBuckets", {});
  expect(Buckets.map((bucket: { readonly Name: string }) => bucket.Name)).toContain("made-by-client");
  const { VersionId } = await send("PutObject", { ...made, Key: "x", Body: "x" });
  await refused(send("DeleteBucket", made), "BucketNotEmpty", 409);
  await send("DeleteObjects", { ...made, Delete: { Objects: [{ Key: "x", VersionId }] } });
  await send("DeleteBucket", made);
  await refused(send("HeadBucket", made), "NotFound", 404);
});

test("keys with characters that XML cannot hold are listed in escapes", async () => {
  const Key = "odd/\u0001&<>\u{1f600}+ ";
  await send("PutObject", { Bucket, Key, Body: "x" });
  const { Contents } = await send("ListObjectsV2", { Bucket, Prefix: "odd/", EncodingType: "url" });
  expect(decodeURIComponent(Contents[0].Key)).toBe(Key);
  await refused(send("PutObject", { Bucket, Key: "x".repeat(1025), Body: "x" }), "KeyTooLongError", 400);
  const listed: { readonly Key: string }[] = [];
  for await (const page of sdk.s3.paginateListObjectsV2({ client: sdkClient(emulator.connection).client, pageSize: 5 }, { Bucket }))
    listed.push(...page.Contents);
  expect(new Set(listed.map((item) => item.Key)).size).toBe(listed.length);
});
