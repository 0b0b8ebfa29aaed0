import { createRequire } from "node:module";
import { join } from "node:path";
import { afterAll, describe, test } from "vitest";
import { blobConformance } from "../../src/blobs/conformance/index.ts";
import type { BlobFetch } from "../../src/blobs/http.ts";
import type { BlobLock, BlobStore } from "../../src/blobs/index.ts";
import { type S3BlobsOptions, s3Blobs, s3Presigner } from "../../src/blobs/s3/index.ts";
import { S3Emulator } from "../../src/testing/s3/index.ts";
import { installed } from "../support/npm-tools.ts";
import { memoryOverlays } from "./overlay-table.ts";

// The service is envelock/testing/s3, which the clients of AWS drive in tests of its own.

const modules = installed("foreign", ["@aws-sdk/client-s3@3.1175.0"]);
const sdk = createRequire(join(modules, "..", "package.json"))("@aws-sdk/client-s3");

const emulators = {
  aws: await S3Emulator.start({ service: "aws" }),
  r2: await S3Emulator.start({ service: "r2" }),
  minio: await S3Emulator.start({ service: "minio" }),
  "no-conditions": await S3Emulator.start({ service: "no-conditions" }),
} as const;
type Mode = keyof typeof emulators;
const MODES = ["aws", "r2", "minio", "no-conditions"] as const;
for (const emulator of Object.values(emulators)) emulator.createBucket("blobs");
const { aws } = emulators;
const client = new sdk.S3Client({ ...aws.connection, maxAttempts: 1 });
afterAll(async () => {
  client.destroy();
  for (const emulator of Object.values(emulators)) await emulator.close();
});

/** One at a time for each name, in this process. */
const inTurn: BlobLock = (() => {
  const last = new Map<string, Promise<unknown>>();
  return async (name, work) => {
    const own = (last.get(name) ?? Promise.resolve()).then(work, work);
    last.set(name, own);
    return await own;
  };
})();

function signedBy(mode: Mode, fetch?: BlobFetch) {
  const { url, connection, credentials } = emulators[mode];
  return { url: `${url}/blobs`, region: connection.region, credentials, ...(fetch && { fetch }) };
}

function openS3(mode: Mode, options: Partial<S3BlobsOptions> = {}, fetch?: BlobFetch): BlobStore {
  return s3Blobs(signedBy(mode, fetch), { mode, ...(mode !== "aws" && { lock: inTurn }), ...options });
}

const openByClient = (options: Partial<S3BlobsOptions> = {}): BlobStore =>
  s3Blobs({ client, commands: sdk, bucket: "blobs" }, { mode: "aws", ...options });

const presign = s3Presigner({ ...signedBy("aws"), allow: () => true });
const openPresigned = (): BlobStore =>
  s3Blobs({ presign: async (request) => await presign(JSON.parse(JSON.stringify(request))) }, { mode: "aws" });

const WAYS: readonly (readonly [string, () => BlobStore])[] = [
  ...MODES.map((mode) => [`fetch and credentials, ${mode}`, () => openS3(mode)] as const),
  ["fetch and credentials, in place", () => openS3("aws", { rewrap: "in-place" })],
  ["fetch and credentials, in place, R2", () => openS3("r2", { rewrap: "in-place" })],
  ["a client of @aws-sdk/client-s3", () => openByClient()],
  ["a client of @aws-sdk/client-s3, in place", () => openByClient({ rewrap: "in-place" })],
  ["presigned URLs", () => openPresigned()],
];

describe.each(WAYS)("conformance, by %s", (_way, open) => {
  for (const { name, run } of blobConformance({ open })) test(name, run);
});

describe("conformance, with a table of the application", () => {
  const table = memoryOverlays();
  for (const { name, run } of blobConformance({ open: () => openS3("aws", { rewrap: table }) })) test(name, run);
});
