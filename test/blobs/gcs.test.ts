import { afterAll, describe, test } from "vitest";
import { blobConformance } from "../../src/blobs/conformance/index.ts";
import { gcsBlobs } from "../../src/blobs/gcs/index.ts";
import { GcsEmulator } from "../../src/testing/gcs/index.ts";
import { memoryOverlays } from "./overlay-table.ts";

const emulator = await GcsEmulator.start();
afterAll(() => emulator.close());
const place = { ...emulator.connection, bucket: emulator.createBucket("blobs") };
const versioned = { ...emulator.connection, bucket: emulator.createBucket("versions", { versioning: true }) };
const table = memoryOverlays();

describe.each([
  ["headers in metadata", () => gcsBlobs(place)],
  ["headers in metadata, in a bucket with versions", () => gcsBlobs(versioned)],
  ["a table of the application", () => gcsBlobs(place, { rewrap: table })],
] as const)("conformance, with %s", (_way, open) => {
  for (const { name, run } of blobConformance({ open })) test(name, run);
});
