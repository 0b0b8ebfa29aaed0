import { describe, test } from "vitest";
import { blobConformance } from "../../src/blobs/conformance/index.ts";
import { memoryOverlays } from "./overlay-table.ts";
import { openS3, WAYS } from "./s3-places.ts";

describe.each(WAYS)("conformance, by %s", (_way, open) => {
  for (const { name, run } of blobConformance({ open })) test(name, run);
});

describe("conformance, with a table of the application", () => {
  const table = memoryOverlays();
  for (const { name, run } of blobConformance({ open: () => openS3("aws", { rewrap: table }) })) test(name, run);
});
