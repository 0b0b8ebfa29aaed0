import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { azureBlobs } from "../../src/blobs/azure/index.ts";
import { fileBlobs } from "../../src/blobs/files/index.ts";
import { rewrapStale, sealUpload } from "../../src/blobs/index.ts";
import { refusalCode } from "../support/refusal.ts";
import { revoked, untyped } from "../support/untyped.ts";
import { storeOf } from "./set-up.ts";

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
    await refused([null, {}, revoked()], (tap) => store.put("b", new Uint8Array(1), { tap }));
    await refused(NO_TEXT, (ifMatch) => store.delete("a", { ifMatch }));
    await refused(NO_TEXT, (prefix) => store.list({ prefix }).next());
    await refused(NO_TEXT, (after) => store.findStale({ after }).next());
    await refused([null, 5, {}, { provider: "local" }, revoked()], (wrappedBy) => store.findStale({ wrappedBy }).next());
    await refused([null, "some", Symbol("x"), revoked()], (extent) => store.verify("a", extent));
    await refused(NO_TEXT, (disposition) => store.httpHandler({ name: () => "a", disposition }));
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
