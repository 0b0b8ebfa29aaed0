import { Readable } from "node:stream";
import { afterAll, describe, expect, test } from "vitest";
import { S3Emulator } from "../../../src/testing/s3/index.ts";
import { noise } from "../../support/arbitraries.ts";
import { expectSameBytes } from "../../support/bytes.ts";
import { refused } from "./refused.ts";
import { sdkClient } from "./sdk.ts";

// AWS's own client for JavaScript, as it was made for the real service: what it does here it does there.

const MIB = 2 ** 20;
const emulator = await S3Emulator.start();
const Bucket = emulator.createBucket("invoices");
const { send, bytes, client, sdk } = sdkClient(emulator.connection);
afterAll(async () => {
  client.destroy();
  await emulator.close();
});

describe("objects", () => {
  test("are stored and read whole, in ranges and by their version's ETag", async () => {
    const Key = "a/b c(1)!ü.pdf";
    const { ETag } = await send("PutObject", { Bucket, Key, Body: noise(100_000), Metadata: { owner: "acme" }, ContentType: "text/plain" });
    expectSameBytes(await bytes({ Bucket, Key }), noise(100_000));
    expectSameBytes(await bytes({ Bucket, Key, Range: "bytes=10-19", IfMatch: ETag }), noise(100_000).subarray(10, 20));
    expectSameBytes(await bytes({ Bucket, Key, Range: "bytes=-7" }), noise(100_000).subarray(-7));
    expectSameBytes(await bytes({ Bucket, Key, Range: "bytes=99990-" }), noise(100_000).subarray(99_990));
    expect(await send("HeadObject", { Bucket, Key })).toMatchObject({
      ContentLength: 100_000,
      Metadata: { owner: "acme" },
      ContentType: "text/plain",
    });
    await refused(send("GetObject", { Bucket, Key, Range: "bytes=100000-" }), "InvalidRange", 416);
    await refused(send("GetObject", { Bucket, Key, IfMatch: '"x"' }), "PreconditionFailed", 412);
    await refused(send("GetObject", { Bucket, Key: "none" }), "NoSuchKey", 404);
    await refused(send("GetObject", { Bucket: "none", Key }), "NoSuchBucket", 404);
    await send("DeleteObject", { Bucket, Key });
    await refused(send("HeadObject", { Bucket, Key }), "NotFound", 404);
  });

  test("are written under conditions, or not at all", async () => {
    const at = { Bucket, Key: "conditions" };
    await refused(send("PutObject", { ...at, Body: "x", IfMatch: '"x"' }), "NoSuchKey", 404);
    const { ETag } = await send("PutObject", { ...at, Body: "1", IfNoneMatch: "*" });
    await refused(send("PutObject", { ...at, Body: "2", IfNoneMatch: "*" }), "PreconditionFailed", 412);
    const second = await send("PutObject", { ...at, Body: "2", IfMatch: ETag });
    await refused(send("PutObject", { ...at, Body: "3", IfMatch: ETag }), "PreconditionFailed", 412);
    await refused(send("DeleteObject", { ...at, IfMatch: ETag }), "PreconditionFailed", 412);
    await refused(
      send("CopyObject", { ...at, CopySource: `${Bucket}/conditions`, MetadataDirective: "REPLACE", IfMatch: ETag }),
      "PreconditionFailed",
      412,
    );
    expect(Buffer.from(await bytes(at)).toString()).toBe("2");
    await send("DeleteObject", { ...at, IfMatch: second.ETag });
  });

  test("a deletion during a conditional write is a conflict", async () => {
    const at = { Bucket, Key: "conflict" };
    const { ETag } = await send("PutObject", { ...at, Body: "1" });
    const held = emulator.holdNext();
    const writing = send("PutObject", { ...at, Body: "2", IfMatch: ETag });
    await held.arrived;
    await send("DeleteObject", at);
    held.release();
    await expect(writing).rejects.toMatchObject({ name: "ConditionalRequestConflict", $metadata: { httpStatusCode: 409 } });
  });

  test("are listed in pages, by beginnings and by delimiters", async () => {
    for (const Key of ["list/a", "list/b/1", "list/b/2", "list/c", "list/\u{ff5e}", "list/\u{1f600}"])
      await send("PutObject", { Bucket, Key, Body: Key });
    const keys: string[] = [];
    for await (const page of sdk.s3.paginateListObjectsV2({ client, pageSize: 2 }, { Bucket, Prefix: "list/" }))
      keys.push(...page.Contents.map((item: { readonly Key: string }) => item.Key));
    expect(keys).toEqual(["list/a", "list/b/1", "list/b/2", "list/c", "list/\u{ff5e}", "list/\u{1f600}"]); // UTF-8, not UTF-16
    const grouped = await send("ListObjectsV2", { Bucket, Prefix: "list/", Delimiter: "/", MaxKeys: 3 });
    expect(grouped).toMatchObject({ KeyCount: 3, CommonPrefixes: [{ Prefix: "list/b/" }], IsTruncated: true });
    const rest = await send("ListObjectsV2", { Bucket, Prefix: "list/", Delimiter: "/", ContinuationToken: grouped.NextContinuationToken });
    expect(rest).toMatchObject({ KeyCount: 2, IsTruncated: false });
  });
});

describe("multipart uploads", () => {
  test("of lib-storage, from a stream of unknown length", async () => {
    const whole = noise(11 * MIB);
    const source = Readable.from([Buffer.from(whole)]);
    const upload = new sdk.storage.Upload({ client, params: { Bucket, Key: "stream", Body: source } });
    const { ETag } = await upload.done();
    expect(ETag).toMatch(/-3"$/);
    expectSameBytes(await bytes({ Bucket, Key: "stream", ChecksumMode: "ENABLED" }), whole);
    expectSameBytes(await bytes({ Bucket, Key: "stream", PartNumber: 3 }), whole.subarray(10 * MIB));
  });

  test("part rules: sizes, order, numbers and ETags", async () => {
    const at = { Bucket, Key: "rules" };
    const { UploadId } = await send("CreateMultipartUpload", at);
    const put = async (PartNumber: number, length: number): Promise<object> => {
      const { ETag } = await send("UploadPart", { ...at, UploadId, PartNumber, Body: noise(length) });
      return { ETag, PartNumber };
    };
    await refused(send("UploadPart", { ...at, UploadId, PartNumber: 0, Body: "x" }), "InvalidArgument", 400);
    await refused(send("UploadPart", { ...at, UploadId, PartNumber: 10_001, Body: "x" }), "InvalidArgument", 400);
    const [small, large] = [await put(1, 5 * MIB - 1), await put(2, 100)];
    const complete = async (Parts: readonly object[], code: string): Promise<void> =>
      await refused(send("CompleteMultipartUpload", { ...at, UploadId, MultipartUpload: { Parts } }), code, 400);
    await complete([small, large], "EntityTooSmall");
    await complete([large, small], "InvalidPartOrder");
    await complete([{ ...small, ETag: '"x"' }], "InvalidPart");
    await complete([{ ...small, PartNumber: 7 }], "InvalidPart");
    await complete([], "MalformedXML");
    expect(await send("ListParts", { ...at, UploadId })).toMatchObject({
      Parts: [{ PartNumber: 1, Size: 5 * MIB - 1 }, { PartNumber: 2 }],
    });
    expect((await send("ListMultipartUploads", { Bucket })).Uploads).toMatchObject([{ Key: "rules", UploadId }]);
    await send("AbortMultipartUpload", { ...at, UploadId });
    expect(emulator.openUploads(Bucket)).toBe(0);
    await refused(send("ListParts", { ...at, UploadId }), "NoSuchUpload", 404);
  });

  test("are completed under conditions, with parts that are copied", async () => {
    const at = { Bucket, Key: "copied" };
    const { ETag } = await send("PutObject", { ...at, Body: noise(12 * MIB) });
    const { UploadId } = await send("CreateMultipartUpload", at);
    const first = await send("UploadPart", { ...at, UploadId, PartNumber: 1, Body: new Uint8Array(5 * MIB) });
    const source = { CopySource: `${Bucket}/copied`, CopySourceRange: `bytes=${5 * MIB}-${12 * MIB - 1}` };
    await refused(
      send("UploadPartCopy", { ...at, UploadId, PartNumber: 2, ...source, CopySourceIfMatch: '"x"' }),
      "PreconditionFailed",
      412,
    );
    const { CopyPartResult } = await send("UploadPartCopy", { ...at, UploadId, PartNumber: 2, ...source, CopySourceIfMatch: ETag });
    const Parts = [
      { PartNumber: 1, ETag: first.ETag },
      { PartNumber: 2, ETag: CopyPartResult.ETag },
    ];
    const whole = { ...at, UploadId, MultipartUpload: { Parts } };
    await refused(send("CompleteMultipartUpload", { ...whole, IfMatch: '"x"' }), "PreconditionFailed", 412);
    await refused(send("CompleteMultipartUpload", { ...whole, IfNoneMatch: "*" }), "PreconditionFailed", 412);
    await refused(send("CompleteMultipartUpload", { ...whole, MpuObjectSize: 5 }), "InvalidRequest", 400);
    await send("CompleteMultipartUpload", { ...whole, IfMatch: ETag, MpuObjectSize: 12 * MIB });
    expectSameBytes((await bytes(at)).subarray(5 * MIB), noise(12 * MIB).subarray(5 * MIB));
  });
});
