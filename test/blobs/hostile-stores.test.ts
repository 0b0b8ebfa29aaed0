import { createServer } from "node:http";
import { expect, test } from "vitest";
import { azureBlobs } from "../../src/blobs/azure/index.ts";
import { gcsBlobs } from "../../src/blobs/gcs/index.ts";
import type { BlobFetch } from "../../src/blobs/http.ts";
import { memoryBlobs } from "../../src/blobs/index.ts";
import { s3Blobs } from "../../src/blobs/s3/index.ts";
import { noise } from "../support/arbitraries.ts";
import { fakeClock } from "../support/fake-clock.ts";
import { refusal, refusalCode } from "../support/refusal.ts";
import { originOf } from "../support/serving.ts";
import { memoryOverlays } from "./overlay-table.ts";
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
  const clock = fakeClock();
  let cancelled = 0;
  const fetch: BlobFetch = async () =>
    new Response(new ReadableStream({ cancel: () => void cancelled++ }), { status: 206, headers: HEADERS });
  const codeOf = (by: BlobFetch): Promise<string> =>
    clock.finish(refusalCode(() => storeOf(azureBlobs({ ...place, fetch: by, silenceMs: 20, clock })).get("x")));
  expect(await codeOf(fetch)).toBe("timeout");
  expect(cancelled).toBe(5);
  expect(await codeOf(() => new Promise(() => undefined))).toBe("timeout");
});

test("a redirect to another host is followed by no driver, and its error tells no secret", async () => {
  let asked = 0;
  const elsewhere = createServer((_request, answer) => {
    asked++;
    answer.end();
  });
  const location = `${await originOf(elsewhere)}/stolen`;
  let status = 307;
  const store = createServer((request, answer) => {
    request.resume();
    answer.writeHead(status, { location }).end();
  });
  const url = await originOf(store);
  const credentials = { accessKeyId: "AKIDEXAMPLE", secretAccessKey: "s3cret" };
  const drivers = [
    azureBlobs({ url: `${url}/c`, sas: "sp=rcw&sig=s3cret" }),
    s3Blobs({ url: `${url}/b`, region: "auto", credentials }, { mode: "aws" }),
    s3Blobs({ presign: () => `${url}/b/x?X-Amz-Signature=s3cret` }, { mode: "aws" }),
    gcsBlobs({ url, bucket: "blobs", token: "s3cret" }),
  ];
  for (const backing of drivers) {
    for (status of [301, 302, 303, 307]) {
      for (const call of [() => storeOf(backing).get("x"), () => storeOf(backing).put("x", noise(100)), () => backing.list({ limit: 1 })]) {
        const error = await refusal(call);
        expect(["provider-failure", "invalid-argument", "access-denied", "unavailable"]).toContain(error.code);
        expect(JSON.stringify(error)).not.toContain("s3cret");
      }
    }
  }
  expect(asked).toBe(0);
  for (const server of [store, elsewhere]) server.close();
});

test("the body of an answer that is refused by its head is dropped, so that its connection is free", async () => {
  let cancelled = 0;
  const answering = (headers: Readonly<Record<string, string>>): { readonly fetch: BlobFetch } => ({
    fetch: async () => new Response(new ReadableStream({ cancel: () => void cancelled++ }), { status: 206, headers }),
  });
  const range = { "content-range": "bytes 0-99/100" };
  const [gcs, s3] = [
    { bucket: "blobs", token: "t" },
    { url: "https://s3.example/blobs", region: "auto", credentials: { accessKeyId: "a", secretAccessKey: "b" } },
  ];
  for (const store of [
    azureBlobs({ ...place, ...answering({ etag: '"1"' }) }),
    azureBlobs({ ...place, ...answering(range) }),
    gcsBlobs({ ...gcs, ...answering({ "x-goog-generation": "1" }) }),
    gcsBlobs({ ...gcs, ...answering(range) }),
    s3Blobs({ ...s3, ...answering({ etag: '"1"' }) }, { mode: "aws", rewrap: memoryOverlays() }),
    s3Blobs({ ...s3, ...answering(range) }, { mode: "aws", rewrap: memoryOverlays() }),
  ]) {
    cancelled = 0;
    expect((await refusal(() => store.open("x", 100))).code).toBe("provider-failure");
    expect(cancelled).toBeGreaterThan(0);
  }
});

test("a version that was not asked for is no answer to a read, and its body is dropped", async () => {
  let cancelled = 0;
  const fetch: BlobFetch = async (_url, { headers }) => {
    const isRead = headers["if-match"] !== undefined;
    const body = isRead ? new ReadableStream({ cancel: () => void cancelled++ }) : "x".repeat(10);
    return new Response(body, { status: 206, headers: { etag: isRead ? '"2"' : '"1"', "content-range": "bytes 0-9/100" } });
  };
  const credentials = { accessKeyId: "a", secretAccessKey: "b" };
  const store = s3Blobs({ url: "https://s3.example/blobs", region: "auto", credentials, fetch }, { mode: "aws", rewrap: memoryOverlays() });
  const blob = await store.open("x", 10);
  const read = async (): Promise<unknown> => {
    for await (const piece of blob?.read(0, 10, { ifMatch: '"1"' }) ?? []) return piece;
    return undefined;
  };
  expect(await refusal(read)).toMatchObject({ detail: "source-changed" });
  expect(cancelled).toBe(1);
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
