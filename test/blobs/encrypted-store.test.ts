import { Readable } from "node:stream";
import { describe, expect, test } from "vitest";
import { type BlobOverlays, type BlobProgress, encryptedStore, memoryBlobs, overlaidBlobs } from "../../src/blobs/index.ts";
import { CHUNK_BYTES } from "../../src/core/contracts/suite.ts";
import { inspect } from "../../src/core/keyring/inspect.ts";
import { Keyring } from "../../src/core/keyring/keyring.ts";
import { noise } from "../support/arbitraries.ts";
import { expectSameBytes } from "../support/bytes.ts";
import { kek } from "../support/keks.ts";
import { refusal, refusalCode } from "../support/refusal.ts";
import { untyped } from "../support/untyped.ts";
import { memoryOverlays } from "./overlay-table.ts";
import { collected, inPieces, KEY_CONTEXT, keyringOf, storedBytesOf, storeOf, wholeOf } from "./set-up.ts";

const SMALL = { bytes: 70_000, leastBytes: 1, mostBytes: 200_000 };

describe("put and get", () => {
  test.each([0, 1, 100, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 300_001, 2 ** 20])("%i bytes come back", async (length) => {
    const backing = memoryBlobs({ blocks: SMALL });
    const store = storeOf(backing);
    const bytes = noise(length);
    const { plaintextBytes, storedBytes } = await store.put("a/b", inPieces(bytes, 10_007));
    expect(plaintextBytes).toBe(length);
    expectSameBytes(await wholeOf(store, "a/b"), bytes);
    const envelope = await storedBytesOf(backing, "a/b");
    expect(envelope.length).toBe(storedBytes);
    expectSameBytes(await keyringOf("old").decrypt(envelope, { context: { object: "a/b" } }), bytes);
  });

  test("every kind of source is the same blob", async () => {
    const bytes = noise(50_000);
    const sources = [
      bytes,
      new Blob([bytes]),
      new Blob([bytes]).stream(),
      Readable.from([bytes.subarray(0, 7), bytes.subarray(7)]),
      [bytes],
      Buffer.from(bytes),
    ];
    for (const [at, source] of sources.entries()) {
      const store = storeOf();
      await store.put(`${at}`, source);
      expectSameBytes(await wholeOf(store, `${at}`), bytes);
    }
  });

  test("header cut with sizes 0 and 1: the first block is the header alone", async () => {
    for (const length of [0, 1]) {
      const blocks: number[] = [];
      const backing = memoryBlobs();
      const store = storeOf({
        ...backing,
        async create(name, content, options) {
          const upload = await backing.create(name, content, options);
          return {
            ...upload,
            put(index, bytes, call) {
              blocks[index] = bytes.length;
              return upload.put(index, bytes, call);
            },
          };
        },
      });
      await store.put("x", noise(length));
      const envelope = await storedBytesOf(backing, "x");
      expect(blocks).toEqual([inspectedHeaderBytes(envelope), 24 + 32 + length + 16]);
    }
  });

  test("parts are read, verified and cut at the end", async () => {
    const store = storeOf(memoryBlobs({ blocks: SMALL }));
    const bytes = noise(200_000);
    await store.put("x", bytes);
    const blob = await store.get("x");
    for (const [start, end] of [
      [0, 10],
      [16_380, 16_390],
      [100_000, 150_000],
      [199_999, 300_000],
      [250_000, 300_000],
    ] as const) {
      expectSameBytes(await blob.read(start, end), bytes.subarray(start, end));
      expectSameBytes(await collected(blob, start, end), bytes.subarray(start, end));
    }
    expect(await blob.size()).toBe(200_000);
    blob.close();
    expect(await refusalCode(() => blob.read(0, 1))).toBe("closed");
  });

  test("opening and one range are two requests, and little more than was asked for", async () => {
    const backing = memoryBlobs();
    const asked: number[] = [];
    await storeOf(backing).put("x", noise(5 * 2 ** 20));
    const counting = storeOf({
      ...backing,
      async open(name, firstBytes, options) {
        asked.push(firstBytes);
        const blob = await backing.open(name, firstBytes, options);
        return (
          blob && {
            ...blob,
            read(start, end, call) {
              asked.push(end - start);
              return blob.read(start, end, call);
            },
          }
        );
      },
    });
    for (const start of [2 * 2 ** 20, 2 * 2 ** 20 + 8191]) {
      asked.length = 0;
      const blob = await counting.get("x");
      await blob.read(start, start + 2 ** 20);
      expect(asked.length).toBe(2);
      expect(asked.reduce((sum, bytes) => sum + bytes)).toBeLessThanOrEqual(2 ** 20 + 33 * 1024);
      blob.close();
    }
  });

  test("blobs open under their own name alone", async () => {
    const backing = memoryBlobs();
    await storeOf(backing).put("mine", noise(10));
    const swapped = storeOf({ ...backing, open: (_name, bytes, options) => backing.open("mine", bytes, options) });
    expect(await refusalCode(() => swapped.get("yours"))).toBe("authentication-failed");
  });

  test("a name is created once, and replaced only on demand", async () => {
    const store = storeOf();
    const { etag } = await store.put("x", noise(10));
    expect(await refusal(() => store.put("x", noise(11)))).toMatchObject({ code: "invalid-argument", detail: "blob-exists" });
    await store.put("x", noise(12), { ifMatch: etag });
    expect(await refusal(() => store.put("x", noise(13), { ifMatch: etag }))).toMatchObject({ detail: "blob-changed" });
    expectSameBytes(await wholeOf(store, "x"), noise(12));
    await store.put("x", noise(14), { replace: true });
    expectSameBytes(await wholeOf(store, "x"), noise(14));
    expect(await refusalCode(() => store.put("x", noise(1), { replace: true, ifMatch: etag }))).toBe("invalid-argument");
  });

  test("what is not there is missing, and delete says what it did", async () => {
    const store = storeOf();
    for (const call of [() => store.get("x"), () => store.rewrap("x"), () => store.verify("x")]) {
      expect(await refusal(call)).toMatchObject({ code: "invalid-argument", detail: "blob-missing" });
    }
    expect(await store.delete("x")).toBe(false);
    const { etag } = await store.put("x", noise(10));
    expect(await store.delete("x", { ifMatch: '"other"' })).toBe(false);
    expect(await store.delete("x", { ifMatch: etag })).toBe(true);
  });

  test.each<readonly [string, () => unknown]>([
    ["nothing", () => undefined],
    ["null", () => null],
    ["a promise", async (): Promise<object> => ({ object: "x" })],
    ["a Map", () => new Map([["object", "x"]])],
    ["text", () => "x"],
    ["a number in it", () => ({ object: 7 })],
  ])("a context that is %s is refused: it would bind the blob to none", async (_what, context) => {
    const store = encryptedStore(keyringOf("old"), memoryBlobs(), { context: untyped(context) });
    for (const call of [() => store.put("x", noise(1)), () => store.get("x"), () => store.verify("x")])
      expect(await refusalCode(call)).toBe("invalid-argument");
  });

  test("what a context function throws is thrown, and nothing is stored", async () => {
    const backing = memoryBlobs();
    const failure = new Error("no such tenant");
    const context = (): never => {
      throw failure;
    };
    const store = encryptedStore(keyringOf("old"), backing, { context });
    await expect(store.put("x", noise(1))).rejects.toBe(failure);
    await expect(store.get("x")).rejects.toBe(failure);
    expect(await backing.open("x", 1)).toBeUndefined();
  });

  test("options are read when the method is called, and unknown ones are refused", async () => {
    const store = storeOf();
    const bytes = noise(10);
    const options = { expectedBytes: 10, describe: { name: "a" } };
    const pending = store.put("x", inPieces(bytes, 3), options);
    options.expectedBytes = 99;
    options.describe.name = "b";
    expect((await pending).plaintextBytes).toBe(10);
    expect((await store.get("x")).description).toEqual({ name: "a" });
    for (const call of [
      () => store.put("y", bytes, untypedly({ tags: 1 })),
      () => store.get("x", untypedly({ tags: 1 })),
      () => store.list(untypedly({ tags: 1 })),
      () => store.findStale(untypedly({ tags: 1 })),
      () => store.rewrap("x", untypedly({ tags: 1 })),
      () => store.delete("x", untypedly({ tags: 1 })),
      () => store.verify("x", "ends", untypedly({ tags: 1 })),
    ]) {
      expect(await refusal(call)).toMatchObject({ code: "invalid-argument", message: expect.stringContaining("`tags`") });
    }
  });

  test.each([
    "",
    "/a",
    "a/",
    "a//b",
    "a/../b",
    ".",
    "a\\b",
    "a\nb",
    "x".repeat(1001),
    "\ud800",
    "a.envelock-header",
  ])("the name %j is refused", async (name) => {
    const store = storeOf();
    expect(await refusalCode(() => store.put(name, noise(1)))).toBe("invalid-argument");
    expect(await refusalCode(() => store.get(name))).toBe("invalid-argument");
  });

  test("progress tells bytes, the total and a rate", async () => {
    const store = storeOf(memoryBlobs({ blocks: SMALL }));
    const up: BlobProgress[] = [];
    const bytes = noise(300_000);
    const { storedBytes } = await store.put("x", bytes, { onProgress: (progress) => up.push(progress) });
    expect(up.at(-1)).toMatchObject({ bytes: storedBytes, totalBytes: storedBytes });
    expect(up.length).toBeGreaterThan(4);
    const down: BlobProgress[] = [];
    const blob = await store.get("x");
    await new Response(blob.stream(0, undefined, { onProgress: (progress) => down.push(progress) })).arrayBuffer();
    expect(down.at(-1)).toMatchObject({ bytes: 300_000, totalBytes: 300_000 });
    expect(down.at(-1)?.bytesPerSecond).toBeGreaterThan(0);
  });
});

describe("descriptions", () => {
  test("come back, and no store sees them", async () => {
    const backing = memoryBlobs();
    const store = storeOf(backing);
    const describe = { name: "Übersicht „7“.pdf", type: "application/pdf", compressed: "gzip" };
    await store.put("x", noise(10), { describe });
    const blob = await store.get("x");
    expect(blob.description).toEqual(describe);
    const metadata = (await backing.open("x", 1))?.metadata ?? {};
    for (const value of Object.values(metadata)) expect(value).toMatch(/^[\x21-\x7e]+$/); // non-ASCII metadata
    expect(JSON.stringify(metadata)).not.toContain("pdf");
  });

  test("of another blob count for nothing, and changed ones are refused", async () => {
    const backing = memoryBlobs();
    const store = storeOf(backing);
    await store.put("x", noise(10), { describe: { name: "x" } });
    await store.put("y", noise(10), { describe: { name: "y" } });
    const tokenOf = async (name: string): Promise<string> => {
      const { envelock_about: token = "" } = (await backing.open(name, 1))?.metadata ?? {};
      return token;
    };
    const withToken = (token: string) =>
      storeOf({
        ...backing,
        async open(name, bytes, options) {
          const blob = await backing.open(name, bytes, options);
          return blob && { ...blob, metadata: { envelock_about: token } };
        },
      });
    expect((await withToken(await tokenOf("y")).get("x")).description).toBeUndefined();
    const token = await tokenOf("x");
    const changed = `${token.slice(0, -5)}${token.at(-5) === "A" ? "B" : "A"}${token.slice(-4)}`;
    const blob = await withToken(changed).get("x");
    expect(await refusalCode(() => blob.description)).toBe("authentication-failed");
    expectSameBytes(await blob.read(0, 10), noise(10));
  });
});

describe("rewrap", () => {
  test.each(["block", "overlay", "copy"] as const)("%s: moves to new keys, and the body stays", async (header) => {
    const backing = memoryBlobs({ header, blocks: SMALL });
    const bytes = noise(150_000);
    await storeOf(backing).put("x", bytes, { describe: { name: "x" } });
    const before = await storedBytesOf(backing, "x");
    const mover = storeOf(backing, keyringOf("new", "old"));
    expect(await mover.rewrap("x")).toBe("rewrapped");
    expect(await mover.rewrap("x")).toBe("current");
    const after = storeOf(backing, keyringOf("new"));
    expectSameBytes(await wholeOf(after, "x"), bytes);
    expect((await after.get("x")).description).toEqual({ name: "x" });
    const now = await storedBytesOf(backing, "x");
    const body = (envelope: Uint8Array): Uint8Array => envelope.subarray(inspectedHeaderBytes(envelope));
    expectSameBytes(body(now), body(before));
    if (header === "overlay") expectSameBytes(now, before);
  });

  test.each(["block", "overlay", "copy"] as const)("%s: rewrap during a download", async (header) => {
    const backing = memoryBlobs({ header, blocks: SMALL });
    const bytes = noise(3_000_000);
    await storeOf(backing).put("x", bytes);
    const wide = new Keyring({ wrapWith: [kek("new"), kek("other"), kek("third")], unwrapWith: [kek("old")], context: KEY_CONTEXT });
    const blob = await storeOf(backing).get("x");
    const { contentTag } = blob;
    const reader = blob.stream().getReader();
    const parts: Uint8Array[] = [];
    for (let at = 0; ; at++) {
      if (at === 1) expect(await storeOf(backing, wide).rewrap("x")).toBe("rewrapped");
      const { done, value } = await reader.read();
      if (done) break;
      parts.push(value);
    }
    expectSameBytes(Buffer.concat(parts), bytes);
    expect(blob.contentTag).toBe(contentTag);
    expect((await storeOf(backing, keyringOf("x", "third")).get("x")).contentTag).toBe(contentTag);
  });

  test("replaced between reads is source-changed, and not broken data", async () => {
    const backing = memoryBlobs({ blocks: SMALL });
    const store = storeOf(backing);
    await store.put("x", noise(500_000));
    const blob = await store.get("x");
    await blob.read(0, 100_000);
    await store.put("x", noise(500_000, "other"), { replace: true });
    expect(await refusal(() => blob.read(100_000, 200_000))).toMatchObject({ code: "malformed-envelope", detail: "source-changed" });
    await store.delete("x");
    expect(await refusal(() => blob.read(100_000, 200_000))).toMatchObject({ detail: "source-changed" });
  });

  test("second look: an overlay of a blob that was replaced while it was written is no success, and counts for nothing", async () => {
    for (const times of [1, 2]) {
      const backing = memoryBlobs({ header: "overlay" });
      const table = memoryOverlays();
      const old = storeOf(backing);
      await old.put("x", noise(10));
      let left = times;
      const late: BlobOverlays = {
        ...table,
        async write(...call) {
          const isWritten = await table.write(...call);
          if (left-- > 0) await old.put("x", noise(20 + left), { replace: true });
          return isWritten;
        },
      };
      const mover = storeOf(overlaidBlobs(backing, late), keyringOf("new", "old"));
      expect(await mover.rewrap("x")).toBe(times === 1 ? "rewrapped" : "changed");
      const own = storeOf(overlaidBlobs(backing, table), keyringOf(times === 1 ? "new" : "old"));
      expectSameBytes(await wholeOf(own, "x"), noise(20)); // the overlay wins only over the blob that it was written for
    }
  });

  test("overlay with a foreign keyCommit", async () => {
    const backing = memoryBlobs({ header: "overlay" });
    const store = storeOf(backing);
    await store.put("x", noise(10));
    await store.put("y", noise(20));
    const foreign = (await storedBytesOf(backing, "y")).slice(0, inspectedHeaderBytes(await storedBytesOf(backing, "y")));
    const planted = (blobEtag?: string) =>
      storeOf({
        ...backing,
        async open(name, bytes, options) {
          const blob = await backing.open(name, bytes, options);
          return blob && { ...blob, overlay: { header: foreign, ...(blobEtag !== undefined && { blobEtag }) } };
        },
      });
    expect(await refusal(() => planted().get("x"))).toMatchObject({ code: "malformed-envelope", detail: "overlay-foreign" });
    const own = (await backing.open("x", 1))?.etag;
    expect(await refusal(() => planted(own).get("x"))).toMatchObject({ detail: "overlay-foreign" });
    expectSameBytes(await (await planted('"of a version before"').get("x")).read(0, 10), noise(10)); // left behind by a replaced blob
  });
});

describe("verify", () => {
  test("finds what was cut, at its ends or anywhere", async () => {
    const backing = memoryBlobs({ blocks: SMALL });
    const store = storeOf(backing);
    await store.put("x", noise(100_000));
    expect(await store.verify("x")).toMatchObject({ plaintextBytes: 100_000 });
    expect(await store.verify("x", "all")).toMatchObject({ plaintextBytes: 100_000 });
    const bytes = await storedBytesOf(backing, "x");
    const changed = async (change: (bytes: Uint8Array) => Uint8Array): Promise<void> => {
      const upload = await backing.create("x", { metadata: {}, keys: [] });
      await upload.put(0, change(bytes.slice()));
      await upload.commit({ always: true });
    };
    await changed((all) => all.subarray(0, -20));
    expect(await refusalCode(() => store.verify("x"))).toBe("authentication-failed");
    await changed((all) => {
      all[60_000] = (all[60_000] ?? 0) ^ 1;
      return all;
    });
    expect((await store.verify("x")).plaintextBytes).toBe(100_000);
    expect(await refusalCode(() => store.verify("x", "all"))).toBe("authentication-failed");
  });
});

function inspectedHeaderBytes(envelope: Uint8Array): number {
  const seen = inspect(envelope);
  return seen.kind === "envelope" ? seen.headerBytes : 0;
}

function untypedly(options: object): object {
  return options;
}
