import { expect, test } from "vitest";
import type { BlobStore } from "../../src/blobs/index.ts";
import { noise } from "../support/arbitraries.ts";
import { expectSameBytes } from "../support/bytes.ts";
import { inPieces, keyringOf, storeOf, wholeOf } from "./set-up.ts";

/** A store of objects, as its cases need it. */
export interface StoreUnderTest {
  /** Opens the store, with the blocks that it has by default. */
  open(): BlobStore;
  newName(): string;
  /** What every ETag looks like. */
  readonly etag: RegExp;
}

/** The cases of an encrypted store that holds its blobs as objects. */
export function storeCases({ open, newName, etag }: StoreUnderTest): void {
  test("9 MiB of unknown length, and back: whole, a range, by HTTP, verified", async () => {
    const [store, name] = [storeOf(open()), newName()];
    const result = await store.put(name, inPieces(noise(9 * MIB), 65_536), { describe: { name: "ä 7.bin", type: "text/plain" } });
    expect(result).toMatchObject({ plaintextBytes: 9 * MIB, etag: expect.stringMatching(etag) });
    expectSameBytes(await wholeOf(store, name), noise(9 * MIB));
    const blob = await store.get(name);
    expect(blob.description).toEqual({ name: "ä 7.bin", type: "text/plain" });
    expectSameBytes(await blob.read(8 * MIB, 8 * MIB + 1000), noise(9 * MIB).subarray(8 * MIB, 8 * MIB + 1000));
    blob.close();
    const answer = await store.httpHandler({ name: () => name })(new Request("http://x/", { headers: { range: "bytes=-5" } }));
    expect(answer.status).toBe(206);
    expectSameBytes(new Uint8Array(await answer.arrayBuffer()), noise(9 * MIB).subarray(-5));
    expect(await store.verify(name)).toMatchObject({ plaintextBytes: 9 * MIB });
    expect(await store.verify(name, "all")).toMatchObject({ plaintextBytes: 9 * MIB });
  });

  test("of three rewraps at once one wins at least, and the blob opens", async () => {
    const [backing, name] = [open(), newName()];
    await storeOf(backing).put(name, noise(50_000));
    const keys = ["new-1", "new-2", "new-3"];
    const outcomes = await Promise.all(keys.map((key) => storeOf(backing, keyringOf(key, "old", ...keys)).rewrap(name)));
    for (const outcome of outcomes) expect(["rewrapped", "changed"]).toContain(outcome);
    expect(outcomes).toContain("rewrapped");
    expectSameBytes(await wholeOf(storeOf(backing, keyringOf("x", ...keys)), name), noise(50_000));
  });
}

const MIB = 2 ** 20;
