import { expect, test } from "vitest";
import { type BlobStore, memoryBlobs } from "../../src/blobs/index.ts";
import { listBlobs } from "../../src/cli/places/blobs-at.ts";
import { refusal } from "../support/refusal.ts";

test("a store that gives the same page again is refused, and not asked for ever", async () => {
  const page = Array.from({ length: 1000 }, (_, at) => ({ name: `${at}`.padStart(4, "0"), size: 1, etag: '"1"' }));
  const store: BlobStore = { ...memoryBlobs(), list: async () => page };
  const names: string[] = [];
  const error = await refusal(async () => {
    for await (const { name } of listBlobs(store, {})) if (names.push(name) > 1000) return;
  });
  expect(error).toMatchObject({ code: "provider-failure" });
  expect(names).toHaveLength(1000);
});
