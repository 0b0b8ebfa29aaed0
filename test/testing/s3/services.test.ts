import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { textIn } from "../../../src/blobs/xml.ts";
import { S3Emulator, type S3EmulatorOptions, type S3Service } from "../../../src/testing/s3/index.ts";
import { noise } from "../../support/arbitraries.ts";
import { refusal } from "../../support/refusal.ts";
import { refused } from "./refused.ts";
import { type SdkClient, sdkClient } from "./sdk.ts";

const MIB = 2 ** 20;
const Bucket = "services";

interface Started extends SdkClient, AsyncDisposable {
  readonly emulator: S3Emulator;
}

async function started(service: S3Service, options: S3EmulatorOptions = {}): Promise<Started> {
  const emulator = await S3Emulator.start({ service, ...options });
  emulator.createBucket(Bucket);
  const client = sdkClient(emulator.connection);
  return { ...client, emulator, [Symbol.asyncDispose]: () => emulator.close() };
}

/** Uploads parts of these lengths, and gives what completes them. */
async function uploaded({ send }: SdkClient, Key: string, lengths: readonly number[]): Promise<object> {
  const at = { Bucket, Key };
  const { UploadId } = await send("CreateMultipartUpload", at);
  const Parts: object[] = [];
  for (const [index, length] of lengths.entries()) {
    const PartNumber = index + 1;
    const { ETag } = await send("UploadPart", { ...at, UploadId, PartNumber, Body: noise(length) });
    Parts.push({ ETag, PartNumber });
  }
  return { ...at, UploadId, MultipartUpload: { Parts } };
}

describe("part 1 below 5 MiB", () => {
  test.each(["aws", "r2", "minio", "no-conditions"] as const)("is refused by %s", async (service) => {
    await using one = await started(service);
    await refused(one.send("CompleteMultipartUpload", await uploaded(one, "small", [5 * MIB - 1, 1])), "EntityTooSmall", 400);
  });
});

describe("unequal parts", () => {
  test("are taken by aws", async () => {
    await using one = await started("aws");
    await one.send("CompleteMultipartUpload", await uploaded(one, "unequal", [6 * MIB, 5 * MIB, 1]));
  });

  test("are refused by r2, which takes equal ones with a shorter last one", async () => {
    await using one = await started("r2");
    await refused(one.send("CompleteMultipartUpload", await uploaded(one, "unequal", [6 * MIB, 5 * MIB, 1])), "InvalidPart", 400);
    await refused(one.send("CompleteMultipartUpload", await uploaded(one, "longer", [5 * MIB, 5 * MIB + 1])), "InvalidPart", 400);
    await one.send("CompleteMultipartUpload", await uploaded(one, "equal", [5 * MIB, 5 * MIB, 1]));
  });
});

describe("conditions", () => {
  test("no-conditions writes whatever they say, and gives no error", async () => {
    await using one = await started("no-conditions");
    const at = { Bucket, Key: "x" };
    await one.send("PutObject", { ...at, Body: "1" });
    await one.send("PutObject", { ...at, Body: "2", IfNoneMatch: "*" });
    await one.send("PutObject", { ...at, Body: "3", IfMatch: '"x"' });
    const whole = await uploaded(one, "x", [1]);
    await one.send("CompleteMultipartUpload", { ...whole, IfNoneMatch: "*" });
    await one.send("CopyObject", {
      ...at,
      CopySource: `${Bucket}/x`,
      MetadataDirective: "REPLACE",
      IfMatch: '"x"',
      CopySourceIfMatch: '"x"',
    });
    await refused(one.send("GetObject", { ...at, IfMatch: '"x"' }), "PreconditionFailed", 412);
  });

  test("r2 has a header of its own for the destination of a copy", async () => {
    await using one = await started("r2");
    const at = { Bucket, Key: "x" };
    const { ETag } = await one.send("PutObject", { ...at, Body: "1" });
    const copy = { ...at, CopySource: `${Bucket}/x`, MetadataDirective: "REPLACE" };
    await one.send("CopyObject", { ...copy, IfMatch: '"x"' }); // not the header that it knows
    const { s3 } = one.sdk;
    const command = new s3.CopyObjectCommand(copy);
    const condition = { "cf-copy-destination-if-none-match": "*" };
    command.middlewareStack.add(
      (next: (args: { readonly request: { headers: object } }) => unknown) => (args: { readonly request: { headers: object } }) => {
        args.request.headers = { ...args.request.headers, ...condition };
        return next(args);
      },
      { step: "build" },
    );
    await refused(one.client.send(command), "PreconditionFailed", 412);
    await refused(one.send("PutObject", { ...at, Body: "2", IfMatch: `${ETag}x` }), "PreconditionFailed", 412);
  });

  test("minio checks those of PutObject, and none of a copy's destination", async () => {
    await using one = await started("minio");
    const at = { Bucket, Key: "x" };
    await one.send("PutObject", { ...at, Body: "1" });
    await refused(one.send("PutObject", { ...at, Body: "1", IfNoneMatch: "*" }), "PreconditionFailed", 412);
    await one.send("CopyObject", { ...at, CopySource: `${Bucket}/x`, MetadataDirective: "REPLACE", IfMatch: '"x"' });
  });
});

describe("a condition on a delete", () => {
  test.each(["r2", "minio", "no-conditions"] as const)("is nothing to %s: the object is gone", async (service) => {
    await using one = await started(service);
    for (const Key of ["x", "y"]) await one.send("PutObject", { Bucket, Key, Body: "1" });
    await one.send("DeleteObject", { Bucket, Key: "x", IfMatch: '"x"' });
    await one.send("DeleteObjects", { Bucket, Delete: { Objects: [{ Key: "y", ETag: '"x"' }] } });
    expect(["x", "y"].map((key) => one.emulator.objectBytes(Bucket, key))).toEqual([undefined, undefined]);
  });

  test("is heeded by aws", async () => {
    await using one = await started("aws");
    await one.send("PutObject", { Bucket, Key: "x", Body: "1" });
    await refused(one.send("DeleteObject", { Bucket, Key: "x", IfMatch: '"x"' }), "PreconditionFailed", 412);
    const { Errors } = await one.send("DeleteObjects", { Bucket, Delete: { Objects: [{ Key: "x", ETag: '"x"' }] } });
    expect(Errors).toMatchObject([{ Key: "x", Code: "PreconditionFailed" }]);
    expect(one.emulator.objectBytes(Bucket, "x")).toHaveLength(1);
  });
});

describe("annotations", () => {
  test("stand beside an object, which stays as it is", async () => {
    await using one = await started("aws");
    const at = { Bucket, Key: "x" };
    const { ETag } = await one.send("PutObject", { ...at, Body: "object" });
    const named = { ...at, AnnotationName: "header" };
    await one.send("PutObjectAnnotation", { ...named, AnnotationPayload: "first", ObjectIfMatch: ETag });
    await one.send("PutObjectAnnotation", { ...named, AnnotationPayload: "second" });
    await refused(one.send("PutObjectAnnotation", { ...named, AnnotationPayload: "x", ObjectIfMatch: '"x"' }), "PreconditionFailed", 412);
    const { AnnotationPayload } = await one.send("GetObjectAnnotation", named);
    expect(await AnnotationPayload.transformToString()).toBe("second");
    expect((await one.send("ListObjectAnnotations", at)).Annotations).toMatchObject([{ AnnotationName: "header", Size: 6 }]);
    expect(Buffer.from(await one.bytes(at)).toString()).toBe("object");
    await refused(
      one.send("PutObjectAnnotation", { ...named, AnnotationName: "awsName", AnnotationPayload: "x" }),
      "InvalidAnnotationName",
      400,
    );
    await refused(
      one.send("PutObjectAnnotation", { ...named, AnnotationName: "x".repeat(513), AnnotationPayload: "x" }),
      "AnnotationNameTooLong",
      400,
    );
    await refused(one.send("PutObjectAnnotation", { ...named, AnnotationPayload: Buffer.of(0xff) }), "UnsupportedMediaType", 415);
    await refused(one.send("PutObjectAnnotation", { ...named, AnnotationPayload: Buffer.alloc(MIB + 1) }), "EntityTooLarge", 400);
    await one.send("DeleteObjectAnnotation", named);
    await refused(one.send("GetObjectAnnotation", named), "NoSuchAnnotation", 404);
    await refused(one.send("PutObjectAnnotation", { ...named, Key: "none", AnnotationPayload: "x" }), "NoSuchKey", 404);
  });

  test.each([
    ["r2", {}],
    ["minio", {}],
    ["aws", { annotations: false }],
  ] as const)("on a server without them (%s, %o) one replaces the object, with success", async (service, options) => {
    await using one = await started(service, options);
    const at = { Bucket, Key: "x" };
    await one.send("PutObject", { ...at, Body: "object" });
    await one.send("PutObjectAnnotation", { ...at, AnnotationName: "header", AnnotationPayload: "annotation" });
    expect(Buffer.from(await one.bytes(at)).toString()).toBe("annotation");
  });
});

test.each([
  [false, /^http:/],
  [true, /^https:/],
])("the place of a whole upload has the scheme of the server (HTTPS: %s)", async (https, scheme) => {
  await using emulator = await S3Emulator.start({ https });
  emulator.createBucket(Bucket);
  const asked = async (method: string, query: Record<string, string>, body = ""): Promise<string> => {
    const request = { method, headers: {}, body, redirect: "manual", signal: AbortSignal.timeout(10_000) } as const;
    return await new Response((await emulator.fetch(emulator.presign(method, Bucket, "x", { query }), request)).body).text();
  };
  const uploadId = textIn(await asked("POST", { uploads: "" }), "UploadId") ?? "";
  await asked("PUT", { uploadId, partNumber: "1" }, "1");
  const part = `<Part><PartNumber>1</PartNumber><ETag>${createHash("md5").update("1").digest("hex")}</ETag></Part>`;
  const answer = await asked("POST", { uploadId }, `<CompleteMultipartUpload>${part}</CompleteMultipartUpload>`);
  expect(textIn(answer, "Location")).toMatch(scheme);
});

test("r2 has no tags and no versions", async () => {
  await using one = await started("r2");
  await refused(one.send("PutObject", { Bucket, Key: "x", Body: "x", Tagging: "a=b" }), "NotImplemented", 501);
  await refused(one.send("PutBucketVersioning", { Bucket, VersioningConfiguration: { Status: "Enabled" } }), "NotImplemented", 501);
});

describe("options", () => {
  test("that are misspelt are refused, with the one that was meant", async () => {
    const misspelt: object = { sevice: "r2" };
    expect(await refusal(() => S3Emulator.start(misspelt))).toMatchObject({ code: "invalid-argument", hint: "did you mean `service`?" });
    const service: object = { service: "mini0" };
    expect(await refusal(() => S3Emulator.start(service))).toMatchObject({ code: "invalid-argument", hint: "did you mean `minio`?" });
    for (const given of [{ mostBodyBytes: 0 }, { mostStoredBytes: 1.5 }])
      expect(await refusal(() => S3Emulator.start(given))).toMatchObject({ code: "invalid-argument" });
  });

  test("bound a body and the whole", async () => {
    await using one = await started("aws", { mostBodyBytes: 1000, mostStoredBytes: 1400 });
    await refused(one.send("PutObject", { Bucket, Key: "a", Body: noise(1001) }), "EntityTooLarge", 400);
    await one.send("PutObject", { Bucket, Key: "a", Body: noise(1000) });
    await refused(one.send("PutObject", { Bucket, Key: "b", Body: noise(500) }), "StorageFull", 507);
    await one.send("DeleteObject", { Bucket, Key: "a" });
    await one.send("PutObject", { Bucket, Key: "b", Body: noise(500) });
  });

  test("a bucket's name, and one that is taken", async () => {
    await using one = await started("aws");
    for (const name of ["ab", "Invoices", "a..b", "-ab", Bucket])
      expect(await refusal(async () => one.emulator.createBucket(name))).toMatchObject({ code: "invalid-argument" });
  });
});
