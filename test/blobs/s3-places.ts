import { createRequire } from "node:module";
import { join } from "node:path";
import { afterAll } from "vitest";
import type { BlobFetch } from "../../src/blobs/http.ts";
import type { BlobLock, BlobStore } from "../../src/blobs/index.ts";
import { type S3BlobsOptions, type S3SignedBucket, s3Blobs, s3Presigner } from "../../src/blobs/s3/index.ts";
import { S3Emulator } from "../../src/testing/s3/index.ts";
import { installed } from "../support/npm-tools.ts";

// The service is envelock/testing/s3, which the clients of AWS drive in tests of its own.

export const modules: string = installed("foreign", ["@aws-sdk/client-s3@3.1175.0"]);
export const sdk: ReturnType<NodeJS.Require> = createRequire(join(modules, "..", "package.json"))("@aws-sdk/client-s3");

export const MODES = ["aws", "r2", "minio", "no-conditions"] as const;
export type Mode = (typeof MODES)[number];
export const emulators: Readonly<Record<Mode, S3Emulator>> = {
  aws: await S3Emulator.start({ service: "aws" }),
  r2: await S3Emulator.start({ service: "r2" }),
  minio: await S3Emulator.start({ service: "minio" }),
  "no-conditions": await S3Emulator.start({ service: "no-conditions" }),
};
for (const emulator of Object.values(emulators)) emulator.createBucket("blobs");
export const client: ReturnType<NodeJS.Require> = new sdk.S3Client({ ...emulators.aws.connection, maxAttempts: 1 });
afterAll(async () => {
  client.destroy();
  for (const emulator of Object.values(emulators)) await emulator.close();
});

/** Lets one piece of work at a time run for each name, in this process. */
export const inTurn: BlobLock = (() => {
  const last = new Map<string, Promise<unknown>>();
  return async (name, work) => {
    const own = (last.get(name) ?? Promise.resolve()).then(work, work);
    last.set(name, own);
    return await own;
  };
})();

export function signedBy(mode: Mode, fetch?: BlobFetch): S3SignedBucket {
  const { url, connection, credentials } = emulators[mode];
  return { url: `${url}/blobs`, region: connection.region, credentials, ...(fetch && { fetch }) };
}

export function openS3(mode: Mode, options: Partial<S3BlobsOptions> = {}, fetch?: BlobFetch): BlobStore {
  return s3Blobs(signedBy(mode, fetch), { mode, ...(mode !== "aws" && { lock: inTurn }), ...options });
}

export function openByClient(options: Partial<S3BlobsOptions> = {}): BlobStore {
  return s3Blobs({ client, commands: sdk, bucket: "blobs" }, { mode: "aws", ...options });
}

const presign = s3Presigner({ ...credentialsOf(signedBy("aws")), allow: () => true });

export function openPresigned(): BlobStore {
  return s3Blobs({ presign: async (request) => await presign(JSON.parse(JSON.stringify(request))) }, { mode: "aws" });
}

function credentialsOf({ url, region, credentials }: S3SignedBucket): Pick<S3SignedBucket, "url" | "region" | "credentials"> {
  return { url, region, credentials };
}

export const WAYS: readonly (readonly [string, () => BlobStore])[] = [
  ...MODES.map((mode) => [`fetch and credentials, ${mode}`, () => openS3(mode)] as const),
  ["fetch and credentials, in place", () => openS3("aws", { rewrap: "in-place" })],
  ["fetch and credentials, in place, R2", () => openS3("r2", { rewrap: "in-place" })],
  ["a client of @aws-sdk/client-s3", () => openByClient()],
  ["a client of @aws-sdk/client-s3, in place", () => openByClient({ rewrap: "in-place" })],
  ["presigned URLs", () => openPresigned()],
];
