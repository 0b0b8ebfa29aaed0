import { describe, expect, test } from "vitest";
import { type BlobStore, memoryBlobs, type StoredBlob } from "../../src/blobs/index.ts";
import { noise } from "../support/arbitraries.ts";
import { refusal } from "../support/refusal.ts";
import { untyped } from "../support/untyped.ts";
import { storeOf, wholeOf } from "./set-up.ts";

async function lying(part: Readonly<Record<string, unknown>>): Promise<BlobStore> {
  const backing = memoryBlobs();
  await storeOf(backing).put("a", noise(100_000));
  return {
    ...backing,
    async open(...call) {
      const blob = await backing.open(...call);
      return untyped<StoredBlob>({ ...blob, ...part });
    },
  };
}

describe("a store that breaks its contract", () => {
  test.each([
    ["size", [-1, 1.5, 2 ** 53, Number.NaN, "5", undefined]],
    ["etag", ["", 5, undefined]],
    ["metadata", [undefined, null, 5, { envelock_about: 5 }]],
    ["first", [null, "text"]],
    ["overlay", [null, {}, { header: null }]],
    ["read", [undefined]],
    ["replaceHeader", [undefined]],
  ])("is named by what is wrong: %s", async (name, values) => {
    for (const value of values) {
      const store = storeOf(await lying({ [name]: value }));
      expect(await refusal(() => wholeOf(store, "a"))).toMatchObject({ code: "provider-failure", message: expect.stringContaining(name) });
    }
  });

  test.each([null, 5, "text"])("opens no blob: %j", async (answer) => {
    const store = storeOf({ ...memoryBlobs(), open: async () => untyped(answer) });
    expect((await refusal(() => store.get("a"))).code).toBe("provider-failure");
  });

  test("and sends pieces without a byte for ever ends in an error", async () => {
    async function* read(): AsyncGenerator<Uint8Array, void, undefined> {
      for (;;) yield new Uint8Array(0);
    }
    const store = storeOf(await lying({ read }));
    expect((await refusal(() => wholeOf(store, "a"))).code).toBe("unavailable");
  });

  test.each([null, undefined, {}, { etag: 5 }, "text"])("has not committed with the answer %j", async (answer) => {
    const backing = memoryBlobs();
    const store = storeOf({
      ...backing,
      async create(...call) {
        const upload = await backing.create(...call);
        return { ...upload, commit: async () => untyped(answer) };
      },
    });
    expect((await refusal(() => store.put("a", noise(10)))).code).toBe("provider-failure");
  });

  test.each([
    ["null", null],
    ["entries without a name", [{}]],
    ["the same full page again and again", Array.from({ length: 1000 }, (_, at) => ({ name: `n${at}`, size: 1, etag: "1" }))],
  ])("does not hold up a list: %s", async (_, page) => {
    const store = storeOf({ ...memoryBlobs(), list: async () => untyped(page) });
    const all = async (): Promise<void> => {
      for await (const _entry of store.list());
    };
    expect((await refusal(all)).code).toBe("provider-failure");
  });
});
