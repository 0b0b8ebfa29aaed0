import { describe, expect, test } from "vitest";
import type { BlobFetch } from "../../src/blobs/http.ts";
import type { BlobStore } from "../../src/blobs/index.ts";
import { s3Blobs } from "../../src/blobs/s3/index.ts";
import { parseHeader } from "../../src/core/format/envelope.ts";
import { noise } from "../support/arbitraries.ts";
import { expectSameBytes } from "../support/bytes.ts";
import { refusal } from "../support/refusal.ts";
import { untyped } from "../support/untyped.ts";
import { client, emulators, openByClient, openPresigned, openS3, sdk } from "./s3-places.ts";
import { inPieces, keyringOf, newName, storeOf, wholeOf } from "./set-up.ts";

// Each case notices a slip of the driver that no other test would: a condition, a digest or an order that is left out.

const { aws } = emulators;
const MIB = 2 ** 20;
const END = ".envelock-header";
const WAYS = [
  ["credentials", (options = {}) => openS3("aws", options)],
  ["a client", (options = {}) => openByClient(options)],
] as const satisfies readonly (readonly [string, (options?: { readonly rewrap?: "in-place" }) => BlobStore])[];

interface SentInput {
  readonly command: string;
  readonly MpuObjectSize?: number;
}

describe.each([...WAYS, ["presigned URLs", () => openPresigned()] as const])("an upload by parts, by %s", (_way, open) => {
  test("a name that is taken stays, and a version that is gone is not replaced", async () => {
    const [backing, name] = [open(), newName()];
    const large = (): AsyncIterable<Uint8Array> => inPieces(noise(6 * MIB, "large"), MIB);
    const { etag } = await storeOf(backing).put(name, noise(100));
    expect(await refusal(() => storeOf(backing).put(name, large()))).toMatchObject({ detail: "blob-exists" });
    aws.failNext(
      { meanwhile: async () => void (await storeOf(openS3("aws")).put(name, noise(200, "second"), { replace: true })) },
      new RegExp(`^POST /blobs/${name} CompleteMultipartUpload`),
      1,
    );
    expect(await refusal(() => storeOf(backing).put(name, large(), { ifMatch: etag }))).toMatchObject({ detail: "blob-changed" });
    expectSameBytes(await wholeOf(storeOf(backing), name), noise(200, "second"));
    expect(aws.openUploads("blobs")).toBe(0);
  });
});

describe.each(WAYS)("the answer to the end of an upload, by %s", (_way, open) => {
  test.each([
    "lost",
    "late-error",
    "SlowDown",
    "ConditionalRequestConflict",
  ] as const)("%s: whole, and no upload is left", async (fault) => {
    const [store, name] = [storeOf(open()), newName()];
    aws.failNext(fault, new RegExp(`^POST /blobs/${name} CompleteMultipartUpload`), 1);
    const { etag } = await store.put(name, noise(6 * MIB));
    aws.clearFaults();
    expect((await open().open(name, 1))?.etag).toBe(etag);
    expectSameBytes(await wholeOf(store, name), noise(6 * MIB));
    expect(aws.openUploads("blobs")).toBe(0);
  });
});

describe("digests and totals", () => {
  test("a byte that changes on its way is refused, in a whole object, a part, a list of parts and a sidecar", async () => {
    const name = newName();
    let spoilt = "";
    const spoiling: BlobFetch = async (url, request) => {
      const { body } = request;
      const isMeant = body !== undefined && `${request.method} ${url}`.includes(spoilt);
      return await fetch(url, isMeant ? { ...request, body: body.map((byte, at) => (at === body.length - 1 ? byte ^ 1 : byte)) } : request);
    };
    const store = storeOf(openS3("aws", {}, spoiling));
    for (const [bytes, request] of [
      [100, "PUT "],
      [6 * MIB, "partNumber=1"],
      [6 * MIB, "POST "],
    ] as const) {
      spoilt = request;
      const error = await refusal(() => store.put(name, noise(bytes)));
      expect([request, error.code]).toEqual([request, "unavailable"]);
      expect(aws.objectBytes("blobs", name)).toBeUndefined();
      expect(aws.openUploads("blobs")).toBe(0);
    }
    spoilt = END;
    await store.put(name, noise(100));
    const mover = storeOf(openS3("aws", {}, spoiling), keyringOf("new", "old"));
    expect((await refusal(() => mover.rewrap(name))).code).toBe("unavailable");
    expect(aws.objectBytes("blobs", `${name}${END}`)).toBeUndefined();
  });

  test("the service is told how long the whole is, where it checks that", async () => {
    const told: (string | undefined)[] = [];
    const watching: BlobFetch = async (url, request) => {
      if (request.method === "POST" && url.includes("uploadId=")) told.push(request.headers["x-amz-mp-object-size"]);
      return await fetch(url, request);
    };
    for (const mode of ["aws", "r2"] as const) await storeOf(openS3(mode, {}, watching)).put(newName(), noise(6 * MIB));
    expect(told).toEqual([expect.stringMatching(/^6\d{6}$/), undefined]);
  });

  test("a client gets the digest of each body, the total, and the storage class", async () => {
    const inputs: SentInput[] = [];
    const watched = {
      send: async (command: object, options?: object) => {
        inputs.push({ command: command.constructor.name, ...Reflect.get(command, "input") });
        return await client.send(command, options);
      },
    };
    const backing = s3Blobs({ client: watched, commands: sdk, bucket: "blobs" }, { mode: "aws", storageClass: "STANDARD_IA" });
    const name = newName();
    await storeOf(backing).put(name, noise(6 * MIB));
    await storeOf(backing).put(`${name}-small`, noise(6));
    const of = (command: string): SentInput | undefined => inputs.find((input) => input.command === command);
    const digest = expect.stringMatching(/^[\w+/]{22}==$/);
    expect(of("UploadPartCommand")).toMatchObject({ ContentMD5: digest });
    expect(of("PutObjectCommand")).toMatchObject({ ContentMD5: digest, StorageClass: "STANDARD_IA" });
    expect(of("CreateMultipartUploadCommand")).toMatchObject({ StorageClass: "STANDARD_IA" });
    expect(of("CompleteMultipartUploadCommand")?.MpuObjectSize).toBe(aws.objectBytes("blobs", name)?.length);
  });
});

describe.each(WAYS)("reads, by %s", (_way, open) => {
  test("an answer that is not the range that was asked for is refused", async () => {
    const [backing, name] = [open(), newName()];
    await storeOf(backing).put(name, noise(100_000));
    const blob = await backing.open(name, 10);
    const read = async (): Promise<unknown> => {
      for await (const piece of blob?.read(1000, 2000, { ifMatch: blob.etag }) ?? []) return piece;
      return undefined;
    };
    const whole = { status: 200, text: "x".repeat(1000), headers: { etag: blob?.etag ?? "", "content-length": "1000" } };
    aws.failNext(whole, new RegExp(`^GET /blobs/${name} `), 1);
    expect(await refusal(read)).toMatchObject({ code: "provider-failure" });
    aws.failNext("wrong-etag", new RegExp(`^GET /blobs/${name} `), 1);
    expect(await refusal(read)).toMatchObject({ detail: "source-changed" });
  });

  test("an empty object has no bytes, and is no envelope", async () => {
    const [backing, name] = [open(), newName()];
    await client.send(new sdk.PutObjectCommand({ Bucket: "blobs", Key: name, Body: "" }));
    expect(await backing.open(name, 10)).toMatchObject({ size: 0, first: new Uint8Array(0) });
    expect(await refusal(() => storeOf(backing).get(name))).toMatchObject({ code: "malformed-envelope" });
  });

  test("the wait that the service asks for is the error's", async () => {
    const [backing, name] = [open(), newName()];
    const busy = { status: 503, text: "<Error><Code>SlowDown</Code></Error>", headers: { "retry-after": "7" } };
    aws.failNext(busy, new RegExp(`^GET /blobs/${name} `));
    expect(await refusal(() => backing.open(name, 10))).toMatchObject({ code: "rate-limited", retryAfterMs: 7000 });
    aws.clearFaults();
  });
});

describe.each(WAYS)("sidecars, by %s", (_way, open) => {
  test("of two headers for a blob that has one beside it, the second is too late", async () => {
    const [backing, name] = [open(), newName()];
    await storeOf(backing).put(name, noise(100));
    await storeOf(backing, keyringOf("new", "old")).rewrap(name);
    const [one, other] = [await backing.open(name, 2000), await backing.open(name, 2000)];
    const { headerBytes: ownHeaderBytes } = parseHeader(one?.first ?? new Uint8Array(0));
    const change = { ownHeaderBytes, keys: [] };
    expect(await one?.replaceHeader({ ...change, header: noise(130) })).toBe("replaced");
    expect(await other?.replaceHeader({ ...change, header: noise(131) })).toBe("changed");
    expectSameBytes((await backing.open(name, 10))?.overlay?.header ?? new Uint8Array(0), noise(130));
  });

  test("a header that is cut short on its way is asked for again", async () => {
    const [backing, name] = [open(), newName()];
    await storeOf(backing).put(name, noise(100));
    await storeOf(backing, keyringOf("new", "old")).rewrap(name);
    aws.failNext("truncated:50", new RegExp(`^GET /blobs/${name}${END} `), 1);
    expectSameBytes(await wholeOf(storeOf(backing, keyringOf("new")), name), noise(100));
    aws.clearFaults();
  });
});

describe.each(WAYS)("in place, by %s", (_way, open) => {
  test("what a copy cannot state again stays as it is", async () => {
    const [backing, name] = [open({ rewrap: "in-place" }), newName()];
    await storeOf(backing).put(name, noise(100));
    for (const header of [
      { "x-amz-object-lock-mode": "GOVERNANCE" },
      { "x-amz-server-side-encryption-customer-algorithm": "AES256" },
      { "x-amz-storage-class": "PAPER" },
      { "x-amz-server-side-encryption": "aws:other" },
    ]) {
      const held = { status: 200, text: "", headers: { etag: '"1"', "content-length": "1", ...header } };
      aws.failNext(untyped(held), new RegExp(`^HEAD /blobs/${name} `));
      expect([header, await storeOf(backing, keyringOf("new", "old")).rewrap(name)]).toEqual([header, "not-possible"]);
      aws.clearFaults();
    }
  });

  test("properties and tags are sent again with a small object too", async () => {
    const [backing, name] = [open({ rewrap: "in-place" }), newName()];
    const source = { Bucket: "blobs", Key: name };
    await storeOf(backing).put(name, noise(1000));
    const { Metadata } = await client.send(new sdk.HeadObjectCommand(source));
    const about = { ContentType: "video/mp4", CacheControl: "no-transform", ContentLanguage: "de", StorageClass: "STANDARD_IA" };
    const kept = { ...about, Expires: new Date("2030-01-01T00:00:00Z"), Metadata: { ...Metadata, "their-own": "kept" } };
    const replaced = { MetadataDirective: "REPLACE", TaggingDirective: "REPLACE", Tagging: "project=seven%207" };
    await client.send(new sdk.CopyObjectCommand({ ...source, CopySource: `blobs/${name}`, ...replaced, ...kept }));
    expect(await storeOf(backing, keyringOf("new", "old")).rewrap(name)).toBe("rewrapped");
    const head = await client.send(new sdk.HeadObjectCommand(source));
    expect(head).toMatchObject({ ...about, Metadata: { "their-own": "kept", envelock: "1" } });
    expect(new Date(head.ExpiresString).getTime()).toBe(kept.Expires.getTime());
    expect((await client.send(new sdk.GetObjectTaggingCommand(source))).TagSet).toEqual([{ Key: "project", Value: "seven 7" }]);
  });
});

test("names that URLs and XML escape come back from a list, by a client and by presigned URLs", async () => {
  for (const open of [openByClient, openPresigned]) {
    const [backing, prefix] = [open(), newName()];
    const names = ["a b+c%20&<d>'(e)*!", "ä/日本/🦀", "~x=1?y#z"].map((end) => `${prefix}/${end}`);
    for (const name of names) await storeOf(backing).put(name, noise(10));
    expect((await backing.list({ prefix, limit: 10 })).map(({ name }) => name).sort()).toEqual([...names].sort());
    for (const name of names) expectSameBytes(await wholeOf(storeOf(backing), name), noise(10));
  }
});
