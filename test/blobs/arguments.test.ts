import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { azureBlobs } from "../../src/blobs/azure/index.ts";
import { faultyBlobs } from "../../src/blobs/conformance/index.ts";
import { fileBlobs } from "../../src/blobs/files/index.ts";
import { encryptedStore, memoryBlobs, multerStorage, overlaidBlobs, rewrapStale, sealUpload, tusSource } from "../../src/blobs/index.ts";
import { s3Blobs, s3Presigner } from "../../src/blobs/s3/index.ts";
import { httpRangeHandler } from "../../src/core/stream/range-handler.ts";
import { migratingReader, reencryptObjects } from "../../src/foreign/azure-storage/index.ts";
import { refusalCode } from "../support/refusal.ts";
import { revoked, untyped } from "../support/untyped.ts";
import { keyringOf, storeOf } from "./set-up.ts";

const NO_NUMBER: readonly unknown[] = [null, -1, "5", Symbol("x"), 10n, Object.create(null), revoked()];
const NO_TEXT: readonly unknown[] = [null, 5, Symbol("x"), Object.create(null), revoked()];

describe("blobs of a caller without types refuse", () => {
  const store = storeOf();
  beforeAll(async () => void (await store.put("a", new Uint8Array(10))));

  const refused = async (values: readonly unknown[], work: (value: never) => unknown): Promise<void> => {
    for (const value of values) expect(await refusalCode(() => work(untyped(value))), typeof value).toBe("invalid-argument");
  };

  test("numbers of bytes that are none", async () => {
    await refused(NO_NUMBER, (expectedBytes) => store.put("b", new Uint8Array(1), { expectedBytes }));
    await refused(NO_NUMBER, (maxBytes) => sealUpload(new Uint8Array(1), { maxBytes }));
    await refused(NO_NUMBER, (inFlight) => rewrapStale(store, { inFlight }));
  });

  test("ranges that are none", async () => {
    const blob = await store.get("a");
    await refused(NO_NUMBER, (start) => blob.read(start, 10));
    await refused(NO_NUMBER, (end) => blob.stream(0, end));
    await refused([null, 5, revoked()], (options) => blob.stream(0, 1, options));
    blob.close();
  });

  test("conditions, searches and extents that are none", async () => {
    await refused(NO_TEXT, (ifMatch) => store.put("b", new Uint8Array(1), { ifMatch }));
    await refused([null, "no", 1, revoked()], (replace) => store.put("b", new Uint8Array(1), { replace }));
    await refused([null, {}, { onPiece() {}, onEnd: 5 }, revoked()], (tap) => store.put("b", new Uint8Array(1), { tap }));
    await refused([null, 5, "no", revoked()], (onProgress) => store.put("b", new Uint8Array(1), { onProgress }));
    await refused(NO_TEXT, (ifMatch) => store.delete("a", { ifMatch }));
    await refused(NO_TEXT, (prefix) => store.list({ prefix }).next());
    await refused(NO_TEXT, (after) => store.findStale({ after }).next());
    await refused([null, 5, {}, { provider: "local" }, revoked()], (wrappedBy) => store.findStale({ wrappedBy }).next());
    await refused([null, "some", Symbol("x"), revoked()], (extent) => store.verify("a", extent));
    await refused(NO_TEXT, (disposition) => store.httpHandler({ name: () => "a", disposition }));
  });

  test("sources that only look like one", async () => {
    const looks = [{ getReader: 5 }, { [Symbol.asyncIterator]: 5 }, { [Symbol.iterator]: "no" }];
    await refused([null, 5, "text", Symbol("x"), revoked(), ...looks], (source) => store.put("b", source));
  });

  test("a URL that is no text", async () => {
    await refused(NO_TEXT, (url) => azureBlobs({ url, sas: "sp=r&sig=x" }));
  });
});

describe("a folder of blobs", () => {
  let root: string;
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), "envelock-names-"));
    await mkdir(join(root, "blobs"));
    await writeFile(join(root, "outside"), "not a blob");
  });
  afterAll(() => rm(root, { recursive: true }));

  test.each(["../outside", "a/../../outside", "..", "/outside", "a\\b", "a\u0000b"])("is not left by the name %j", async (name) => {
    const store = fileBlobs(join(root, "blobs"));
    expect(await refusalCode(() => store.open(name, 100))).toBe("invalid-argument");
    expect(await refusalCode(() => store.delete(name))).toBe("invalid-argument");
    expect(await refusalCode(() => store.create(name, { metadata: {}, keys: [] }))).toBe("invalid-argument");
  });
});

test("rewrapStale refuses what is no store, and a folder bad options of delete", async () => {
  for (const store of [null, 5, {}]) expect(await refusalCode(() => rewrapStale(untyped(store)))).toBe("invalid-argument");
  const store = fileBlobs(join(tmpdir(), "envelock-never-made"));
  expect(await refusalCode(() => store.delete("a", untyped({ ifmatch: "1" })))).toBe("invalid-argument");
  expect(await refusalCode(() => store.open(untyped(Symbol("x")), 1))).toBe("invalid-argument");
});

describe("what stands by itself is refused when it is null, a number or a revoked proxy:", () => {
  const [keyring, context] = [keyringOf("a"), (name: string) => ({ object: name })];
  const store = storeOf();
  const CASES: readonly (readonly [string, (given: never) => unknown])[] = [
    ["the keyring of encryptedStore", (given) => encryptedStore(given, memoryBlobs(), { context })],
    ["the store of encryptedStore", (given) => encryptedStore(keyring, given, { context })],
    ["the options of encryptedStore", (given) => encryptedStore(keyring, memoryBlobs(), given)],
    ["the name of put", (given) => store.put(given, new Uint8Array(1))],
    ["the source of put", (given) => store.put("x", given)],
    ["the options of put", (given) => store.put("x", new Uint8Array(1), given)],
    ["the source of sealUpload", (given) => sealUpload(given)],
    ["the source of tusSource", (given) => tusSource(keyring, given)],
    ["the keyring of tusSource", (given) => tusSource(given, new Uint8Array(1))],
    ["the container of azureBlobs", (given) => azureBlobs(given)],
    ["the bucket of s3Blobs", (given) => s3Blobs(given, { mode: "aws" })],
    ["the options of s3Blobs", (given) => s3Blobs({ presign: () => "" }, given)],
    ["the options of s3Presigner", (given) => s3Presigner(given)],
    [
      "the store of overlaidBlobs",
      (given) => overlaidBlobs(given, { read: async () => undefined, write: async () => true, remove: async () => {} }),
    ],
    ["the place of overlaidBlobs", (given) => overlaidBlobs(memoryBlobs(), given)],
    ["the store of faultyBlobs", (given) => faultyBlobs(given, {})],
    ["the store of rewrapStale", (given) => rewrapStale(given)],
    ["the store of multerStorage", (given) => multerStorage(given, { name: () => "a" })],
    ["the options of httpHandler", (given) => store.httpHandler(given)],
    ["the request of httpHandler", (given) => store.httpHandler({ name: () => "a" })(given)],
    ["the blob of httpRangeHandler", (given) => httpRangeHandler(given)],
    ["the keyring of migratingReader", (given) => migratingReader(given, { recognises: () => true, open: () => untyped(1) })],
    ["the foreign reader of migratingReader", (given) => migratingReader(keyring, given)],
    [
      "the object of migratingReader",
      (given) => migratingReader(keyring, { recognises: (object) => "x" in object, open: () => untyped(1) }).open(given),
    ],
    ["the reader of reencryptObjects", (given) => reencryptObjects(given, [], { put: async () => undefined })],
    ["the objects of reencryptObjects", (given) => reencryptObjects({ open: () => untyped(1) }, given, { put: async () => undefined })],
  ];
  test.each(CASES)("%s", async (_what, call) => {
    for (const value of [null, 5, revoked()]) expect(await refusalCode(() => call(untyped(value)))).toBe("invalid-argument");
  });
});
