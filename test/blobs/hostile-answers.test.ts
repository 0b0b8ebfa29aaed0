import type { Socket } from "node:net";
import { afterAll, describe, expect, test } from "vitest";
import { azureBlobs } from "../../src/blobs/azure/index.ts";
import type { BlobStore } from "../../src/blobs/blob-store.ts";
import { gcsBlobs } from "../../src/blobs/gcs/index.ts";
import type { BlobFetch } from "../../src/blobs/http.ts";
import { s3Blobs } from "../../src/blobs/s3/index.ts";
import { httpsFetch } from "../../src/node/index.ts";
import { noise } from "../support/arbitraries.ts";
import { deferred } from "../support/deferred.ts";
import { fakeClock } from "../support/fake-clock.ts";
import { ANSWERS, BODIES, LATE } from "../support/hostile-answers.ts";
import { closed, RawServer } from "../support/raw-server.ts";
import { refusal } from "../support/refusal.ts";
import { memoryOverlays } from "./overlay-table.ts";

// What no store sends, to each request of a driver that speaks HTTP by itself.

const clock = fakeClock();
const server = await RawServer.start({ tls: true });
afterAll(() => server.close());
const SECRET = "s3cr3t-of-the-caller";
const fetch: BlobFetch = httpsFetch({ ca: server.ca });
const common = { fetch, clock, silenceMs: 10_000 };
const credentials = { accessKeyId: "AKIAIOSFODNN7EXAMPLE", secretAccessKey: SECRET };

const STORES: readonly (readonly [string, BlobStore])[] = [
  ["Azure", azureBlobs({ ...common, url: `${server.origin}/c`, sas: `sp=rwdl&sig=${SECRET}` })],
  ["S3", s3Blobs({ ...common, url: `${server.origin}/blobs`, region: "auto", credentials }, { mode: "aws", rewrap: memoryOverlays() })],
  ["Cloud Storage", gcsBlobs({ ...common, url: server.origin, bucket: "blobs", token: SECRET })],
];
const content = { metadata: {}, keys: [] };
const REQUESTS: Readonly<Record<string, (store: BlobStore) => Promise<unknown>>> = {
  open: (store) => store.open("x", 100),
  list: (store) => store.list({ limit: 10 }),
  delete: (store) => store.delete("x"),
  "delete of a version": (store) => store.delete("x", { ifMatch: '"1"' }),
  put: async (store) => {
    const upload = await store.create("x", content);
    await upload.put(0, noise(1000, "put"));
    return await upload.commit({ ifNone: "*" });
  },
};

/** Those that need more of an answer than its status. */
const READS: ReadonlySet<string> = new Set(["open", "list"]);
const QUIET = LATE.filter(([what]) => /^(?:never|stops)/.test(what));
/** A list is read up to 64 MiB. */
const MOST_BYTES = 100_000_000;

describe.each(STORES)("%s", (_name, store) => {
  test.each(ANSWERS)("%s", async (what, _fault, reply) => {
    server.reply = reply;
    for (const [name, request] of Object.entries(REQUESTS)) {
      if (READS.has(name)) await expectRefusal(`${name}: ${what}`, () => request(store));
      else await settled(() => request(store));
    }
    expect(server.mostWritten).toBeLessThan(MOST_BYTES);
  });

  test.each(BODIES)("%s", async (what, bytes) => {
    server.reply = (socket) => socket.write(bytes);
    for (const [name, request] of Object.entries(REQUESTS)) {
      if (name === "list") await expectRefusal(what, () => request(store));
      else await settled(() => request(store));
    }
  });

  test.each(
    QUIET,
  )("an answer that %s ends when the store was silent for long enough, and its connection with it", async (_what, begins) => {
    for (const [name, request] of Object.entries(REQUESTS)) {
      if (!READS.has(name)) continue;
      const begun = deferred();
      let connection: Socket | undefined;
      server.reply = (socket) => {
        connection = socket;
        begins(socket, begun.resolve);
      };
      const outcome = refusal(() => request(store));
      await begun.promise;
      clock.advanceNow(10_000);
      expect((await outcome).code, name).toMatch(/^(?:timeout|provider-failure)$/); // a head may be refused before its body comes
      await closed(connection);
    }
  });
});

async function expectRefusal(what: string, request: () => Promise<unknown>): Promise<void> {
  const error = await refusal(request);
  expect(error.code, what).toMatch(/^(?:unavailable|provider-failure)$/);
  expect(`${error.message}${error.stack}${JSON.stringify(error)}`, what).not.toContain(SECRET);
  await expect.poll(() => clock.timers, { message: what, timeout: 30_000 }).toBe(0); // a driver may have sent two requests at once
}

/** What is read ends in a typed error, or is one of the results that the request may have. */
async function settled(request: () => Promise<unknown>): Promise<void> {
  const outcome = await request().catch(async (error: unknown) => {
    await refusal(() => Promise.reject(error));
    return "refused";
  });
  expect(["refused", "changed", undefined, true, false]).toContain(outcome);
  await expect.poll(() => clock.timers, { timeout: 30_000 }).toBe(0);
}
