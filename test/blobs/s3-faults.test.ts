import { Agent } from "node:http";
import { describe, expect, test } from "vitest";
import { s3Blobs } from "../../src/blobs/s3/index.ts";
import { systemClock } from "../../src/core/base/clock.ts";
import { EnvelockError } from "../../src/core/base/errors.ts";
import { noise } from "../support/arbitraries.ts";
import { expectSameBytes } from "../support/bytes.ts";
import { refusal } from "../support/refusal.ts";
import { untyped } from "../support/untyped.ts";
import { expectFreedConnections } from "./freed-connections.ts";
import { client, emulators, openByClient, openS3, sdk, signedBy } from "./s3-places.ts";
import { collected, keyringOf, newName, storeOf, wholeOf } from "./set-up.ts";

const { aws } = emulators;
const MIB = 2 ** 20;

describe("an abort while an upload by parts begins", () => {
  test.each([
    ["credentials", () => openS3("aws")],
    ["a client", () => openByClient()],
    ["credentials, in place", () => openS3("aws", { rewrap: "in-place" })],
    ["a client, in place", () => openByClient({ rewrap: "in-place" })],
  ] as const)("leaves no upload, by %s", async (way, open) => {
    const [backing, name, stop, reason] = [open(), newName(), new AbortController(), new Error("the caller's reason")];
    const isRewrap = way.endsWith("in place");
    if (isRewrap) await storeOf(backing).put(name, noise(9 * MIB));
    aws.takeRequests();
    aws.failNext({ meanwhile: async () => stop.abort(reason) }, new RegExp(`^POST /blobs/${name} CreateMultipartUpload`), 1);
    const { signal } = stop;
    const work = isRewrap
      ? storeOf(backing, keyringOf("new", "old")).rewrap(name, { signal })
      : storeOf(backing).put(name, noise(9 * MIB), { signal });
    await expect(work).rejects.toBe(reason);
    expect(aws.takeRequests().map(({ operation }) => operation)).toContain("AbortMultipartUpload");
    expect(aws.openUploads("blobs")).toBe(0);
  });
});

describe("in place, an upload that was ended elsewhere", () => {
  test("is not asked again: the rewrap begins another", async () => {
    const [backing, name] = [openS3("aws", { rewrap: "in-place" }), newName()];
    await storeOf(backing).put(name, noise(9 * MIB));
    aws.failNext("NoSuchUpload", new RegExp(`^PUT /blobs/${name} UploadPart `), 1);
    aws.takeRequests();
    expect(await storeOf(backing, keyringOf("new", "old")).rewrap(name)).toBe("rewrapped");
    const calls = aws.takeRequests().flatMap(({ method, operation }) => (method === "GET" || method === "HEAD" ? [] : [operation]));
    const begun = ["CreateMultipartUpload", "UploadPart"];
    expect(calls.slice(0, 3)).toEqual([...begun, "AbortMultipartUpload"]);
    expect(calls.slice(3)).toEqual([...begun, "UploadPartCopy", "CompleteMultipartUpload"]);
    expect(aws.openUploads("blobs")).toBe(0);
  });
});

describe("a client", () => {
  test("whose download is left in any way has its connection back", async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const single = new sdk.S3Client({ ...aws.connection, maxAttempts: 1, requestHandler: { httpAgent: agent } });
    await expectFreedConnections(s3Blobs({ client: single, commands: sdk, bucket: "blobs" }, { mode: "aws" }), agent);
    single.destroy();
  });

  test("with many calls on one signal is no leak of listeners to the runtime", async () => {
    const warnings: Error[] = [];
    const hear = (warning: Error): void => void warnings.push(warning);
    process.on("warning", hear);
    const [store, name, { signal }] = [storeOf(openByClient()), newName(), new AbortController()];
    await store.put(name, noise(10));
    await Promise.all(Array.from({ length: 24 }, async () => (await store.get(name, { signal })).close()));
    await new Promise((resolve) => setImmediate(resolve)); // warnings come in a turn of their own
    process.off("warning", hear);
    expect(warnings.filter(({ name: kind }) => kind === "MaxListenersExceededWarning")).toEqual([]);
  });
});

describe("faults", () => {
  test.each([
    ["SlowDown", "rate-limited"],
    ["InternalError", "unavailable"],
    ["AccessDenied", "access-denied"],
    ["ExpiredToken", "access-denied"],
    ["NoSuchBucket", "invalid-argument"],
    [{ status: 301, text: "<Error><Code>PermanentRedirect</Code></Error>" }, "invalid-argument"],
    [{ status: 403, text: "<Error><Code>InvalidObjectState</Code></Error>" }, "provider-failure"],
    [{ status: 418, text: "<html>" }, "provider-failure"],
    ["reset", "unavailable"],
    ["garbage", "provider-failure"],
  ] as const)("%o of a read is %s", async (fault, code) => {
    const [backing, name] = [openS3("aws"), newName()];
    await storeOf(backing).put(name, noise(10));
    aws.failNext(untyped(fault), new RegExp(`^GET /blobs/${name} `));
    const error = await refusal(() => backing.open(name, 10));
    expect(error.code).toBe(code);
    expect(JSON.stringify(error)).not.toMatch(new RegExp(aws.credentials.secretAccessKey));
    aws.clearFaults();
  });

  test.each([
    "lost",
    "reset",
    "InternalError",
    "SlowDown",
    "late-error",
    "cut-up:1000000",
    "ConditionalRequestConflict",
  ] as const)("%s at each call of an upload by parts is passed over, and leaves no upload", async (fault) => {
    for (const [way, open] of [["fetch", () => openS3("aws")] as const, ["client", () => openByClient()] as const]) {
      const store = storeOf(open());
      try {
        for (const call of fault === "late-error" ? ["POST"] : ["POST", "PUT"]) {
          const name = newName();
          aws.failNext(untyped(fault), new RegExp(`^${call} /blobs/${name} `), 1);
          await store.put(name, noise(9 * MIB));
          aws.clearFaults();
          expectSameBytes(await wholeOf(store, name), noise(9 * MIB));
        }
        // an answer to the beginning of an upload that is lost leaves one, and its id is known to nothing but the service
        expect([way, aws.openUploads("blobs")]).toEqual([way, fault === "lost" ? 1 : 0]);
      } finally {
        await abortAll(); // a failure here is no failure of the cases that follow
      }
    }
  });

  test("a conflict that lasts is unavailable, an upload that was ended elsewhere too, and nothing is left", async () => {
    const [store, name] = [storeOf(openS3("aws")), newName()];
    aws.failNext("ConditionalRequestConflict", new RegExp(`^PUT /blobs/${name} `), 5);
    expect(await refusal(() => store.put(name, noise(10)))).toMatchObject({ code: "unavailable" });
    aws.failNext("NoSuchUpload", new RegExp(`^PUT /blobs/${name} `), 100);
    expect(await refusal(() => store.put(name, noise(9 * MIB)))).toMatchObject({ code: "unavailable" });
    aws.clearFaults();
    expect(aws.openUploads("blobs")).toBe(0);
    expect(aws.objectBytes("blobs", name)).toBeUndefined();
  });

  test("a connection that breaks in a body is taken up again; a short answer never passes for the whole", async () => {
    const [store, name] = [storeOf(openS3("aws")), newName()];
    await store.put(name, noise(2 * MIB));
    for (const fault of ["cut-down:100000", "truncated:100000", "too-long:5", "too-short:5", "wrong-etag"] as const) {
      const blob = await store.get(name);
      aws.failNext(fault, new RegExp(`^GET /blobs/${name} `), 1);
      const outcome = await collected(blob).catch((error: unknown) => error);
      if (outcome instanceof Uint8Array) expectSameBytes(outcome, noise(2 * MIB));
      else expect(EnvelockError.is(outcome) && outcome.code).toMatch(/^(unavailable|malformed-envelope)$/);
      aws.clearFaults();
      blob.close();
    }
  });

  test("a clock that is wrong is set by the service's", async () => {
    const now = { unixMs: () => Date.now() + 3_600_000 };
    const backing = s3Blobs({ ...signedBy("aws"), clock: { ...systemClock, ...now } }, { mode: "aws" });
    const name = newName();
    await storeOf(backing).put(name, noise(10));
    expectSameBytes(await wholeOf(storeOf(backing), name), noise(10));
  });

  test("a description that S3 has no room for is refused before anything is sent", async () => {
    const store = storeOf(openS3("aws"));
    const error = await refusal(() =>
      store.put(newName(), noise(10), { describe: { name: "n".repeat(1024), type: "t".repeat(255), compressed: "c".repeat(255) } }),
    );
    expect(error).toMatchObject({ code: "invalid-argument", detail: "too-large" });
  });
});

async function abortAll(): Promise<void> {
  const { Uploads = [] } = await client.send(new sdk.ListMultipartUploadsCommand({ Bucket: "blobs" }));
  for (const { Key, UploadId } of Uploads) await client.send(new sdk.AbortMultipartUploadCommand({ Bucket: "blobs", Key, UploadId }));
}
