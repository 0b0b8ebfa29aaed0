import { Agent } from "node:http";
import { afterAll, describe, expect, test } from "vitest";
import { systemClock } from "../../../src/core/base/clock.ts";
import { S3Emulator } from "../../../src/testing/s3/index.ts";
import { payloadOf } from "../../../src/testing/s3/payload.ts";
import { checkSigned } from "../../../src/testing/s3/signed-request.ts";
import { targetOf } from "../../../src/testing/s3/target.ts";
import { refused, refusedAnswer } from "./refused.ts";
import { sdkClient } from "./sdk.ts";

const emulator = await S3Emulator.start();
const Bucket = emulator.createBucket("signed");
const own = sdkClient(emulator.connection);
await own.send("PutObject", { Bucket, Key: "there", Body: "there" });
afterAll(() => emulator.close());

/** What AWS publishes as an example of a body that is signed in chunks. */
const EXAMPLE_SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const EXAMPLE = {
  method: "PUT",
  target: "/examplebucket/chunkObject.txt",
  headers: {
    host: "s3.amazonaws.com",
    "x-amz-date": "20130524T000000Z",
    "x-amz-storage-class": "REDUCED_REDUNDANCY",
    "content-encoding": "aws-chunked",
    "x-amz-decoded-content-length": "66560",
  },
  nowMs: Date.parse("2013-05-24T00:00:00Z"),
} as const;

describe("aws-chunked, as AWS's documentation has it", () => {
  const signed = {
    ...EXAMPLE.headers,
    "content-length": "66824",
    "x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
    authorization: exampleAuthorization(
      "content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class",
      "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
    ),
  };
  const chunks = [
    ["10000", "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648", "a".repeat(65_536)],
    ["400", "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497", "a".repeat(1024)],
    ["0", "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9", ""],
  ] as const;
  const body = chunks.map(([hex, signature, bytes]) => `${hex};chunk-signature=${signature}\r\n${bytes}\r\n`).join("");

  test("a signed body is taken apart, and every chunk's signature holds", () => {
    expect(body.length).toBe(66_824);
    expect(decoded(signed, body).toString()).toBe("a".repeat(66_560));
  });

  test("a changed byte, a changed signature, a missing chunk and a missing end are refused", () => {
    expect(() => decoded(signed, body.replace("aa", "ab"))).toThrow(/signature/);
    expect(() => decoded(signed, body.replace("b6c6", "b6c7"))).toThrow(/signature/);
    expect(() => decoded(signed, body.slice(0, 40_000))).toThrow(/number of bytes/);
    expect(() => decoded(signed, body.slice(0, body.indexOf("\r\n0;") + 2))).toThrow(/number of bytes/);
    expect(() => decoded(signed, body.replaceAll(/;chunk-signature=[0-9a-f]+/g, ""))).toThrow(/number of bytes/);
    expect(() => decoded({ ...signed, "x-amz-decoded-content-length": "66561" }, body)).toThrow();
  });

  test("a signed body with a trailer: checksum and signature hold", () => {
    const trailing = {
      ...EXAMPLE.headers,
      "x-amz-trailer": "x-amz-checksum-crc32c",
      "x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
      authorization: exampleAuthorization(
        "content-encoding;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class;x-amz-trailer",
        "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e",
      ),
    };
    const text = [
      `10000;chunk-signature=b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2\r\n${"a".repeat(65_536)}\r\n`,
      `400;chunk-signature=1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7\r\n${"a".repeat(1024)}\r\n`,
      "0;chunk-signature=2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992\r\n",
      "x-amz-checksum-crc32c:sOO8/Q==\r\n",
      "x-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n",
    ].join("");
    expect(decoded(trailing, text)).toHaveLength(66_560);
    expect(() => decoded(trailing, text.replace("sOO8", "sOO9"))).toThrow(/signature/);
    expect(() => decoded(trailing, text.replace("d81f", "d81e"))).toThrow(/signature/);
  });

  function decoded(headers: Readonly<Record<string, string>>, text: string): Buffer {
    const keys = { find: (accessKeyId: string) => ({ credentials: { accessKeyId, secretAccessKey: EXAMPLE_SECRET }, allow: ["*"] }) };
    const target = targetOf(EXAMPLE.target, headers);
    if (target === undefined) throw new Error("no target");
    return payloadOf(Buffer.from(text), checkSigned(EXAMPLE.method, target, headers, keys, EXAMPLE.nowMs)).bytes;
  }
});

describe("presigned URLs", () => {
  test("of the SDK and of the emulator: GET, PUT, parts", async () => {
    const { presigner, s3 } = own.sdk;
    const url: string = await presigner.getSignedUrl(own.client, new s3.GetObjectCommand({ Bucket, Key: "there", VersionId: "null" }));
    expect(await (await fetch(url)).text()).toBe("there");
    const put = await fetch(emulator.presign("PUT", Bucket, "ü (1)!/*'"), { method: "PUT", body: "by url" });
    expect(put.status).toBe(200);
    expect(Buffer.from(await own.bytes({ Bucket, Key: "ü (1)!/*'" })).toString()).toBe("by url");
    const at = { Bucket, Key: "parts" };
    const { UploadId } = await own.send("CreateMultipartUpload", at);
    const query = { partNumber: "1", uploadId: UploadId };
    const part = await fetch(emulator.presign("PUT", Bucket, "parts", { query }), { method: "PUT", body: "part" });
    const Parts = [{ PartNumber: 1, ETag: part.headers.get("etag") }];
    await own.send("CompleteMultipartUpload", { ...at, UploadId, MultipartUpload: { Parts } });
  });

  test("a PUT that the SDK signs carries the checksum of no bytes, and is refused, unless it is told otherwise", async () => {
    const { presigner, s3 } = own.sdk;
    const command = new s3.PutObjectCommand({ Bucket, Key: "checksum" });
    const url: string = await presigner.getSignedUrl(own.client, command);
    expect(url).toContain("x-amz-checksum-crc32=AAAAAA%3D%3D");
    await refusedAnswer(await fetch(url, { method: "PUT", body: "bytes" }), "BadDigest", 400);
    const plain = sdkClient(emulator.connection, { requestChecksumCalculation: "WHEN_REQUIRED" });
    const allowed: string = await presigner.getSignedUrl(plain.client, command);
    expect((await fetch(allowed, { method: "PUT", body: "bytes" })).status).toBe(200);
  });

  test("an expired, a changed or a malformed one is refused, and so is an unsigned header", async () => {
    const url = emulator.presign("GET", Bucket, "there", { expiresSeconds: 60 });
    emulator.setClockAhead(61_000);
    expect(await refusedAnswer(await fetch(url), "AccessDenied", 403)).toContain("Request has expired");
    emulator.setClockAhead(0);
    await refusedAnswer(await fetch(url.replace("/there", "/other")), "SignatureDoesNotMatch", 403);
    await refusedAnswer(await fetch(url, { method: "DELETE" }), "SignatureDoesNotMatch", 403);
    await refusedAnswer(await fetch(`${url}&versionId=null`), "SignatureDoesNotMatch", 403);
    await refusedAnswer(await fetch(url.replace("Expires=60", "Expires=604801")), "AuthorizationQueryParametersError", 400);
    const unsigned = await fetch(url, { headers: { "x-amz-checksum-mode": "ENABLED" } });
    expect(await refusedAnswer(unsigned, "AccessDenied", 403)).toContain("<HeadersNotSigned>x-amz-checksum-mode</HeadersNotSigned>");
    expect(() => emulator.presign("GET", Bucket, "x", { expiresSeconds: 604_801 })).toThrow(/604,800/);
  });

  test("a header that was signed must be sent", async () => {
    const url = emulator.presign("PUT", Bucket, "once", { headers: { "if-none-match": "*" } });
    await refusedAnswer(await fetch(url, { method: "PUT", body: "1" }), "SignatureDoesNotMatch", 403);
    const once = { method: "PUT", body: "1", headers: { "if-none-match": "*" } };
    expect((await fetch(url, once)).status).toBe(200);
    await refusedAnswer(await fetch(url, once), "PreconditionFailed", 412);
  });
});

describe("credentials", () => {
  test("none, unknown ones, a wrong secret and a wrong region", async () => {
    await refusedAnswer(await fetch(`${emulator.url}/${Bucket}/there`), "AccessDenied", 403);
    const at = { Bucket, Key: "there" };
    const { credentials } = emulator.connection;
    const unknown = sdkClient({ ...emulator.connection, credentials: { ...credentials, accessKeyId: "AKIA0000000000000000" } });
    await refused(unknown.send("GetObject", at), "InvalidAccessKeyId", 403);
    const wrong = sdkClient({ ...emulator.connection, credentials: { ...credentials, secretAccessKey: "x" } });
    await refused(wrong.send("GetObject", at), "SignatureDoesNotMatch", 403);
    const elsewhere = sdkClient({ ...emulator.connection, region: "eu-central-1" });
    await refused(elsewhere.send("GetObject", at), "AuthorizationHeaderMalformed", 400);
  });

  test("a clock that is 16 minutes off", async () => {
    emulator.setClockAhead(16 * 60_000);
    const { status } = await fetch(emulator.presign("GET", Bucket, "there", { expiresSeconds: 3600 }));
    const skewed = sdkClient(emulator.connection);
    await refused(skewed.send("GetObject", { Bucket, Key: "there" }), "RequestTimeTooSkewed", 403);
    emulator.setClockAhead(0);
    expect(status).toBe(200);
  });

  test("temporary ones, until they expire", async () => {
    let aheadMs = 0; // of the SDK, which reads the machine's clock
    const clock = { ...systemClock, unixMs: () => systemClock.unixMs() + aheadMs };
    await using timed = await S3Emulator.start({ clock });
    timed.createBucket("timed");
    const credentials = timed.issueCredentials({ lifeSeconds: 600 });
    const temporary = sdkClient({ ...timed.connection, credentials });
    await temporary.send("PutObject", { Bucket: "timed", Key: "x", Body: "x" });
    const lost = sdkClient({ ...timed.connection, credentials: { ...credentials, sessionToken: "x" } });
    await refused(lost.send("GetObject", { Bucket: "timed", Key: "x" }), "InvalidToken", 400);
    aheadMs = 601_000;
    await refused(temporary.send("GetObject", { Bucket: "timed", Key: "x" }), "ExpiredToken", 400);
  });

  test("of a caller that may read alone: nothing is written, and a missing key is not told", async () => {
    const reader = sdkClient({ ...emulator.connection, credentials: emulator.issueCredentials({ allow: ["s3:GetObject"] }) });
    expect(await reader.bytes({ Bucket, Key: "there" })).toHaveLength(5);
    await refused(reader.send("GetObject", { Bucket, Key: "none" }), "AccessDenied", 403);
    await refused(reader.send("PutObject", { Bucket, Key: "there", Body: "x" }), "AccessDenied", 403);
    await refused(reader.send("ListObjectsV2", { Bucket }), "AccessDenied", 403);
  });
});

test("the style of a virtual host: the bucket stands in the name", async () => {
  const { http } = own.sdk;
  // names below localhost are not resolved everywhere
  const agent = new Agent({ lookup: (_host, _options, found) => found(null, [{ address: "127.0.0.1", family: 4 }]) });
  const virtual = sdkClient(
    { ...emulator.connection, endpoint: emulator.url.replace("127.0.0.1", "localhost") },
    { forcePathStyle: false, requestHandler: new http.NodeHttpHandler({ httpAgent: agent }) },
  );
  await virtual.send("PutObject", { Bucket, Key: "virtual/x", Body: "x" });
  expect(emulator.requests.at(-1)).toMatchObject({ bucket: Bucket, key: "virtual/x", path: `PUT /${Bucket}/virtual/x PutObject` });
  expect(await own.bytes({ Bucket, Key: "virtual/x" })).toHaveLength(1);
});

function exampleAuthorization(names: string, signature: string): string {
  return `AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=${names},Signature=${signature}`;
}
