import { describe, expect, test } from "vitest";
import { type BlobStore, encryptedStore, rewrapStale } from "../../src/blobs/index.ts";
import { s3Blobs, s3Presigner } from "../../src/blobs/s3/index.ts";
import { systemClock } from "../../src/core/base/clock.ts";
import { EnvelockError } from "../../src/core/base/errors.ts";
import { parseHeader } from "../../src/core/format/envelope.ts";
import { S3Emulator } from "../../src/testing/s3/index.ts";
import { noise } from "../support/arbitraries.ts";
import { expectSameBytes } from "../support/bytes.ts";
import { refusal } from "../support/refusal.ts";
import { untyped } from "../support/untyped.ts";
import { memoryOverlays } from "./overlay-table.ts";
import { client, emulators, inTurn, openByClient, openS3, sdk, signedBy, WAYS } from "./s3-places.ts";
import { collected, hurried, inPieces, keyringOf, newName, storeOf, wholeOf } from "./set-up.ts";
import { storeCases } from "./store-cases.ts";
import { TableLedger } from "./table-ledger.ts";

const { aws } = emulators;
const MIB = 2 ** 20;
const END = ".envelock-header";

function objectOf(name: string): Uint8Array {
  return aws.objectBytes("blobs", name) ?? new Uint8Array(0);
}

describe.each(WAYS)("an encrypted store, by %s", (_way, open) => {
  storeCases({ open, newName, etag: /^"[0-9a-f]{32}(?:-\d+)?"$/ });

  test("a rewrap moves the key, and no byte of the body", async () => {
    const [backing, name] = [open(), newName()];
    await storeOf(backing).put(name, noise(9 * MIB), { describe: { name: "a" } });
    const [before] = await bodyOf(backing, name);
    const reader = await storeOf(backing).get(name);
    const mover = storeOf(backing, keyringOf("new", "old"));
    expect([await mover.rewrap(name), await mover.rewrap(name)]).toEqual(["rewrapped", "current"]);
    const [after] = await bodyOf(backing, name);
    expectSameBytes(after, before);
    expectSameBytes(await collected(reader), noise(9 * MIB)); // opened before the rewrap, read after it
    const moved = storeOf(backing, keyringOf("new"));
    expectSameBytes(await wholeOf(moved, name), noise(9 * MIB));
    expect((await moved.get(name)).description).toEqual({ name: "a" });
    const stale: string[] = [];
    for await (const each of mover.findStale({ prefix: name })) stale.push(each);
    expect(stale).toEqual([]);
  });

  test("a replacement after a rewrap has its own header, and a later rewrap its own overlay", async () => {
    const [backing, name] = [open(), newName()];
    const mover = storeOf(backing, keyringOf("new", "old"));
    await storeOf(backing).put(name, noise(100));
    await mover.rewrap(name);
    await storeOf(backing, keyringOf("old", "new")).put(name, noise(200, "second"), { replace: true });
    expectSameBytes(await wholeOf(storeOf(backing), name), noise(200, "second"));
    expect(await mover.rewrap(name)).toBe("rewrapped");
    expectSameBytes(await wholeOf(storeOf(backing, keyringOf("new")), name), noise(200, "second"));
  });

  test("list and delete know nothing of what stands beside", async () => {
    const [backing, name] = [open(), newName()];
    const store = storeOf(backing, keyringOf("new", "old"));
    await storeOf(backing).put(`${name}/a`, noise(100));
    await store.rewrap(`${name}/a`);
    const listed = async (): Promise<readonly string[]> => {
      const names: string[] = [];
      for await (const { name: each } of store.list({ prefix: `${name}/` })) names.push(each);
      return names;
    };
    expect(await listed()).toEqual([`${name}/a`]);
    expect(await store.delete(`${name}/a`)).toBe(true);
    expect(await listed()).toEqual([]);
    for (const emulator of Object.values(emulators)) expect(emulator.objectBytes("blobs", `${name}/a${END}`)).toBeUndefined();
  });

  test("a source that fails leaves no object and no upload", async () => {
    const [store, name] = [storeOf(open()), newName()];
    async function* broken(): AsyncGenerator<Uint8Array, void, undefined> {
      yield noise(9 * MIB);
      throw new RangeError("the source's own");
    }
    await expect(store.put(name, broken())).rejects.toBeInstanceOf(RangeError);
    expect(await refusal(() => store.get(name))).toMatchObject({ detail: "blob-missing" });
    for (const emulator of Object.values(emulators)) expect(emulator.openUploads("blobs")).toBe(0);
  });
});

/** Everything but the header, and how long that is. */
async function bodyOf(backing: BlobStore, name: string): Promise<readonly [Uint8Array, number]> {
  const blob = await backing.open(name, 2 ** 31 - 1);
  const first = blob?.first ?? new Uint8Array(0);
  const { headerBytes } = parseHeader(first);
  return [first.subarray(headerBytes), headerBytes];
}

describe("sidecars", () => {
  test("the object stays as it was, and the header that is beside it names its version", async () => {
    const [backing, name] = [openS3("aws"), newName()];
    await storeOf(backing).put(name, noise(1000));
    const before = objectOf(name).slice();
    await storeOf(backing, keyringOf("new", "old")).rewrap(name);
    expectSameBytes(objectOf(name), before);
    const { Metadata } = await client.send(new sdk.HeadObjectCommand({ Bucket: "blobs", Key: `${name}${END}` }));
    const { ETag } = await client.send(new sdk.HeadObjectCommand({ Bucket: "blobs", Key: name }));
    expect(Metadata).toEqual({ "envelock-blob": ETag });
  });

  test("one of another data key is refused, one that a replaced blob left counts for nothing", async () => {
    const [backing, name] = [openS3("aws"), newName()];
    const store = storeOf(backing);
    await store.put(name, noise(1000));
    await store.put(`${name}-2`, noise(1000));
    await storeOf(backing, keyringOf("new", "old")).rewrap(`${name}-2`);
    const foreign = objectOf(`${name}-2${END}`);
    const put = async (Metadata: Record<string, string>): Promise<void> =>
      await client.send(new sdk.PutObjectCommand({ Bucket: "blobs", Key: `${name}${END}`, Body: foreign, Metadata }));
    await put({});
    expect(await refusal(() => store.get(name))).toMatchObject({ code: "malformed-envelope", detail: "overlay-foreign" });
    await put({ "envelock-blob": '"0123"' });
    expectSameBytes(await wholeOf(store, name), noise(1000));
    for (const Body of ["", "no header", noise(200), noise(100_000)]) {
      await client.send(new sdk.PutObjectCommand({ Bucket: "blobs", Key: `${name}${END}`, Body }));
      expect((await refusal(() => store.get(name))).code).toMatch(/^(malformed-envelope|provider-failure)$/);
    }
  });

  test("one whose body was copied to another bucket opens there, though the version has another name", async () => {
    const [backing, name] = [openS3("aws"), newName()];
    await storeOf(backing).put(name, inPieces(noise(9 * MIB), MIB));
    await storeOf(backing, keyringOf("new", "old")).rewrap(name);
    aws.createBucket("other");
    for (const key of [name, `${name}${END}`]) {
      await client.send(new sdk.CopyObjectCommand({ Bucket: "other", Key: key, CopySource: `blobs/${key}` }));
    }
    const other = s3Blobs({ client, commands: sdk, bucket: "other" }, { mode: "aws" });
    expectSameBytes(await wholeOf(storeOf(other, keyringOf("new")), name), noise(9 * MIB));
  });
});

describe("in place", () => {
  test("wiped properties: all are sent again, and the service copies the body", async () => {
    const [backing, name] = [openS3("aws", { rewrap: "in-place" }), newName()];
    const source = { Bucket: "blobs", Key: name };
    await storeOf(backing).put(name, noise(13 * MIB));
    const { Metadata } = await client.send(new sdk.HeadObjectCommand(source));
    const about = { ContentType: "video/mp4", CacheControl: "no-transform", ContentDisposition: "attachment", StorageClass: "STANDARD_IA" };
    const kept = { ...about, Metadata: { ...Metadata, "their-own": "kept" }, Tagging: "project=seven%207" };
    await client.send(
      new sdk.CopyObjectCommand({
        ...source,
        CopySource: `blobs/${name}`,
        MetadataDirective: "REPLACE",
        TaggingDirective: "REPLACE",
        ...kept,
      }),
    );
    aws.takeRequests();
    expect(await storeOf(backing, keyringOf("new", "old")).rewrap(name)).toBe("rewrapped");
    const parts = aws.takeRequests().filter(({ method, path }) => method === "PUT" && path.includes(name));
    expect(parts.length).toBe(2); // one that is sent, one that is copied
    const head = await client.send(new sdk.HeadObjectCommand(source));
    expect(head).toMatchObject({ ...about, Metadata: { "their-own": "kept", envelock: "1" } });
    const { TagSet } = await client.send(new sdk.GetObjectTaggingCommand(source));
    expect(TagSet).toEqual([{ Key: "project", Value: "seven 7" }]);
    expectSameBytes(await wholeOf(storeOf(backing, keyringOf("new")), name), noise(13 * MIB));
    expect(aws.openUploads("blobs")).toBe(0);
  });

  test("what stands beside the object is taken in, even if it is current, and then removed", async () => {
    const name = newName();
    await storeOf(openS3("aws")).put(name, noise(9 * MIB));
    await storeOf(openS3("aws"), keyringOf("new", "old")).rewrap(name);
    const backing = openS3("aws", { rewrap: "in-place" });
    const mover = storeOf(backing, keyringOf("new"));
    const stale: string[] = [];
    for await (const each of mover.findStale({ prefix: name })) stale.push(each);
    expect(stale).toEqual([name]);
    expect([await mover.rewrap(name), await mover.rewrap(name)]).toEqual(["rewrapped", "current"]);
    expect(aws.objectBytes("blobs", `${name}${END}`)).toBeUndefined();
    const plaintext = await keyringOf("new").decrypt(objectOf(name), { context: { object: name } }); // the bytes alone suffice
    expectSameBytes(plaintext, noise(9 * MIB));
  });

  test("an object under a hold stays as it is; a change meanwhile is said", async () => {
    const [backing, name] = [openS3("aws", { rewrap: "in-place" }), newName()];
    await storeOf(backing).put(name, noise(9 * MIB));
    const held = { status: 200, text: "", headers: { etag: '"1"', "content-length": "1", "x-amz-object-lock-legal-hold": "ON" } };
    aws.failNext(held, new RegExp(`^HEAD /blobs/${name} `));
    const store = storeOf(backing, keyringOf("new", "old"));
    expect(await store.rewrap(name)).toBe("not-possible");
    let isOver = false;
    aws.failNext(
      {
        meanwhile: async () => {
          if (!isOver) await storeOf(backing).put(name, noise(100, "other"), { replace: true });
          isOver = true;
        },
      },
      new RegExp(`^POST /blobs/${name} `),
      1,
    );
    expect(await store.rewrap(name)).toBe("rewrapped"); // the second attempt moved what is there now
    expectSameBytes(await wholeOf(storeOf(backing, keyringOf("new")), name), noise(100, "other"));
    expect(aws.openUploads("blobs")).toBe(0);
  });
});

describe("annotations", () => {
  test.each([
    ["credentials", () => openS3("aws", { rewrap: "annotation" })],
    ["a client", () => openByClient({ rewrap: "annotation" })],
  ] as const)("carry the new header and end with their object, by %s", async (_way, open) => {
    const [backing, name] = [open(), newName()];
    await storeOf(backing).put(name, noise(1000));
    const before = objectOf(name).slice();
    expect(await storeOf(backing, keyringOf("new", "old")).rewrap(name)).toBe("rewrapped");
    expectSameBytes(objectOf(name), before);
    expectSameBytes(await wholeOf(storeOf(backing, keyringOf("new")), name), noise(1000));
    expect(aws.objectBytes("blobs", `${name}${END}`)).toBeUndefined();
    await storeOf(backing).put(name, noise(7), { replace: true });
    expectSameBytes(await wholeOf(storeOf(backing), name), noise(7));
  });

  test("annotation on a server without them: refused before anything is lost", async () => {
    await using without = await S3Emulator.start({ annotations: false });
    without.createBucket("blobs");
    const place = { url: `${without.url}/blobs`, region: without.connection.region, credentials: without.credentials };
    const backing = s3Blobs(place, { mode: "aws", rewrap: "annotation" });
    const plain = s3Blobs(place, { mode: "aws" });
    await storeOf(plain).put("a", noise(1000));
    const before = without.objectBytes("blobs", "a")?.slice() ?? new Uint8Array(0);
    const opened = await refusal(() => storeOf(backing, keyringOf("new", "old")).rewrap("a"));
    expect(opened.code).toMatch(/^(provider-failure|malformed-envelope)$/);
    expectSameBytes(without.objectBytes("blobs", "a") ?? new Uint8Array(0), before);
    const blob = await plain.open("a", 10);
    const write = { header: noise(100), blobEtag: blob?.etag ?? "" };
    const { annotations } = await import("../../src/blobs/s3/annotations.ts");
    const { fetchCalls } = await import("../../src/blobs/s3/fetch-calls.ts");
    const { S3Place } = await import("../../src/blobs/s3/signing.ts");
    const calls = fetchCalls({ fetch, clock: systemClock, silenceMs: 10_000 }, new S3Place(place).signer(), "blobs");
    expect(await refusal(() => annotations(calls).write("a", write, undefined))).toMatchObject({ code: "provider-failure" });
    expectSameBytes(without.objectBytes("blobs", "a") ?? new Uint8Array(0), before);
  });

  test("are refused where the configuration does not say AWS", async () => {
    for (const mode of ["r2", "minio", "no-conditions"] as const) {
      expect(await refusal(() => openS3(mode, { rewrap: "annotation" }))).toMatchObject({ code: "invalid-argument" });
    }
  });
});

describe("a ledger", () => {
  test("finds the blobs of a key, also after a rewrap that was cut short", async () => {
    const ledger = new TableLedger();
    const backing = openS3("aws");
    const prefix = newName();
    const of = (...keys: [string, ...string[]]) =>
      encryptedStore(keyringOf(...keys), backing, { context: (name) => ({ object: name }), ledger, clock: hurried });
    for (const end of ["a", "b", "c"]) await of("old").put(`${prefix}/${end}`, noise(10));
    await of("new", "old").rewrap(`${prefix}/b`);
    aws.failNext("AccessDenied", /^PUT .*envelock-header /);
    expect(await refusal(() => of("new", "old").rewrap(`${prefix}/c`))).toMatchObject({ code: "access-denied" });
    const found = async (keyId: string): Promise<readonly string[]> => {
      const names: string[] = [];
      for await (const name of of("new", "old").findStale({ wrappedBy: { provider: "local", keyId } }))
        names.push(name.slice(prefix.length));
      return names.sort();
    };
    expect([await found("old"), await found("new")]).toEqual([["/a", "/c"], ["/b"]]);
    for await (const { outcome } of rewrapStale(of("new", "old"), { prefix })) expect(outcome).toBe("rewrapped");
    expect([await found("old"), await found("new")]).toEqual([[], ["/a", "/b", "/c"]]);
  });
});

describe("a table of the application", () => {
  test("takes the headers, and its failures are typed", async () => {
    const table = memoryOverlays();
    const [backing, name] = [openS3("aws", { rewrap: table }), newName()];
    await storeOf(backing).put(name, noise(100));
    expect(await storeOf(backing, keyringOf("new", "old")).rewrap(name)).toBe("rewrapped");
    expect((await table.read(name))?.blobEtag).toMatch(/^"[0-9a-f]+"$/);
    expectSameBytes(await wholeOf(storeOf(backing, keyringOf("new")), name), noise(100));
    await storeOf(backing).delete(name);
    expect(await table.read(name)).toBeUndefined();
    const broken = openS3("aws", { rewrap: { ...table, read: () => Promise.reject(new Error("connection lost")) } });
    expect(await refusal(() => storeOf(broken).get(name))).toMatchObject({ code: "unavailable" });
    for (const row of [{}, { header: "text", version: "1" }, { header: noise(10), version: 1 }, 5]) {
      const odd = openS3("aws", { rewrap: { ...table, read: async () => untyped(row) } });
      expect(await refusal(() => storeOf(odd).get(name))).toMatchObject({ code: "provider-failure" });
    }
  });
});

describe("requests", () => {
  test("a small blob is one request to put and two at once to open, a range one more", async () => {
    const [store, name] = [storeOf(openS3("aws")), newName()];
    const methods = (): readonly string[] => aws.takeRequests().flatMap(({ method, path }) => (path.includes(name) ? [method] : []));
    await store.put(name, noise(1000));
    expect(methods()).toEqual(["PUT"]);
    await store.put(`${name}-2`, inPieces(noise(5 * MIB), MIB));
    methods();
    const blob = await store.get(`${name}-2`);
    expectSameBytes(await blob.read(2 * MIB, 3 * MIB), noise(5 * MIB).subarray(2 * MIB, 3 * MIB));
    expect(methods()).toEqual(["GET", "GET", "GET"]);
  });

  test("part 1 below 5 MiB and unequal parts: no blob has them, also on R2 and after a rewrap in place", async () => {
    for (const mode of ["aws", "r2"] as const) {
      const [backing, name] = [openS3(mode, { rewrap: "in-place" }), newName()];
      const sent = (): readonly number[] =>
        emulators[mode]
          .takeRequests()
          .flatMap(({ operation, key, receivedBytes }) => (operation === "UploadPart" && key === name ? [receivedBytes] : []));
      await storeOf(backing).put(name, inPieces(noise(25 * MIB), MIB));
      const [last = 0, ...others] = sent().toSorted((one, other) => one - other);
      expect([others, last < 2 * MIB]).toEqual([[8 * MIB, 8 * MIB, 8 * MIB], true]);
      expect(await storeOf(backing, keyringOf("a longer name for the new key", "old")).rewrap(name)).toBe("rewrapped");
      expect(sent()).toEqual([mode === "r2" ? 8 * MIB : 5 * MIB]); // the others are copied
      expectSameBytes(await wholeOf(storeOf(backing, keyringOf("a longer name for the new key")), name), noise(25 * MIB));
    }
  });

  test("names that URLs and XML escape come back from a list", async () => {
    const [store, prefix] = [storeOf(openS3("aws")), newName()];
    const names = ["a b+c%20&<d>'(e)*!", "ä/日本/🦀", "~x=1?y#z"].map((end) => `${prefix}/${end}`);
    for (const name of names) await store.put(name, noise(10));
    const listed: string[] = [];
    for await (const { name } of store.list({ prefix })) listed.push(name);
    expect(listed.sort()).toEqual([...names].sort());
    for (const name of names) expectSameBytes(await wholeOf(store, name), noise(10));
  });

  test("objects with names that no blob has are not listed, and not opened", async () => {
    const [backing, prefix] = [openS3("aws"), newName()];
    for (const Key of [`${prefix}/`, `${prefix}/../up`, `${prefix}/a\\b`, `${prefix}/x${END}`]) {
      await client.send(new sdk.PutObjectCommand({ Bucket: "blobs", Key, Body: "x" }));
    }
    await storeOf(backing).put(`${prefix}/z`, noise(10));
    expect((await backing.list({ prefix, limit: 2 })).map(({ name }) => name)).toEqual([`${prefix}/z`]);
    expect(await refusal(() => backing.open(`${prefix}/../up`, 1))).toMatchObject({ code: "invalid-argument" });
  });
});

describe("options", () => {
  test("each mode is named, each unknown one refused, and what a mode lacks is said", async () => {
    const place = signedBy("aws");
    for (const mode of [undefined, null, "AWS", "ceph", "constructor", 5]) {
      expect(await refusal(() => s3Blobs(place, untyped({ mode })))).toMatchObject({ code: "invalid-argument" });
    }
    const odd = [{ rewrap: "tags" }, { rewrap: {} }, { rewrap: null }, { lock: 5 }, { storageClass: "WARM" }, { modes: "aws" }];
    for (const options of odd)
      expect((await refusal(() => s3Blobs(place, untyped({ mode: "aws", ...options })))).code).toBe("invalid-argument");
    expect((await refusal(() => s3Blobs(place, { mode: "no-conditions" }))).code).toBe("invalid-argument");
    expect((await refusal(() => s3Blobs(place, { mode: "no-conditions", rewrap: "in-place", lock: inTurn }))).code).toBe(
      "invalid-argument",
    );
    for (const mode of ["r2", "minio"] as const) {
      const [backing, name] = [s3Blobs(signedBy(mode), { mode }), newName()];
      const { etag } = await storeOf(backing).put(name, noise(10));
      const error = await refusal(() => storeOf(backing).delete(name, { ifMatch: etag }));
      expect(error).toMatchObject({ code: "invalid-argument", message: expect.stringContaining("no conditional delete") });
      expect(await storeOf(backing).delete(name)).toBe(true);
    }
  });

  test("a bucket is https, with a region and credentials", async () => {
    const place = signedBy("aws");
    const odd = [
      { url: "http://acme.s3.amazonaws.com" },
      { url: "https://user:secret@acme.s3.amazonaws.com" },
      { url: "https://acme.s3.amazonaws.com?x=1" },
      { url: 5 },
      { region: "EU Central" },
      { credentials: {} },
      { credentials: null },
      { credentials: { accessKeyId: "a", secretAccessKey: "line\nbreak" } },
      { bucket: "blobs" },
    ];
    for (const change of odd)
      expect((await refusal(() => s3Blobs(untyped({ ...place, ...change }), { mode: "aws" }))).code).toBe("invalid-argument");
    const lacking = [{ client: {} }, { commands: {} }, { bucket: "" }];
    const whole = { client, commands: sdk, bucket: "blobs" };
    for (const change of lacking)
      expect((await refusal(() => s3Blobs(untyped({ ...whole, ...change }), { mode: "aws" }))).code).toBe("invalid-argument");
    const failing = s3Blobs({ ...place, credentials: () => Promise.reject(new Error("no role")) }, { mode: "aws" });
    expect(await refusal(() => failing.open("a", 1))).toMatchObject({ code: "access-denied", detail: "credential" });
    const busy = { code: "rate-limited", message: "the login is busy" } as const;
    const login = s3Blobs({ ...place, credentials: () => Promise.reject(new EnvelockError(busy.code, busy.message)) }, { mode: "aws" });
    expect(await refusal(() => login.open("a", 1))).toMatchObject({ ...busy, retryable: true }); // the login's own words, and its code
    const wrong = s3Blobs({ ...place, region: "eu-west-9" }, { mode: "aws" });
    expect(await refusal(() => wrong.open("a", 1))).toMatchObject({ code: "invalid-argument", hint: expect.stringContaining("region") });
  });

  test("a lock that fails, or does not run its work, is said", async () => {
    const failing = openS3("no-conditions", { lock: () => Promise.reject(new Error("no connection")) });
    expect(await refusal(() => storeOf(failing).put(newName(), noise(1)))).toMatchObject({ code: "unavailable" });
    const idle = openS3("no-conditions", { lock: async () => untyped(undefined) });
    expect(await refusal(() => storeOf(idle).put(newName(), noise(1)))).toMatchObject({ code: "provider-failure" });
  });
});

describe("s3Presigner", () => {
  const { url, region, credentials } = signedBy("aws");

  test("signs what a store asks for, as far as it is allowed", async () => {
    const asked: string[] = [];
    const presign = s3Presigner({
      url,
      region,
      credentials,
      allow: (operation, name) => asked.push(`${operation} ${name}`) > 0 && operation !== "delete",
    });
    const backing = s3Blobs({ presign }, { mode: "aws" });
    const name = newName();
    await storeOf(backing).put(name, noise(9 * MIB));
    await storeOf(backing, keyringOf("new", "old")).rewrap(name);
    expectSameBytes(await wholeOf(storeOf(backing, keyringOf("new")), name), noise(9 * MIB));
    expect([...new Set(asked)].sort()).toEqual([`read ${name}`, `write ${name}`]);
    expect(await refusal(() => storeOf(backing).delete(name))).toMatchObject({ code: "access-denied" });
  });

  test("leaves the storage class to the server", async () => {
    const presign = s3Presigner({ url, region, credentials, allow: () => true });
    const error = await refusal(() => s3Blobs({ presign }, { mode: "aws", storageClass: "GLACIER" }));
    expect(error).toMatchObject({ code: "invalid-argument", hint: expect.stringContaining("the server decides") });
  });

  test("refuses every request that no store makes", async () => {
    const presign = s3Presigner({ url, region, credentials, allow: () => true });
    const put = { method: "PUT", name: "a", query: {}, headers: {} };
    const odd = [
      null,
      "PUT",
      { ...put, method: "PATCH" },
      { ...put, method: "constructor" },
      { ...put, name: "../a" },
      { ...put, name: "" },
      { ...put, name: undefined },
      { ...put, name: `${END}` },
      { ...put, name: `a${END}${END}` },
      { ...put, query: { acl: "" } },
      { ...put, method: "GET", query: { tagging: "" } },
      { ...put, query: { policy: "" }, name: undefined },
      { ...put, query: null },
      { ...put, headers: { "x-amz-acl": "public-read" } },
      { ...put, headers: { "x-amz-storage-class": "GLACIER" } },
      { ...put, headers: { "x-amz-copy-source": "/other/secret" } },
      { ...put, headers: { "x-amz-meta-a\r\nx-amz-acl": "public-read" } },
      { ...put, headers: { "if-match": 5 } },
      { ...put, extra: 1 },
      { method: "POST", query: { delete: "" }, headers: {} },
    ];
    for (const request of odd)
      expect((await refusal(() => presign(untyped(request)))).code, JSON.stringify(request)).toBe("invalid-argument");
    const never = s3Presigner({ url, region, credentials, allow: () => untyped("yes") });
    expect(await refusal(() => never(untyped(put)))).toMatchObject({ code: "access-denied" });
    for (const change of [{ allow: 5 }, { expiresSeconds: 0 }, { expiresSeconds: 700_000 }, { method: 1 }]) {
      expect((await refusal(() => s3Presigner(untyped({ url, region, credentials, allow: () => true, ...change })))).code).toBe(
        "invalid-argument",
      );
    }
  });
});
