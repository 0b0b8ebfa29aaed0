import { afterAll, describe, expect, test } from "vitest";
import { azureBlobs } from "../../src/blobs/azure/index.ts";
import { gcsBlobs } from "../../src/blobs/gcs/index.ts";
import type { BlobStore } from "../../src/blobs/index.ts";
import { s3Blobs } from "../../src/blobs/s3/index.ts";
import { GcsEmulator } from "../../src/testing/gcs/index.ts";
import { noise } from "../support/arbitraries.ts";
import { containerClient, startAzurite } from "../support/azurite.ts";
import { type BreakingProxy, breakingProxy } from "../support/breaking-proxy.ts";
import { expectSameBytes } from "../support/bytes.ts";
import { emulators, sdk } from "./s3-places.ts";
import { inPieces, storeOf, wholeOf } from "./set-up.ts";

// ENVELOCK_BREAK_STEP=65536 breaks the connection at every 64 KiB, one transfer after the other.

const { ENVELOCK_BREAK_STEP = "7000000" } = process.env;
const STEP = Number(ENVELOCK_BREAK_STEP);
const BYTES = 20 * 2 ** 20;
const bytes = noise(BYTES);
const PLACES = Array.from({ length: Math.ceil(BYTES / STEP) }, (_, at) => (at + 1) * STEP).filter((place) => place < BYTES);

/** A place of blobs that is reached through a proxy, and without it. */
interface Route {
  readonly proxy: BreakingProxy;
  readonly through: BlobStore;
  readonly direct: BlobStore;
  /** Returns what uploads have left behind, apart from the blobs. */
  leftOvers(): Promise<readonly unknown[]>;
}

const azurite = await startAzurite();
afterAll(() => azurite.close());

async function azureRoute(): Promise<Route> {
  const { port, pathname } = new URL(azurite.url);
  const proxy = await breakingProxy(Number(port));
  const name = await azurite.createContainer();
  const container = containerClient(azurite, name);
  const sas = azurite.sas(name);
  return {
    proxy,
    through: azureBlobs({ url: `http://127.0.0.1:${proxy.port}${pathname}/${name}`, sas }),
    direct: azureBlobs({ url: `${azurite.url}/${name}`, sas }),
    async leftOvers() {
      const left: unknown[] = [];
      for await (const { name: blob } of container.listBlobsFlat({ includeUncommitedBlobs: true }))
        left.push(...((await container.getBlockBlobClient(blob).getBlockList("uncommitted")).uncommittedBlocks ?? []));
      return left;
    },
  };
}

async function s3Route(bucket: string, open: (url: string) => BlobStore): Promise<Route> {
  const { aws } = emulators;
  aws.createBucket(bucket);
  const proxy = await breakingProxy(Number(new URL(aws.url).port));
  return {
    proxy,
    through: open(`http://127.0.0.1:${proxy.port}`),
    direct: open(aws.url),
    leftOvers: async () => Array.from({ length: aws.openUploads(bucket) }),
  };
}

async function gcsRoute(): Promise<Route> {
  const gcs = await GcsEmulator.start();
  afterAll(() => gcs.close());
  const bucket = gcs.createBucket("broken");
  const proxy = await breakingProxy(Number(new URL(gcs.url).port));
  return {
    proxy,
    through: gcsBlobs({ ...gcs.connection, url: `http://127.0.0.1:${proxy.port}`, bucket }),
    direct: gcsBlobs({ ...gcs.connection, bucket }),
    leftOvers: async () => Array.from({ length: gcs.openUploads(bucket) }),
  };
}

const { connection, credentials } = emulators.aws;
const ROUTES: readonly (readonly [string, () => Promise<Route>])[] = [
  ["Azure, by fetch", azureRoute],
  ["Google Cloud Storage", gcsRoute],
  [
    "S3, by fetch",
    () =>
      s3Route("broken-fetch", (url) => s3Blobs({ url: `${url}/broken-fetch`, region: connection.region, credentials }, { mode: "aws" })),
  ],
  [
    "S3, by a client",
    () =>
      s3Route("broken-client", (endpoint) => {
        const client = new sdk.S3Client({ ...connection, endpoint, maxAttempts: 1 });
        return s3Blobs({ client, commands: sdk, bucket: "broken-client" }, { mode: "aws" });
      }),
  ],
];

describe.each(ROUTES)("20 MiB over a connection that breaks once: %s", { timeout: 3_600_000 }, async (_way, routed) => {
  const { proxy, through, direct, leftOvers } = await routed();
  afterAll(() => proxy.close());

  test("down: whole, wherever it breaks", async () => {
    await storeOf(direct).put("down", inPieces(bytes, 65_536));
    for (const place of PLACES) {
      proxy.breakOnce("down", place);
      expectSameBytes(await wholeOf(storeOf(through), "down"), bytes);
      expect(proxy.hasBroken).toBe(true);
    }
    await storeOf(direct).delete("down");
  });

  test("up: whole, wherever it breaks, and nothing is left but the blob", async () => {
    for (const place of PLACES) {
      proxy.breakOnce("up", place);
      await storeOf(through).put(`up/${place}`, inPieces(bytes, 65_536));
      expect(proxy.hasBroken).toBe(true);
      expect(await storeOf(direct).verify(`up/${place}`, "all")).toMatchObject({ plaintextBytes: BYTES });
      expect(await leftOvers()).toEqual([]);
      expect((await direct.list({ limit: 10 })).map(({ name }) => name)).toEqual([`up/${place}`]);
      await storeOf(direct).delete(`up/${place}`);
    }
  });
});
