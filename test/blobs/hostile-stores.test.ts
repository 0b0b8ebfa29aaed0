import { expect, test } from "vitest";
import { azureBlobs } from "../../src/blobs/azure/index.ts";
import type { BlobFetch } from "../../src/blobs/http.ts";
import { memoryBlobs } from "../../src/blobs/index.ts";
import { noise } from "../support/arbitraries.ts";
import { refusal } from "../support/refusal.ts";
import { storeOf } from "./set-up.ts";

// Stores that lie, fill the memory or fall silent.

const place = { url: "https://acme.blob.example/c", sas: "sp=r" };
const HEADERS = { etag: '"1"', "content-range": "bytes 0-16367/99999" };

function endless(onCancel: () => void = () => undefined): ReadableStream<Uint8Array> {
  return new ReadableStream({ pull: (controller) => controller.enqueue(noise(65_536)), cancel: onCancel });
}

test("an answer without end is given up", async () => {
  for (const status of [206, 403, 503]) {
    let isCancelled = false;
    const fetch: BlobFetch = async () => {
      const body = endless(() => {
        isCancelled = true;
      });
      return new Response(body, { status, headers: HEADERS });
    };
    expect((await refusal(() => storeOf(azureBlobs({ ...place, fetch })).get("x"))).code).toMatch(
      /provider-failure|access-denied|unavailable/,
    );
    expect(isCancelled).toBe(true);
  }
}, 120_000);

test("a store that falls silent is timed out, and its connection ended", async () => {
  let cancelled = 0;
  const fetch: BlobFetch = async () =>
    new Response(new ReadableStream({ cancel: () => void cancelled++ }), { status: 206, headers: HEADERS });
  expect((await refusal(() => storeOf(azureBlobs({ ...place, fetch, silenceMs: 20 })).get("x"))).code).toBe("timeout");
  expect(cancelled).toBe(5);
  const mute: BlobFetch = () => new Promise(() => undefined);
  expect((await refusal(() => storeOf(azureBlobs({ ...place, fetch: mute, silenceMs: 20 })).get("x"))).code).toBe("timeout");
});

test("sizes, pieces and headers that are lies end in a typed error", async () => {
  const backing = memoryBlobs();
  await storeOf(backing).put("x", noise(40_000));
  for (const [what, change] of [
    ["a size that is too large", { size: 60_000 }],
    ["a size that is too small", { size: 20_000 }],
    ["more first bytes than the blob has", { size: 100 }],
    ["no envelope", { first: noise(16_368) }],
    ["an empty blob", { first: new Uint8Array(0), size: 0 }],
  ] as const) {
    const lying = storeOf({
      ...backing,
      async open(name, bytes, options) {
        const blob = await backing.open(name, bytes, options);
        return blob && { ...blob, ...change };
      },
    });
    const { code } = await refusal(() => lying.verify("x"));
    expect([what, code]).toEqual([what, expect.stringMatching(/^(malformed-envelope|authentication-failed|unavailable)$/)]);
  }
  const generous = storeOf({
    ...backing,
    async open(name, bytes, options) {
      const blob = await backing.open(name, bytes, options);
      return (
        blob && {
          ...blob,
          async *read() {
            yield noise(100_000);
          },
        }
      );
    },
  });
  expect((await refusal(() => generous.verify("x"))).code).toBe("malformed-envelope");
});
