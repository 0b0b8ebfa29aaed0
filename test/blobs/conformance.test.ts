import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, test } from "vitest";
import { blobConformance } from "../../src/blobs/conformance/index.ts";
import { fileBlobs } from "../../src/blobs/files/index.ts";
import { memoryBlobs, overlaidBlobs } from "../../src/blobs/index.ts";
import { memoryOverlays } from "./overlay-table.ts";
import { newName } from "./set-up.ts";
import { nameCase } from "./store-cases.ts";

const folder = mkdtempSync(join(tmpdir(), "envelock-blobs-"));
afterAll(() => rmSync(folder, { recursive: true }));

for (const header of ["block", "overlay", "copy"] as const) {
  describe(`memory, ${header}`, () => {
    const store = memoryBlobs({ header });
    for (const { name, run } of blobConformance({ open: () => store })) test(name, run);
  });
}

describe("memory, with a table of the application", () => {
  const store = overlaidBlobs(memoryBlobs(), memoryOverlays());
  for (const { name, run } of blobConformance({ open: () => store })) test(name, run);
});

describe("files", () => {
  nameCase(() => fileBlobs(join(folder, "names")), newName);
  for (const { name, run } of blobConformance({ open: () => fileBlobs(join(folder, "blobs")) })) test(name, run);
});
