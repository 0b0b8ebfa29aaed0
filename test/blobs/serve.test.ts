import { Readable } from "node:stream";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { BlockMemory, BlockSizes, blocksOf } from "../../src/blobs/block-cutter.ts";
import { memoryBlobs } from "../../src/blobs/index.ts";
import { concatBytes } from "../../src/core/base/bytes.ts";
import { noise } from "../support/arbitraries.ts";
import { expectSameBytes } from "../support/bytes.ts";
import { refusalCode } from "../support/refusal.ts";
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
    expect(await refusalCode(() => store.httpHandler(Object.assign({ name }, { cache: true })))).toBe("invalid-argument");
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

  test("of a small blob take little memory", async () => {
    const taken: number[] = [];
    const memory = new (class extends BlockMemory {
      override take(bytes: number): Uint8Array<ArrayBuffer> {
        taken.push(bytes);
        return super.take(bytes);
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
