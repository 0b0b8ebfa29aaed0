import { Readable } from "node:stream";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { BlockMemory, BlockSizes, blocksOf } from "../../src/blobs/block-cutter.ts";
import { type EncryptedBlob, memoryBlobs } from "../../src/blobs/index.ts";
import { blobHandler } from "../../src/blobs/serve.ts";
import { concatBytes } from "../../src/core/base/bytes.ts";
import { noise } from "../support/arbitraries.ts";
import { expectSameBytes } from "../support/bytes.ts";
import { refusalCode } from "../support/refusal.ts";
import { untyped } from "../support/untyped.ts";
import { keyringOf, storeOf } from "./set-up.ts";

describe("httpHandler", () => {
  const backing = memoryBlobs();
  const store = storeOf(backing);
  const name = (request: Request): string | undefined => new URL(request.url).pathname.slice(1) || undefined;
  const handle = store.httpHandler({ name });
  const ask = (path: string, headers: Record<string, string> = {}, method = "GET"): Promise<Response> =>
    handle(new Request(`http://blobs.example/${path}`, { headers, method }));

  test("serves the whole, ranges, HEAD, and preconditions that outlive a rewrap", async () => {
    const bytes = noise(100_000);
    await store.put("x", bytes, { describe: { name: "Übung (1).pdf", type: "application/pdf" } });
    const whole = await ask("x");
    expect(Object.fromEntries(whole.headers)).toMatchObject({
      "content-type": "application/pdf",
      "content-length": "100000",
      "accept-ranges": "bytes",
      "content-disposition": "attachment; filename*=UTF-8''%C3%9Cbung%20%281%29.pdf",
      "x-content-type-options": "nosniff",
    });
    expectSameBytes(new Uint8Array(await whole.arrayBuffer()), bytes);
    const part = await ask("x", { range: "bytes=-10" });
    expect([part.status, part.headers.get("content-range")]).toEqual([206, "bytes 99990-99999/100000"]);
    expectSameBytes(new Uint8Array(await part.arrayBuffer()), bytes.subarray(-10));
    const head = await ask("x", {}, "HEAD");
    expect([head.status, head.headers.get("content-length"), head.body]).toEqual([200, "100000", null]);
    expect(await storeOf(backing, keyringOf("old", "new")).rewrap("x")).toBe("current");
    expect(await storeOf(backing, keyringOf("new", "old")).rewrap("x")).toBe("rewrapped");
    const moved = storeOf(backing, keyringOf("new")).httpHandler({ name });
    const etag = whole.headers.get("etag") ?? "";
    const same = await moved(new Request("http://blobs.example/x", { headers: { "if-none-match": etag } }));
    expect(same.status).toBe(304);
  });

  test("answers 404, 405 and 416", async () => {
    for (const path of ["nothing", "", "a//b", "a.envelock-header"]) expect((await ask(path)).status).toBe(404);
    await store.put("y", noise(10));
    expect((await ask("y", { range: "bytes=10-" })).status).toBe(416);
    expect((await ask("y", {}, "POST")).status).toBe(405);
  });

  test("refuses bad options", async () => {
    for (const wrong of [{ cache: true }, { contentType: "text/html\r\nset-cookie: a=b" }, { contentType: "" }, { contentType: 5 }]) {
      expect(await refusalCode(() => store.httpHandler(untyped({ name, ...wrong })))).toBe("invalid-argument");
    }
  });

  test.each([
    ["HEAD tells of the whole, whatever range is asked for", "HEAD", { range: "bytes=0-4" }, 200, "1000", null],
    ["a suffix longer than the blob is all of it", "GET", { range: "bytes=-5000" }, 206, "1000", "bytes 0-999/1000"],
    ["an empty suffix is no range of it", "GET", { range: "bytes=-0" }, 416, null, "bytes */1000"],
    ["what begins behind the end is no range of it", "GET", { range: "bytes=1000-1005" }, 416, null, "bytes */1000"],
    ["what ends behind the end is cut", "GET", { range: "bytes=990-5000" }, 206, "10", "bytes 990-999/1000"],
    ["what is no range is the whole", "GET", { range: "bytes=5-2" }, 200, "1000", null],
    ["another unit is the whole", "GET", { range: "chunks=0-1" }, 200, "1000", null],
    ["neighbouring ranges are one", "GET", { range: "bytes=0-4,5-9" }, 206, "10", "bytes 0-9/1000"],
    [
      "seventeen ranges are the whole",
      "GET",
      { range: `bytes=${Array.from({ length: 17 }, (_, at) => `${at * 9}-${at * 9}`)}` },
      200,
      "1000",
      null,
    ],
    ["If-Range of another version is the whole", "GET", { range: "bytes=0-4", "if-range": '"other"' }, 200, "1000", null],
    ["If-Range of a weak tag is the whole", "GET", { range: "bytes=0-4", "if-range": 'W/"tag"' }, 200, "1000", null],
    ["If-None-Match of any version is not modified", "GET", { "if-none-match": "*" }, 304, null, null],
    ["If-Match of another version fails", "GET", { "if-match": '"other"', range: "bytes=0-4" }, 412, null, null],
  ] as const)("%s", async (_what, method, headers, status, length, range) => {
    await store.put("requests", noise(1000), { replace: true });
    const tagged = Object.fromEntries(Object.entries(headers).map(([header, text]) => [header, text]));
    const answer = await ask("requests", tagged, method);
    expect([answer.status, answer.headers.get("content-length"), answer.headers.get("content-range")]).toEqual([status, length, range]);
    expect(answer.headers.get("x-content-type-options")).toBe("nosniff");
    const bytes = new Uint8Array(await answer.arrayBuffer());
    if (method === "HEAD" || status > 299) return expect(bytes.length).toBe(0);
    const [start, end] = range === null ? [0, 999] : (/(\d+)-(\d+)/.exec(range)?.slice(1).map(Number) ?? []);
    expectSameBytes(bytes, noise(1000).subarray(start, (end ?? 0) + 1));
  });

  test.each([
    ["GET", {}],
    ["HEAD", {}],
    ["GET", { range: "bytes=0-" }],
    ["GET", { range: "bytes=-5" }],
    ["GET", { range: "bytes=3-9,20-" }],
    ["GET", { range: "bytes=0-0", "if-range": '"other"' }],
  ] as const)("an empty blob is whole for %s %j", async (method, headers) => {
    await store.put("empty", new Uint8Array(0), { replace: true });
    const answer = await ask("empty", { ...headers }, method);
    expect([answer.status, answer.headers.get("content-length"), answer.headers.get("content-range")]).toEqual([200, "0", null]);
    expect((await answer.arrayBuffer()).byteLength).toBe(0);
  });

  test("several ranges are parts with their own headers, and If-Range of this version lets them", async () => {
    await store.put("parts", noise(100_000), { describe: { type: "video/mp4" } });
    const etag = (await ask("parts", {}, "HEAD")).headers.get("etag") ?? "";
    const answer = await ask("parts", { range: "bytes=0-9,50000-50009,-5", "if-range": etag });
    expect(answer.status).toBe(206);
    const body = Buffer.from(await answer.arrayBuffer());
    expect(body.length).toBe(Number(answer.headers.get("content-length")));
    const boundary = /^multipart\/byteranges; boundary=(\w+)$/.exec(answer.headers.get("content-type") ?? "")?.[1];
    const parts = body.toString("latin1").split(`--${boundary}`).slice(1, -1);
    expect(parts.map((part) => /content-type: (.*)\r\ncontent-range: (.*)\r\n/.exec(part)?.slice(1))).toEqual([
      ["video/mp4", "bytes 0-9/100000"],
      ["video/mp4", "bytes 50000-50009/100000"],
      ["video/mp4", "bytes 99995-99999/100000"],
    ]);
    expect(body.includes(Buffer.from(noise(100_000).subarray(50_000, 50_010)))).toBe(true);
  });

  test.each([
    'a"b.pdf',
    "a\r\nset-cookie: b=c",
    "a;filename=b.exe",
    "a\u0000b",
    "\u202egpj.exe",
    "\u{1f511} na\u00efve.pdf",
    "%0d%0a",
    "../../etc/passwd",
    "a'b(c)*",
  ])("a file name is data in the header: %j", async (fileName) => {
    await store.put("named", noise(1), { describe: { name: fileName }, replace: true });
    const told = (await ask("named")).headers.get("content-disposition") ?? "";
    const [, escaped = ""] = /^attachment; filename\*=UTF-8''([A-Za-z0-9!#$&+.^_`|~%-]+)$/.exec(told) ?? []; // RFC 8187 §3.2.1
    expect(decodeURIComponent(escaped)).toBe(fileName);
  });

  test("a blob is closed when its answer has gone out, was cancelled, or was left by its client", async () => {
    await store.put("closing", noise(3_000_000), { replace: true });
    const opened: EncryptedBlob[] = [];
    const open = async (asked: string): Promise<EncryptedBlob> => {
      const blob = await store.get(asked);
      opened.push(blob);
      return blob;
    };
    const answer = blobHandler(open, { name });
    const url = "http://blobs.example/closing";
    const stop = new AbortController();
    await (await answer(new Request(url))).arrayBuffer();
    await answer(new Request(url, { method: "HEAD" }));
    await answer(new Request(url, { headers: { range: "bytes=9000000-" } }));
    await (await answer(new Request(url))).body?.cancel();
    const begun = (await answer(new Request(url))).body?.getReader();
    await begun?.read();
    await begun?.cancel();
    await answer(new Request(url, { signal: stop.signal })); // never read
    stop.abort();
    expect(opened.length).toBe(6);
    for (const blob of opened) expect(await refusalCode(() => blob.read(0, 1))).toBe("closed");
    await expect(answer(new Request(url, { signal: stop.signal })).then((late) => late.arrayBuffer())).rejects.toThrow();
  });

  test("other methods are answered without a look at the blob", async () => {
    const untouched = blobHandler(() => Promise.reject(new Error("not to be opened")), { name: () => "x" });
    const answer = await untouched(new Request("http://blobs.example/x", { method: "DELETE" }));
    expect([answer.status, answer.headers.get("allow")]).toEqual([405, "GET, HEAD"]);
  });
});

describe("blocks", () => {
  const rules = { ...memoryBlobs().blocks, bytes: 300_000, leastBytes: 1 };

  test("hold the same bytes however the pieces come, and in memory that is used again", async () => {
    const law = fc.asyncProperty(
      fc.array(fc.integer({ min: 0, max: 250_000 }), { maxLength: 12 }),
      fc.option(fc.integer({ min: 1, max: 500 }), { nil: undefined }),
      fc.boolean(),
      async (lengths, headerBytes, isKnown) => {
        const pieces = lengths.map((length, at) => noise(length, at));
        const bytes = concatBytes(...pieces);
        const sizes = new BlockSizes(rules, isKnown ? bytes.length : undefined);
        const memory = new BlockMemory();
        const cut: Uint8Array[] = [];
        for await (const block of blocksOf(Readable.from(pieces), sizes, headerBytes, memory)) {
          cut.push(block.slice());
          block.fill(0xee);
          memory.give(block);
        }
        expectSameBytes(concatBytes(...cut), bytes);
        const others = headerBytes === undefined ? cut : cut.slice(1);
        if (others.length > 0 && headerBytes !== undefined) expect(cut[0]?.length).toBe(headerBytes);
        expect(others.slice(0, -1).every(({ length }) => length === rules.bytes)).toBe(true);
      },
    );
    await fc.assert(law, { numRuns: 50 });
  });

  test("take batches that were made in them as they lie, and copy the others", async () => {
    const law = fc.asyncProperty(
      fc.array(fc.integer({ min: 0, max: 130_000 }), { maxLength: 20 }),
      fc.boolean(),
      async (lengths, isKnown) => {
        const bytes = concatBytes(...lengths.map((length, at) => noise(length, at)));
        const memory = new BlockMemory();
        const batches = async function* (): AsyncGenerator<Uint8Array> {
          for (const [at, length] of lengths.entries()) {
            const batch = at % 3 === 2 ? new Uint8Array(length) : memory.take(length);
            batch.set(noise(length, at));
            yield batch;
          }
        };
        const cut: Uint8Array[] = [];
        for await (const block of blocksOf(batches(), new BlockSizes(rules, isKnown ? bytes.length : undefined), 129, memory)) {
          cut.push(block.slice());
          block.fill(0xee);
          memory.give(block);
        }
        expectSameBytes(concatBytes(...cut), bytes);
      },
    );
    await fc.assert(law, { numRuns: 50 });
    const memory = new BlockMemory();
    const sealed: Uint8Array[] = [];
    const twice = async function* (): AsyncGenerator<Uint8Array> {
      yield noise(129);
      for (const seed of [1, 2]) {
        const batch = memory.take(100_000);
        batch.set(noise(100_000, seed));
        sealed.push(batch);
        yield batch;
      }
    };
    const cut: Uint8Array[] = [];
    for await (const block of blocksOf(twice(), new BlockSizes(rules, 200_129), 129, memory)) cut.push(block);
    expect(sealed.map((batch) => batch.buffer === cut[1]?.buffer)).toEqual([true, true]);
  });

  test("of a small blob take little memory", async () => {
    const taken: number[] = [];
    const memory = new (class extends BlockMemory {
      override begin(bytes: number): Uint8Array<ArrayBuffer> {
        taken.push(bytes);
        return super.begin(bytes);
      }
    })();
    for (const total of [1000, undefined]) {
      for await (const _ of blocksOf(Readable.from([noise(1000)]), new BlockSizes(rules, total), 129, memory));
    }
    expect(Math.max(...taken)).toBeLessThanOrEqual(131_072);
  });
});

describe("block sizes", () => {
  const rules = { ...memoryBlobs().blocks, mostBytes: 4000 * 2 ** 20 };

  test("grow until what a store takes is enough for 35 TiB, and stay equal where they must", () => {
    const sum = (sizes: BlockSizes, blocks: number): number => {
      let bytes = 0;
      for (let at = 0; at < blocks; at++) bytes += sizes.bytesOf(at);
      return bytes;
    };
    expect(sum(new BlockSizes(rules, undefined), 50_000)).toBeGreaterThan(35 * 2 ** 40);
    const known = new BlockSizes(rules, 100 * 2 ** 40);
    expect(known.bytesOf(0) * 49_999).toBeGreaterThanOrEqual(100 * 2 ** 40);
    const equal = new BlockSizes({ ...rules, areEqual: true, mostBlocks: 10_000 }, undefined);
    expect([equal.bytesOf(0), equal.bytesOf(9999)]).toEqual([2 ** 23, 2 ** 23]);
    expect(() => equal.bytesOf(10_000)).toThrow("more blocks");
    expect(() => new BlockSizes(rules, 300 * 2 ** 40)).toThrow("more blocks");
  });
});
