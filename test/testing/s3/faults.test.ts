import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { S3Answer, S3Emulator } from "../../../src/testing/s3/index.ts";
import { noise } from "../../support/arbitraries.ts";
import { refusal } from "../../support/refusal.ts";
import { untyped } from "../../support/untyped.ts";
import { refused, refusedAnswer } from "./refused.ts";
import { sdkClient } from "./sdk.ts";

const emulator = await S3Emulator.start();
const Bucket = emulator.createBucket("faults");
const BODY = noise(300_000);
const { send, bytes } = sdkClient(emulator.connection);
const at = { Bucket, Key: "x" };
beforeEach(async () => {
  emulator.clearFaults();
  await send("PutObject", { ...at, Body: BODY });
});
afterAll(() => emulator.close());

describe("errors of the service", () => {
  test.each([
    ["SlowDown", 503],
    ["InternalError", 500],
    ["ServiceUnavailable", 503],
    ["ConditionalRequestConflict", 409],
    ["RequestTimeout", 400],
  ] as const)("%s", async (code, status) => {
    emulator.failNext(code, /GetObject/);
    await refused(send("GetObject", at), code, status);
    expect(await bytes(at)).toHaveLength(BODY.length);
  });

  test("with a message of one's own, at the second part alone", async () => {
    emulator.failNext(new S3Answer("InternalError", "disk on fire"), /UploadPart 2$/);
    const { UploadId } = await send("CreateMultipartUpload", at);
    await send("UploadPart", { ...at, UploadId, PartNumber: 1, Body: "x" });
    await expect(send("UploadPart", { ...at, UploadId, PartNumber: 2, Body: "x" })).rejects.toThrow("disk on fire");
    await send("AbortMultipartUpload", { ...at, UploadId });
  });

  test("late-error: status 200, with the error in the body", async () => {
    emulator.failNext("late-error", /CopyObject/);
    const copy = send("CopyObject", { Bucket, Key: "y", CopySource: `${Bucket}/x` });
    await expect(copy).rejects.toMatchObject({ name: "InternalError" });
    await refused(send("HeadObject", { Bucket, Key: "y" }), "NotFound", 404);
  });

  test("an answer of a proxy", async () => {
    emulator.failNext({ status: 502, text: "<html>bad gateway" }, /GetObject/);
    expect((await fetch(emulator.presign("GET", Bucket, "x"))).status).toBe(502);
  });

  test("a name that is none", async () => {
    for (const name of ["SlowDwn", "cut-up", "cut-up:x", "lost:1"])
      expect(await refusal(() => emulator.failNext(untyped(name)))).toMatchObject({ code: "invalid-argument" });
  });
});

describe("connections", () => {
  test("cut-down: so many bytes of the body arrive, and an error", async () => {
    emulator.failNext("cut-down:70000", /GetObject/);
    const { taken, isBroken } = await readOf(await fetch(emulator.presign("GET", Bucket, "x")));
    expect([taken, isBroken]).toEqual([70_000, true]);
  });

  test("cut-up: the upload breaks off, and nothing is stored", async () => {
    emulator.failNext("cut-up:100000", /PutObject/);
    await expect(send("PutObject", { ...at, Body: noise(200_000, "new") })).rejects.toThrow();
    expect(await bytes(at)).toHaveLength(BODY.length);
    emulator.failNext("cut-up:100000", /PutObject/);
    await send("PutObject", { ...at, Body: "shorter than that" });
  });

  test("lost: it is done, and nobody says so", async () => {
    emulator.failNext("lost", /PutObject/);
    await expect(send("PutObject", { ...at, Body: "new" })).rejects.toThrow();
    expect(await bytes(at)).toHaveLength(3);
  });

  test.each(["reset", "hang"] as const)("%s: nothing is done", async (fault) => {
    emulator.failNext(fault, /PutObject/);
    const signal = AbortSignal.timeout(fault === "hang" ? 300 : 10_000);
    await expect(fetch(emulator.presign("PUT", Bucket, "x"), { method: "PUT", body: "new", signal })).rejects.toThrow();
    expect(await bytes(at)).toHaveLength(BODY.length);
  });

  test("slow: later, and whole", async () => {
    emulator.failNext("slow:20", /GetObject/);
    expect(await bytes(at)).toHaveLength(BODY.length);
  });
});

describe("bodies and their lengths", () => {
  test("truncated: a shorter body with a length to match", async () => {
    emulator.failNext("truncated:1000", /GetObject/);
    const answer = await fetch(emulator.presign("GET", Bucket, "x"));
    expect([answer.headers.get("content-length"), await readOf(answer)]).toEqual(["1000", { taken: 1000, isBroken: false }]);
  });

  test("too-long and too-short: a Content-Length that lies", async () => {
    emulator.failNext("too-long:5", /GetObject/);
    const long = await fetch(emulator.presign("GET", Bucket, "x"));
    expect([long.headers.get("content-length"), await readOf(long)]).toEqual(["300005", { taken: 300_000, isBroken: true }]);
    emulator.failNext("too-short:5", /GetObject/);
    const short = await fetch(emulator.presign("GET", Bucket, "x"));
    expect([short.headers.get("content-length"), await readOf(short)]).toEqual(["299995", { taken: 299_995, isBroken: false }]);
  });

  test("wrong-etag: the ETag of other bytes", async () => {
    emulator.failNext("wrong-etag", /HeadObject/);
    expect((await send("HeadObject", at)).ETag).toBe('"00000000000000000000000000000000"');
  });

  test("cut, endless and garbage", async () => {
    emulator.failNext("cut", /GetObject/);
    expect(await readOf(await fetch(emulator.presign("GET", Bucket, "x")))).toEqual({ taken: 299_996, isBroken: true });
    emulator.failNext("endless", /ListObjectsV2/);
    const endless = await fetch(emulator.presign("GET", Bucket, "", { query: { "list-type": "2" } }));
    let taken = 0;
    for await (const piece of endless.body ?? []) {
      taken += piece.length;
      if (taken > 300_000) break;
    }
    expect(taken).toBeGreaterThan(300_000);
    emulator.failNext("garbage", /HeadObject|GetObject/);
    expect(await (await fetch(emulator.presign("GET", Bucket, "x"))).text()).toBe("<html>");
  });
});

test("targets that cannot be read and operations that are not there", async () => {
  await refusedAnswer(await fetch(`${emulator.url}/${Bucket}/%zz`), "InvalidURI", 400);
  await refusedAnswer(await fetch(emulator.presign("GET", Bucket, "x", { query: { acl: "" } })), "NotImplemented", 501);
  await refusedAnswer(await fetch(emulator.presign("PATCH", Bucket, "x"), { method: "PATCH" }), "MethodNotAllowed", 405);
  const header = { "x-amz-server-side-encryption": "aws:kms" };
  const answer = await fetch(emulator.presign("PUT", Bucket, "x", { headers: header }), { method: "PUT", body: "x", headers: header });
  expect(await refusedAnswer(answer, "NotImplemented", 501)).toContain("<Header>x-amz-server-side-encryption</Header>");
});

async function readOf(answer: Response): Promise<{ readonly taken: number; readonly isBroken: boolean }> {
  let taken = 0;
  try {
    for await (const piece of answer.body ?? []) taken += piece.length;
    return { taken, isBroken: false };
  } catch {
    return { taken, isBroken: true };
  }
}
